"""A network of Keras as a SavedModel and as a frozen graph: what the live model costs; large files are stepped over."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import multiprof
from multiprof.adapters.tensorflow import fold, slim


def _frozen(model, *specs):
    function = tf.function(model).get_concrete_function(*specs)
    return convert_variables_to_constants_v2(function).graph.as_graph_def()


@pytest.fixture(scope="module")
def mobile(tmp_path_factory):
    """The live model, its SavedModel, and a frozen graph of it: 14 MB."""
    folder = tmp_path_factory.mktemp("mobile")
    model = tf.keras.applications.MobileNetV2(weights=None)
    if keras.__version__.startswith("2."):  # Keras 3 alone has export
        model.save(folder / "saved", save_format="tf", include_optimizer=False)
    else:
        model.export(str(folder / "saved"), verbose=False)
    graph = _frozen(lambda x: model(x, training=False), tf.TensorSpec((1, 224, 224, 3), name="x"))
    (folder / "frozen.pb").write_bytes(graph.SerializeToString())
    return model, folder / "saved", folder / "frozen.pb"


def test_mobilenet_saved_and_frozen(mobile):
    model, saved, frozen = mobile
    live = multiprof.analyze(model, (1, 224, 224, 3), strict=True)
    assert (live.macs, live.params, live.buffers) == (300_774_272, 3_504_872, 34_112)
    assert live.params + live.buffers == model.count_params()
    for path in (saved, frozen):
        report = multiprof.analyze(path, (1, 224, 224, 3), strict=True)
        assert (report.macs, report.params, report.buffers) == (live.macs, live.params, live.buffers)
        assert (report.flops, report.peak_bytes) == (live.flops, live.peak_bytes)
        ops = [row.layer.op for row in report.layers if row.state in ("priced", "folded")]
        assert ops == [row.layer.op for row in live.layers if row.state in ("priced", "folded")]
        assert report.trainable_params == (live.trainable_params if path is saved else None)
    assert multiprof.analyze(frozen).macs == live.macs


def test_a_file_is_read_with_tensorflow_alone_and_without_its_weights(mobile):
    """In a fresh process: nothing is loaded that ``import tensorflow`` does not load itself, no variable is restored,
    and contents of constants stay in the file."""
    _, saved, frozen = mobile
    program = (
        "import sys, tensorflow; before = {name.partition('.')[0] for name in sys.modules}\n"
        "import multiprof; from multiprof.adapters.tensorflow import slim; read = slim.read; sizes = []\n"
        "def noting(path, message):\n"
        "    data = read(path, message); sizes.append(len(data)); return data\n"
        "slim.read = noting\n"
        "for path in sys.argv[1:]: multiprof.analyze(path, (1, 224, 224, 3), strict=True)\n"
        "frameworks = {'keras', 'tf_keras', 'torch', 'jax', 'onnx', 'mxnet', 'flax', 'h5py', 'pandas', 'scipy'}\n"
        "print(*sizes, frameworks & {name.partition('.')[0] for name in sys.modules} - before)"
    )
    command = [sys.executable, "-c", program, str(saved), str(frozen)]
    first, second, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" ", 2)
    assert loaded.strip() == "set()"
    assert int(first) <= (saved / "saved_model.pb").stat().st_size
    # 14 MB of weights, of which the small ones stay: 52 · 4 rows of channels, and kernels of 64 kB at most
    assert int(second) < frozen.stat().st_size / 4


def large(x):
    """A product with 1 MB of weights, a choice inside which is another, and an index computed of many integers."""
    weight = tf.constant(np.ones((512, 512), "float32"))
    y = tf.matmul(x, weight)
    inner = tf.constant(np.full((512, 256), 2, "float32"))
    y = tf.cond(tf.reduce_sum(y) > 0, lambda: tf.matmul(y, inner), lambda: y[:, :256])
    return tf.gather(y, tf.constant(np.arange(200, dtype="int64")), axis=1)


def test_large_contents_are_left_out_and_nothing_else(tmp_path):
    graph = tf.function(large).get_concrete_function(tf.TensorSpec((3, 512), name="x")).graph.as_graph_def()
    assert graph.library.function
    (tmp_path / "net.pb").write_bytes(graph.SerializeToString())
    data = slim.read(tmp_path / "net.pb", "GraphDef")
    assert len(data) < 20_000 < 1_500_000 < (tmp_path / "net.pb").stat().st_size
    short = graph_pb2.GraphDef.FromString(data)

    def emptied(nodes):
        for node in nodes:
            tensor = node.attr["value"].tensor if "value" in node.attr else None
            if tensor is not None and len(tensor.tensor_content) > slim.KEPT:
                tensor.ClearField("tensor_content")

    emptied(graph.node)
    for function in graph.library.function:
        emptied(function.node_def)
    assert short == graph
    report = multiprof.analyze(tmp_path / "net.pb", (3, 512), strict=True)
    assert (report.macs, report.params) == (3 * 512 * (512 + 256), 512 * (512 + 256))


def test_constants_of_a_saved_model(tmp_path):
    module = tf.Module()
    ones = np.ones((700, 700), "float32")
    module.call = tf.function(
        lambda x: {"y": tf.matmul(x, tf.constant(ones))}, input_signature=[tf.TensorSpec((2, 700))]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.call)
    path = tmp_path / "saved" / "saved_model.pb"
    assert path.stat().st_size > 1_900_000
    data = slim.read(path, "SavedModel")
    assert len(data) < 20_000 and saved_model_pb2.SavedModel.FromString(data).meta_graphs
    assert multiprof.analyze(tmp_path / "saved", strict=True).macs == 2 * 700 * 700


def test_what_is_small_or_broken_is_taken_as_it_is(tmp_path):
    path = tmp_path / "net.pb"
    graph = tf.function(large).get_concrete_function(tf.TensorSpec((3, 512), name="x")).graph.as_graph_def()
    whole = graph.SerializeToString()
    for data in (b"", b"\x0a", whole[:1000], whole[:-5], whole + b"\x0b", b"\xff" * (slim.SMALL + 1)):
        path.write_bytes(data)
        assert slim.read(path, "GraphDef") == data
        with pytest.raises((multiprof.ModelError, DecodeError)):
            multiprof.analyze(path, (3, 512))
    # what shapes may be computed of stays: numbers of 8 bytes, or written out in ten each
    assert fold.MAX_ELEMENTS * 10 <= slim.KEPT
