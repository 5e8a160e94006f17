"""Layers with arithmetic, by hand; and what a model's own code computes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]
Ops = Callable[[Report], dict[str, list[Any]]]

# (layer, shape of its input, multiply-adds)
CONVOLUTIONS: dict[str, tuple[Callable[[], Any], tuple[int, ...], int]] = {
    "grouped": (lambda: layers.Conv2D(12, 3, groups=4, padding="same"), (1, 16, 16, 8), 16 * 16 * 12 * 9 * 2),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (2, 16, 16, 8), 2 * 14 * 14 * 16 * 9),
    "separable": (lambda: layers.SeparableConv2D(12, 3), (1, 16, 16, 8), 14 * 14 * 8 * (9 + 12)),
    "transposed": (
        lambda: layers.Conv2DTranspose(12, 3, strides=2, padding="same"),
        (1, 16, 16, 8),
        16 * 16 * 8 * 9 * 12,
    ),
    "transposed row": (lambda: layers.Conv1DTranspose(12, 4, strides=2), (1, 16, 8), 16 * 8 * 4 * 12),
    "volume": (lambda: layers.Conv3D(5, 3, strides=2), (1, 6, 6, 6, 2), 2 * 2 * 2 * 5 * 27 * 2),
    "einsum": (lambda: layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"), (3, 10, 16), 3 * 10 * 16 * 5),
    "distributed": (lambda: layers.TimeDistributed(layers.Dense(3)), (2, 20, 7), 2 * 20 * 7 * 3),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_layer_costs_what_its_definition_says(name: str, analyze: Analyze, kept: Callable[[Report], int]) -> None:
    make, shape, macs = CONVOLUTIONS[name]
    x = layers.Input(shape[1:])
    model = keras.Model(x, make()(x))
    report = analyze(model, shape)
    assert report.macs == macs
    assert kept(report) == model.count_params()
    assert not report.unsupported()
    assert not report.warnings


def test_attention(analyze: Analyze) -> None:
    x = layers.Input((10, 16))
    report = analyze(keras.Model(x, layers.MultiHeadAttention(4, 8)(x, x)), (3, 10, 16))
    assert report.macs == 3 * (4 * 10 * 16 * 32 + 4 * 10 * 10 * (8 + 8))  # four projections; scores and values
    grouped = analyze(keras.Model(x, layers.GroupQueryAttention(8, 4, 2)(x, x)), (3, 10, 16))
    # queries and results have 4 heads of 8, keys and values 2; every query head meets its keys
    assert grouped.macs == 3 * (2 * 10 * 16 * 32 + 2 * 10 * 16 * 16 + 4 * 10 * 10 * (8 + 8))


class Pairs(keras.Model):
    """Its call computes with functions, which no layer shows."""

    def __init__(self, einsum: Callable[..., Any]) -> None:
        super().__init__()
        self.inner = layers.Dense(6, name="inner")
        self.einsum = einsum

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        return self.einsum("bi,bj->ij", y, y)


@pytest.mark.parametrize("own", [False, True])
def test_functions_in_a_call_are_counted(own: bool, analyze: Analyze) -> None:
    module = {"jax": "jax.numpy"}.get(keras.backend.backend(), keras.backend.backend())
    model = Pairs(sys.modules[module].einsum if own else keras.ops.einsum)
    model(np.ones((4, 3), "float32"))
    report = analyze(model, (4, 3))
    assert report.macs == 4 * 3 * 6 + 6 * 4 * 6
    assert report.params == 3 * 6 + 6
    assert [layer.scope for layer in report.graph.layers if layer.op == "linear"] == ["inner"]


def test_nested_and_shared_layers_with_several_inputs_and_outputs(analyze: Analyze, ops_of: Ops) -> None:
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b")], name="inner")
    shared = layers.Dense(4, name="shared")
    p, q = layers.Input((4,), name="p"), layers.Input((4,), name="q")
    model = keras.Model({"q": q, "p": p}, [layers.add([inner(shared(p)), shared(q)]), inner(q)])
    report = analyze(model, {"p": (2, 4), "q": (2, 4)})
    assert [layer.scope for layer in ops_of(report)["linear"]].count("shared") == 2
    assert sorted({layer.scope for layer in ops_of(report)["linear"]}) == ["inner.a", "inner.b", "shared"]
    assert report.macs == 2 * 4 * 4 * (2 + 2 * 2)  # shared twice, and both of inner twice
    assert report.params == model.count_params() == 3 * (4 * 4 + 4)
    assert {spec.name for spec in report.graph.inputs} == {"p", "q"}
    assert len(report.graph.outputs) == 2


def test_frozen_weights_are_parameters_that_do_not_train(analyze: Analyze) -> None:
    model = keras.Sequential([layers.Input((5,)), layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5)])
    model.layers[0].trainable = False
    report = analyze(model, (2, 5))
    assert report.params == 5 * 3 + 3 + 2 * 3
    assert report.trainable_params == 2 * 3
    kinds = {name.rpartition("/")[2]: p.kind for name, p in report.graph.parameters.items()}
    assert kinds == {
        "kernel": "parameter",
        "bias": "parameter",
        "gamma": "parameter",
        "beta": "parameter",
        "moving_mean": "buffer",
        "moving_variance": "buffer",
    }


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 2), (5, 3), (2, 3), (3, 1)])
def test_what_a_deconvolution_crops(padding: str, kernel: int, stride: int, analyze: Analyze) -> None:
    """Where Keras puts what one element of x makes says how much it crops before; the size says how much behind."""
    steps, at = 7, 3
    layer = layers.Conv1DTranspose(1, kernel, stride, padding, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((steps, 1)), layer])
    one = np.zeros((1, steps, 1), np.float32)
    one[0, at] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's __array__ knows no copy=, which numpy 2 wants
        made = keras.ops.convert_to_numpy(model(one))[0, :, 0]
    attrs = analyze(model, (1, steps, 1)).graph.layers[0].attrs
    ((before, behind),) = attrs["padding"]
    assert list(np.flatnonzero(made)) == [at * stride - before + tap for tap in range(kernel)]
    assert len(made) == (steps - 1) * stride + kernel - before - behind + attrs["output_padding"][0]
