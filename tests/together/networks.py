"""One small network in every framework and format, analysed in one process.

    python networks.py write FOLDER          its files
    python networks.py analyze FOLDER NAME…  import the packages in that order, each one's networks analysed at once,
                                             then all again in the reverse order; prints JSON

The network: 3 channels of 6×6, a 3×3 convolution to 4 channels, ReLU, flattened, a dense layer to 5; a batch of 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import process_settings as settings

import multiprof
from multiprof.adapters.mxnet.compat import import_mxnet

NCHW, NHWC = (2, 3, 6, 6), (2, 6, 6, 3)


class Subject(NamedTuple):
    """A model as a user gives it; ``framework=`` is never said."""

    name: str
    model: Any
    inputs: Any = None


# -- live models ------------------------------------------------------------------------------------------------------


def torch_models(folder: Path) -> Iterator[Subject]:
    import torch

    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 5)]
    net = torch.nn.Sequential(*layers)
    kernel, kernel_bias, matrix, bias = net.parameters()

    def function(x: Any) -> Any:
        y = torch.nn.functional.conv2d(x, kernel, kernel_bias).relu()
        return torch.nn.functional.linear(y.flatten(1), matrix, bias)

    yield Subject("module", net, NCHW)
    yield Subject("function", function, NCHW)
    yield Subject("method", net.forward, torch.ones(NCHW))
    yield Subject("helpers", lambda x: function(x), NCHW)


def jax_models(folder: Path) -> Iterator[Subject]:
    import jax
    import jax.numpy as jnp

    params = {"kernel": jnp.ones((3, 3, 3, 4)), "kernel_bias": jnp.ones(4)}
    params |= {"matrix": jnp.ones((64, 5)), "bias": jnp.ones(5)}

    def function(params: Any, x: Any) -> Any:
        y = jax.lax.conv_general_dilated(
            x, params["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        y = jnp.maximum(y + params["kernel_bias"], 0)
        return y.reshape(2, -1) @ params["matrix"] + params["bias"]

    yield Subject("function", function, [params, NHWC])
    yield Subject("jitted", jax.jit(function), [params, NHWC])
    yield Subject("closure", lambda x: function(params, x), NHWC)
    yield Subject("array", lambda x: x @ jnp.ones((108, 5)) if x.ndim == 2 else function(params, x), jnp.ones(NHWC))


def flax_models(folder: Path) -> Iterator[Subject]:
    import flax.linen as nn
    from flax import nnx

    class Linen(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            y = nn.relu(nn.Conv(4, (3, 3), padding="VALID")(x))
            return nn.Dense(5)(y.reshape((2, -1)))

    class Nnx(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.conv = nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs)
            self.dense = nnx.Linear(64, 5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.dense(nnx.relu(self.conv(x)).reshape((2, -1)))

    yield Subject("linen", Linen(), NHWC)
    yield Subject("nnx", Nnx(), NHWC)


def tensorflow_module() -> Any:
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.kernel_bias = tf.Variable(tf.ones((3, 3, 3, 4))), tf.Variable(tf.ones(4))
            self.matrix, self.bias = tf.Variable(tf.ones((64, 5))), tf.Variable(tf.ones(5))

        @tf.function(input_signature=[tf.TensorSpec(NHWC)])
        def __call__(self, x: Any) -> Any:
            y = tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "VALID") + self.kernel_bias)
            return tf.matmul(tf.reshape(y, (2, -1)), self.matrix) + self.bias

    return Module()


def tensorflow_models(folder: Path) -> Iterator[Subject]:
    import tensorflow as tf

    module = tensorflow_module()

    def function(x: Any) -> Any:
        y = tf.nn.relu(tf.nn.conv2d(x, module.kernel, 1, "VALID") + module.kernel_bias)
        return tf.matmul(tf.reshape(y, (2, -1)), module.matrix) + module.bias

    yield Subject("module", module)
    yield Subject("tf.function", tf.function(function), NHWC)
    yield Subject("concrete function", tf.function(function).get_concrete_function(tf.TensorSpec(NHWC)))
    yield Subject("function", function, NHWC)
    yield Subject("tensor", lambda x: module(x), tf.ones(NHWC))
    yield Subject("SavedModel", folder / "saved")


def keras_network() -> Any:
    import keras

    # a bias of zeros would be left out of the TFLite file
    layers = [keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="ones"), keras.layers.Flatten()]
    layers += [keras.layers.Dense(5, bias_initializer="ones")]
    return keras.Sequential([keras.Input((6, 6, 3), batch_size=2), *layers])


def keras_models(folder: Path) -> Iterator[Subject]:
    yield Subject("live", keras_network())
    yield Subject(".keras", folder / "net.keras")
    yield Subject(".h5", folder / "net.h5")


def mxnet_network() -> Any:
    mx = import_mxnet()
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(4, 3, in_channels=3, activation="relu"), mx.gluon.nn.Flatten())
    net.add(mx.gluon.nn.Dense(5, in_units=64))
    net.initialize()
    return net


def mxnet_models(folder: Path) -> Iterator[Subject]:
    mx = import_mxnet()
    net = mxnet_network()
    yield Subject("block", net, NCHW)
    yield Subject("symbol", net(mx.sym.var("data")), NCHW)
    yield Subject("symbol file", folder / "net-symbol.json", NCHW)


# -- files ------------------------------------------------------------------------------------------------------------


def onnx_file(path: Path) -> None:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper, save

    weights = {"kernel": (4, 3, 3, 3), "kernel_bias": (4,), "matrix": (64, 5), "bias": (5,)}
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "kernel_bias"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "matrix", "bias"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", NCHW), ("y", (2, 5))))
    stored = [numpy_helper.from_array(np.ones(shape, "float32"), name) for name, shape in weights.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], stored)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def onnx_models(folder: Path) -> Iterator[Subject]:
    yield Subject("file", folder / "net.onnx")


def onnxruntime_models(folder: Path) -> Iterator[Subject]:
    """The runtime beside the file that it runs."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "net.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.ones(NCHW, "float32")})[0].shape == (2, 5)
    yield Subject("file", folder / "net.onnx")


def litert_models(folder: Path) -> Iterator[Subject]:
    """The runtime beside the file that it runs."""
    from ai_edge_litert.interpreter import Interpreter

    Interpreter(str(folder / "net.tflite")).allocate_tensors()
    yield Subject("file", folder / "net.tflite")


MODELS: dict[str, Callable[[Path], Iterator[Subject]]] = {
    "torch": torch_models,
    "jax": jax_models,
    "flax": flax_models,
    "tensorflow": tensorflow_models,
    "keras": keras_models,
    "mxnet": mxnet_models,
    "onnx": onnx_models,
    "onnxruntime": onnxruntime_models,
    "ai_edge_litert.interpreter": litert_models,
}


def imported(name: str) -> ModuleType:
    return import_mxnet() if name == "mxnet" else import_module(name)


# -- what is run ------------------------------------------------------------------------------------------------------


def write(folder: Path) -> None:
    import keras
    import tensorflow as tf

    onnx_file(folder / "net.onnx")
    net = keras_network()
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    tf.saved_model.save(tensorflow_module(), str(folder / "saved"))
    (folder / "net.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(net).convert())
    block = mxnet_network()
    block.hybridize()
    block(import_mxnet().nd.ones(NCHW))
    block.export(str(folder / "net"))
    assert keras.backend.backend() == "tensorflow"


def analyzed(subject: Subject) -> dict[str, Any]:
    """The numbers, and what of the process is other than before."""
    before = settings.fingerprint()
    report = multiprof.analyze(subject.model, subject.inputs)
    difference = settings.changed(before, settings.fingerprint())
    return {
        "framework": report.graph.framework,
        "macs": report.macs,
        "flops": report.flops,
        "params": report.params,
        "unsupported": list(report.unsupported()),
        "changed": {name: repr(values)[:500] for name, values in difference.items()},
    }


def analyze(folder: Path, order: list[str]) -> None:
    found: dict[str, list[Any]] = {}
    subjects: list[tuple[str, Subject]] = []
    for name in order:
        imported(name)
        for subject in MODELS[name](folder):
            subjects.append((f"{name}: {subject.name}", subject))
            found[subjects[-1][0]] = [analyzed(subject)]
    for name, subject in reversed(subjects):
        found[name].append(analyzed(subject))
    loaded = [name for name in ("jax", "tensorflow", "torch") if name in order]
    undecided = [told(square, (3, 3)), *(told(square, (3, 3), framework=name) for name in loaded)]
    json.dump({"models": found, "undecided": undecided}, sys.stdout)


def square(x: Any) -> Any:
    """Of any framework."""
    return x @ x


def told(*arguments: Any, **options: Any) -> str:
    """The macs, or why there are none."""
    try:
        return str(multiprof.analyze(*arguments, **options).macs)
    except multiprof.MultiprofError as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]))
    else:
        analyze(Path(sys.argv[2]), sys.argv[3:])
