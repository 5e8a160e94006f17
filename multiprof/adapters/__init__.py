"""What multiprof itself can read: ONE table, a row per framework.

A row is data. Its reader is a module path that is imported only once a model has matched the row, so that no framework
is loaded before it is needed. To add a framework: write ``multiprof/adapters/<name>`` and add its row here.
"""

from __future__ import annotations

from multiprof.extensions import Adapter
from multiprof.hookspecs import hookimpl

ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "torch",
        "multiprof.adapters.torch:read",
        types=("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram"),
        suffixes=(".pt2", ".pt", ".pth", ".ptl", ".torchscript", ".safetensors", ".pkl", ".pickle"),
        # A zip archive whose entries stand in a folder, one of those that torch writes; what it wrote before version
        # 1.6; any other pickle; safetensors: how long its header is, and a JSON object.
        pattern=rb"(?s)PK\x03\x04.{26}(serialized_|version|[^/\x00]{1,400}/(\.?data[./]|\.format|code/|constants\.pkl|version"
        rb"|archive_|models/|byteorder|extra/))|\x80[\x02-\x05][\x8a\x95}(c]|.{4}\x00{4}\{\s*\"",
        requires=("torch",),
        extra="torch",
        callables=True,
    ),
    Adapter(
        "onnx",
        "multiprof.adapters.onnx:read",
        suffixes=(".onnx",),
        # ONNX has no magic bytes: field 1 (the version of the format, below 128), then one of the model's other fields
        pattern=rb"\x08[\x01-\x7f][\x12\x1a\x22\x28\x32\x3a\x42]",
        requires=("onnx",),
        extra="onnx",
    ),
    Adapter(
        "tflite",
        "multiprof.adapters.tflite:read",
        suffixes=(".tflite", ".lite"),
        magic=((4, b"TFL3"),),
    ),
    Adapter(
        "mxnet",
        "multiprof.adapters.mxnet:read",
        types=(
            "mxnet.gluon.block.Block",
            "mxnet.module.base_module.BaseModule",
            "mxnet.symbol.symbol.Symbol",
        ),
        suffixes=("-symbol.json", ".symbol.json"),
        pattern=rb'\s*\{\s*"nodes"\s*:\s*\[\s*\{\s*"(op|name|param|attrs?|inputs|backward_source_id)"\s*:',
    ),
    Adapter(
        "jax",
        "multiprof.adapters.jax:read",
        types=(
            "flax.linen.module.Module",
            "flax.nnx.module.Module",
            "jax._src.core.ClosedJaxpr",
            "jax._src.stages.Traced",
            "jaxlib._jax.PjitFunction",
        ),
        requires=("jax",),
        extra="jax",
        callables=True,
        packages=("flax", "jaxlib"),
    ),
    Adapter(
        "keras",
        "multiprof.adapters.keras:read",
        types=(
            "keras.src.layers.layer.Layer",
            "keras.src.models.model.Model",
            "keras.engine.base_layer.Layer",  # Keras 2, to 2.12
            "keras.src.engine.base_layer.Layer",  # from 2.13 to 2.15
            "tf_keras.src.engine.base_layer.Layer",
        ),
        suffixes=(".keras", ".h5", ".hdf5"),
        # a .keras file is a zip archive that begins with its metadata; HDF5 files begin with their own signature
        magic=((0, b"\x89HDF\r\n\x1a\n"),),
        pattern=rb"(?s)PK\x03\x04.{26}metadata\.json",
        requires=("keras",),
        extra="keras",
    ),
    Adapter(
        "tensorflow",
        "multiprof.adapters.tensorflow:read",
        types=(
            "tensorflow.core.framework.graph_pb2.GraphDef",
            "tensorflow.python.client.session.BaseSession",
            "tensorflow.python.framework.ops.Graph",
            "tensorflow.python.module.module.Module",
            "tensorflow.python.trackable.autotrackable.AutoTrackable",
            "tensorflow.python.training.tracking.autotrackable.AutoTrackable",  # before 2.11
            "tensorflow.python.types.core.Callable",  # what tf.function makes
        ),
        suffixes=(".pb",),
        pattern=rb"\x08\x01\x12",  # of a SavedModel: its version, then its first graph
        folder="saved_model.pb",
        requires=("tensorflow",),
        extra="tensorflow",
        callables=True,
    ),
)


@hookimpl
def multiprof_adapters() -> tuple[Adapter, ...]:
    return ADAPTERS
