"""A graph of Keras or ONNX, run as a torch program with the model's weights in it, gives what its own runtime gives.

So the graph says enough not only to run, but to compute the same: channels last and orders of weights, SAME padding,
other orders of gates, reversed sequences. The oracles are Keras's own execution and ONNX Runtime's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

import multiprof


def image(keras: Any) -> Any:
    """Strided, depthwise, transposed and separable convolutions, batch norms, pooling and resizing, all SAME."""
    layers = keras.layers
    start = keras.Input((16, 16, 3), batch_size=2)
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(start)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    x = layers.BatchNormalization()(layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x))
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(layers.AveragePooling2D(3, 2, padding="same")(x))
    x = layers.Flatten()(layers.UpSampling2D(2, interpolation="bilinear")(x))
    return keras.Model(start, layers.Dense(5, activation="softmax")(x))


def volume(keras: Any) -> Any:
    start = keras.Input((5, 6, 7, 2), batch_size=2)
    x = keras.layers.Conv3D(4, 2, padding="same")(start)
    return keras.Model(start, keras.layers.Conv3DTranspose(4, 3, strides=2)(x))


def on_a_sequence(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(keras: Any) -> Any:
        start = keras.Input((7, 6), batch_size=2)
        return keras.Model(start, make(keras.layers)(start))

    return build


def attended(layers: Any) -> Any:
    attention, norm = layers.MultiHeadAttention(2, 4), layers.LayerNormalization()
    return lambda x: norm(attention(x, x))


MODELS: dict[str, Callable[[Any], Any]] = {
    "image": image,
    "volume": volume,
    "causal convolution": on_a_sequence(lambda layers: layers.Conv1D(8, 3, padding="causal", dilation_rate=2)),
    "lstm": on_a_sequence(lambda layers: layers.LSTM(5, return_sequences=True)),
    "gru": on_a_sequence(lambda layers: layers.GRU(5, return_sequences=True)),
    "gru, reset before": on_a_sequence(lambda layers: layers.GRU(5, reset_after=False)),
    "rnn": on_a_sequence(lambda layers: layers.SimpleRNN(5)),
    "both directions": on_a_sequence(lambda layers: layers.Bidirectional(layers.LSTM(5, return_sequences=True))),
    "attention": on_a_sequence(attended),
}


# TensorFlow's variables under numpy 2, asked by Keras for their values
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_keras_model_computes_the_same(build: Callable[[Any], Any]) -> None:
    keras, numpy = importlib.import_module("keras"), importlib.import_module("numpy")
    lower = importlib.import_module("multiprof_benchmark.lower.torch").lower
    random = numpy.random.default_rng(0)
    model = build(keras)
    for weight in model.weights:  # away from the zeros and ones that new biases and norms have
        shape = tuple(weight.shape)
        positive = "variance" in weight.path or "gamma" in weight.path
        weight.assign(random.uniform(0.5, 1.5, shape) if positive else random.normal(0, 0.3, shape))
    values = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.weights}
    program = lower(multiprof.analyze(model), values=values)
    assert program.share.complete
    assert program.drawn == ()
    (x,) = program.examples
    (got,) = program(x)
    expected = keras.ops.convert_to_numpy(model(x.numpy()))
    numpy.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # the exporter's own, on the way to the file
@pytest.mark.parametrize("network", ["resnet_stack", "generator", "fcn_head", "bilstm", "gru"])
def test_an_onnx_file_computes_what_onnx_runtime_does(network: str) -> None:
    """Its weights are found under their names in the file; a bidirectional LSTM's are pieces of one tensor."""
    names = ("onnx", "onnxruntime", "numpy", "multiprof_benchmark.lower.torch", "onnx_script_networks")
    onnx, runtime, numpy, lowering, networks = (importlib.import_module(name) for name in names)
    path, inputs, *_ = networks.NETWORKS[network]()
    graph = onnx.load(path).graph
    stored = list(graph.initializer)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor).copy() for tensor in stored}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t).copy()
    program = lowering.lower(multiprof.analyze(path, inputs), values=values)
    assert program.drawn == ()
    examples = program.examples
    fed = {spec.name: tensor.numpy() for spec, tensor in zip(program.inputs, examples, strict=True)}
    for expected, got in zip(runtime.InferenceSession(str(path)).run(None, fed), program(*examples), strict=True):
        numpy.testing.assert_allclose(got.numpy(), expected, rtol=1e-3, atol=1e-4)
