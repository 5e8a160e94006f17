"""Layers and networks of Keras 2, each against its definition or a count from the shapes of its layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from multiprof.report import Report

Analyze = Callable[..., Report]
Ops = Callable[[Report], dict[str, list[Any]]]
Kept = Callable[[Report], int]

S = 2 * 20  # sequences · steps
N = 7 + 5  # input size and hidden size

# (layer, shape of its input, multiply-adds)
LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], int]] = {
    "dense": (lambda k: k.Dense(3, activation="relu"), (2, 4, 5), 2 * 4 * 5 * 3),
    "grouped": (lambda k: k.Conv2D(12, 3, groups=4, padding="same"), (1, 16, 16, 8), 16 * 16 * 12 * 9 * 2),
    "depthwise": (lambda k: k.DepthwiseConv2D(3, depth_multiplier=2), (2, 16, 16, 8), 2 * 14 * 14 * 16 * 9),
    "separable": (lambda k: k.SeparableConv2D(12, 3), (1, 16, 16, 8), 14 * 14 * 8 * (9 + 12)),
    "separable row": (lambda k: k.SeparableConv1D(12, 3), (1, 16, 8), 14 * 8 * (3 + 12)),
    "transposed": (
        lambda k: k.Conv2DTranspose(12, 3, strides=2, padding="same"),
        (1, 16, 16, 8),
        16 * 16 * 8 * 9 * 12,
    ),
    "row": (lambda k: k.Conv1D(6, 5, padding="causal", dilation_rate=2), (2, 30, 4), 2 * 30 * 6 * 5 * 4),
    "volume": (lambda k: k.Conv3D(5, 3, strides=2), (1, 6, 6, 6, 2), 2 * 2 * 2 * 5 * 27 * 2),
    "distributed": (lambda k: k.TimeDistributed(k.Dense(3)), (2, 20, 7), 2 * 20 * 7 * 3),
    "distributed convolution": (lambda k: k.TimeDistributed(k.Conv2D(4, 3)), (2, 5, 8, 8, 3), 2 * 5 * 36 * 4 * 27),
    # 4 steps, 4 gates of 2 channels, each a 3×3 convolution of 3 + 2 channels over 6×6 places
    "convolutional": (lambda k: k.ConvLSTM2D(2, 3, padding="same"), (1, 4, 6, 6, 3), 4 * 4 * 2 * 36 * 9 * 5),
    "another activation": (lambda k: k.LSTM(5, activation="relu"), (2, 20, 7), S * 4 * 5 * N),
    "stacked cells": (
        lambda k: k.RNN([k.LSTMCell(4), k.GRUCell(5)]),
        (2, 20, 7),
        S * (4 * 4 * (7 + 4) + 3 * 5 * (4 + 5)),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_costs_what_its_definition_says(name: str, keras: Any, analyze: Analyze, kept: Kept) -> None:
    make, shape, macs = LAYERS[name]
    x = keras.Input(shape[1:])
    model = keras.Model(x, make(keras.layers)(x))
    report = analyze(model, shape)
    assert report.macs == macs
    assert kept(report) == model.count_params()
    assert not report.unsupported()
    assert [spec.shape for spec in report.graph.outputs] == [tuple(shape[:1]) + tuple(model.output_shape[1:])]


def test_attention(keras: Any, analyze: Analyze, kept: Kept) -> None:
    x = keras.Input((10, 16))
    model = keras.Model(x, keras.layers.MultiHeadAttention(4, 8)(x, x))
    report = analyze(model, (3, 10, 16))
    assert report.macs == 3 * (4 * 10 * 16 * 32 + 4 * 10 * 10 * (8 + 8))  # four projections; scores and values
    assert kept(report) == model.count_params() == 4 * 16 * 32 + 3 * 32 + 16


# (layer, canonical op, how many of it, multiply-adds): 4, 3 and 1 products of [x, h] for each unit and step
CANONICAL: dict[str, tuple[Callable[[Any], Any], str, int, int]] = {
    "lstm": (lambda k: k.LSTM(5), "lstm", 1, S * 4 * 5 * N),
    "lstm of sequences": (lambda k: k.LSTM(5, use_bias=False, return_sequences=True), "lstm", 1, S * 4 * 5 * N),
    "lstm backwards": (lambda k: k.LSTM(5, unroll=True, go_backwards=True), "lstm", 1, S * 4 * 5 * N),
    "lstm cell": (lambda k: k.RNN(k.LSTMCell(5)), "lstm", 1, S * 4 * 5 * N),
    "gru": (lambda k: k.GRU(5), "gru", 1, S * 3 * 5 * N),
    "gru, reset before": (lambda k: k.GRU(5, reset_after=False), "gru", 1, S * 3 * 5 * N),
    "rnn": (lambda k: k.SimpleRNN(5, activation="relu"), "rnn", 1, S * 5 * N),
    "both directions": (lambda k: k.Bidirectional(k.GRU(5)), "gru", 2, 2 * S * 3 * 5 * N),
}


@pytest.mark.parametrize("name", CANONICAL)
def test_a_recurrent_layer_is_one_layer_for_each_direction(
    name: str, keras: Any, analyze: Analyze, ops_of: Ops, kept: Kept
) -> None:
    make, op, count, macs = CANONICAL[name]
    x = keras.Input((20, 7))
    model = keras.Model(x, make(keras.layers)(x))
    report = analyze(model, (2, 20, 7))
    assert report.macs == macs
    assert len(ops_of(report)[op]) == count
    assert not report.graph.regions
    assert kept(report) == model.count_params()
    assert not {"fill", "slice", "sum", "maximum"} & ops_of(report).keys()
    assert report.graph.outputs[0].shape == (2, *model.output_shape[1:])


@pytest.mark.parametrize(("reset_after", "biases"), [(True, 2), (False, 1)])
def test_the_biases_of_a_gru(reset_after: bool, biases: int, keras: Any, analyze: Analyze) -> None:
    """Reset after the product needs a bias in each product: 3·H additions more a step."""
    x = keras.Input((20, 7))
    report = analyze(keras.Model(x, keras.layers.GRU(5, reset_after=reset_after)(x)), (2, 20, 7))
    (gru,) = [layer for layer in report.layers if layer.layer.op == "gru"]
    assert gru.cost.terms["bias"].adds == S * 3 * 5 * biases
    assert report.params == 3 * 5 * (7 + 5 + biases)


def test_given_states_are_read_and_made(keras: Any, analyze: Analyze, ops_of: Ops) -> None:
    x, h, c = keras.Input((20, 7)), keras.Input((5,), name="h"), keras.Input((5,), name="c")
    lstm = keras.layers.LSTM(5, return_sequences=True, return_state=True)
    report = analyze(keras.Model([x, h, c], lstm(x, initial_state=[h, c])), dims={"batch": 2})
    (found,) = ops_of(report)["lstm"]
    assert (found.inputs["h0"].name, found.inputs["c0"].name) == ("h", "c")
    assert [spec.shape for spec in report.graph.outputs] == [(2, 20, 5), (2, 5), (2, 5)]


def test_a_state_that_stays_is_read_and_is_no_weight(keras: Any, analyze: Analyze, ops_of: Ops, kept: Kept) -> None:
    x = keras.Input(batch_shape=(2, 20, 7))
    model = keras.Model(x, keras.layers.LSTM(5, stateful=True)(x))
    report = analyze(model)
    assert report.macs == S * 4 * 5 * N
    assert {"h0", "c0"} <= ops_of(report)["lstm"][0].inputs.keys()
    assert kept(report) == report.params == model.count_params() == 4 * 5 * (N + 1)
    assert all(not np.any(state.numpy()) for state in model.layers[1].states)


def test_masked_steps_are_counted_and_said(keras: Any, analyze: Analyze) -> None:
    x = keras.Input((20,), dtype="int32")
    embedded = keras.layers.Embedding(9, 7, mask_zero=True)(x)
    report = analyze(keras.Model(x, keras.layers.GRU(5)(embedded)), (2, 20))
    assert report.macs == S * 3 * 5 * N
    assert any("masked" in warning for warning in report.warnings)


def test_functions_in_a_functional_model_are_layers(keras: Any, analyze: Analyze, ops_of: Ops) -> None:
    x = keras.Input((4, 6))
    y = tf.nn.relu(tf.matmul(x, x, transpose_b=True)) + 1.0
    report = analyze(keras.Model(x, keras.layers.Dense(3, name="head")(y)), (2, 4, 6))
    assert report.macs == 2 * 4 * 4 * 6 + 2 * 4 * 4 * 3
    assert {"matmul", "relu", "add", "linear"} <= ops_of(report).keys()
    assert all("." not in layer.scope for layer in report.graph.layers), "tf.nn.relu is one module, not three"


def test_nested_and_shared_layers_with_several_inputs(keras: Any, analyze: Analyze, ops_of: Ops) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="inner")
    shared = layers.Dense(4, name="shared")
    p, q = keras.Input((4,), name="p"), keras.Input((4,), name="q")
    model = keras.Model({"q": q, "p": p}, [layers.add([inner(shared(p)), shared(q)]), inner(q)])
    report = analyze(model, {"p": (2, 4), "q": (2, 4)})
    assert report.macs == 2 * 4 * 4 * (2 + 2 * 2)  # shared twice, and both of inner twice
    assert report.params == model.count_params() == 3 * (4 * 4 + 4)
    assert sorted({layer.scope for layer in ops_of(report)["linear"]}) == ["inner.a", "inner.b", "shared"]
    assert {spec.name for spec in report.graph.inputs} == {"p", "q"}
    assert len(report.graph.outputs) == 2


def test_a_subclassed_model(keras: Any, analyze: Analyze, ops_of: Ops) -> None:
    class Pairs(keras.Model):  # type: ignore[misc, name-defined]
        """Its call computes with functions, which no layer shows, and would drop out if it were trained."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(6, name="inner")
            self.drop = keras.layers.Dropout(0.5)

        def call(self, x: Any, training: Any = True) -> Any:
            y = self.drop(self.inner(x), training=training)
            return tf.einsum("bi,bj->ij", y, y)

    model = Pairs()
    model(np.ones((4, 3), "float32"))
    report = analyze(model, (4, 3))
    assert report.macs == 4 * 3 * 6 + 6 * 4 * 6
    assert report.params == 3 * 6 + 6
    assert [layer.scope for layer in ops_of(report)["linear"]] == ["inner"]
    assert not report.unsupported()
    assert not any("random" in layer.op or layer.region for layer in report.graph.layers), "read as at inference"


def test_frozen_weights_and_statistics(keras: Any, analyze: Analyze) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5)])
    model.layers[0].trainable = False
    report = analyze(model, (2, 5))
    assert report.params == 5 * 3 + 3 + 2 * 3
    assert report.trainable_params == 2 * 3
    kinds = {name.rpartition("/")[2]: p.kind for name, p in report.graph.parameters.items()}
    assert kinds == dict.fromkeys(("kernel", "bias", "gamma", "beta"), "parameter") | dict.fromkeys(
        ("moving_mean", "moving_variance"), "buffer"
    )


def test_mixed_precision_keeps_the_weights_type(keras: Any, analyze: Analyze, kept: Kept) -> None:
    x = keras.Input((20, 7))
    y = keras.layers.LSTM(5, dtype="mixed_float16")(x)
    model = keras.Model(x, keras.layers.Dense(3, dtype="mixed_float16")(y))
    report = analyze(model, (2, 20, 7))
    assert report.macs == S * 4 * 5 * N + 2 * 5 * 3
    assert {p.spec.dtype for p in report.graph.parameters.values()} == {"float32"}
    assert report.graph.outputs[0].dtype == "float16"
    assert kept(report) == model.count_params()


def by_shapes(model: Any, layers: Any) -> int:
    """Multiply-adds of a network of convolutions and dense layers for one sample: |y| · kernel elements · C_i/G."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, layers.DepthwiseConv2D):
            total += prod(layer.output_shape[1:]) * prod(layer.kernel_size)
        elif isinstance(layer, layers.SeparableConv2D):
            _, height, width, out = layer.output_shape
            depth = layer.depth_multiplier * layer.input_shape[-1]
            total += height * width * depth * (prod(layer.kernel_size) + out)
        elif isinstance(layer, layers.Conv2D):
            total += prod(layer.output_shape[1:]) * prod(layer.kernel.shape[:3])
        elif isinstance(layer, layers.Dense):
            total += prod(layer.output_shape[1:]) * int(layer.kernel.shape[0])
    return total


KNOWN = {"ResNet50": 3_857_973_248, "MobileNetV2": 300_774_272}


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "Xception"])
def test_an_application_costs_what_its_layers_shapes_say(name: str, keras: Any, analyze: Analyze, kept: Kept) -> None:
    model = getattr(keras.applications, name)(weights=None)
    report = analyze(model, dims={"batch": 1})
    assert report.macs == by_shapes(model, keras.layers) == KNOWN.get(name, report.macs)
    assert kept(report) == model.count_params()
    assert report.params == report.trainable_params == sum(prod(v.shape) for v in model.trainable_weights)
    assert not report.unsupported()
