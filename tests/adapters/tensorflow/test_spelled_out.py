"""What TensorFlow spells out, or wraps in views, becomes the layer that other frameworks have; what only looks like it
does not."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
import tensorflow as tf

N, WIDTH = 3, 8
GAMMA = tf.Variable(tf.ones(WIDTH), name="gamma")
BETA = tf.Variable(tf.zeros(WIDTH), name="beta")
SQUARE = tf.Variable(tf.random.stateless_normal((WIDTH, WIDTH), (1, 2)), name="square")
ROW = tf.Variable(tf.ones(WIDTH), name="row")
# over 8, affine: 31 additions, 24 multiplications, 2 divisions, a root
LAYER_NORM = 31 + 24 + 2 + 1
BY_ERF, BY_TANH = 3 + 1 + 1, 6 + 2 + 1  # multiplications, additions, the function


def ops(report):
    return [row.op for row in report.layers if row.state != "prepared"]


# ------------------------------------------------------------------------------------------------------------ gelu


@pytest.mark.parametrize(
    ("function", "approximate"),
    [
        (tf.nn.gelu, "none"),
        (lambda x: tf.nn.gelu(x, approximate=True), "tanh"),
        (lambda x: 0.5 * x * (1.0 + tf.math.erf(x / sqrt(2))), "none"),
        (lambda x: x * (0.5 * (tf.math.erf(x * sqrt(0.5)) + 1)), "none"),
        (lambda x: x * (1 + tf.math.erf(x / sqrt(2))) / 2, "none"),
        (lambda x: (tf.math.erf(x / sqrt(2)) + 1) * x * 0.5, "none"),
        (lambda x: 0.5 * x * tf.math.erfc(x * -sqrt(0.5)), "none"),
        (lambda x: x * 0.5 * (1 + tf.tanh(sqrt(2 / pi) * (x + 0.044715 * tf.pow(x, 3)))), "tanh"),
        (lambda x: x * (0.5 + 0.5 * tf.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))), None),  # another sum
        (lambda x: 0.5 * x * (1.0 + tf.math.erf(x)), None),
        (lambda x: 0.5 * x * (1.0 + tf.math.erf(2 * x / sqrt(2))), None),
        (lambda x: 0.5 * x * (2.0 + tf.math.erf(x / sqrt(2))), None),
        (lambda x: x * (1.0 + tf.math.erf(x / sqrt(2))), None),  # the half is missing
        (lambda x: 0.5 * x * tf.math.erfc(x / sqrt(2)), None),  # the sign is
        (lambda x: 0.5 * x * (1 + tf.tanh(sqrt(2 / pi) * (x + 0.044715 * x**2))), None),
    ],
)
def test_gelu(cost, function, approximate):
    """A form is taken for gelu where it computes gelu, by the values of TensorFlow."""
    x = tf.constant(np.linspace(-3, 3, 24).reshape(N, WIDTH), tf.float32)
    same = {
        name: np.allclose(function(x), tf.nn.gelu(x, approximate=name == "tanh"), atol=1e-6)
        for name in ("none", "tanh")
    }
    report = cost(tf.function(lambda x: function(x)), (N, WIDTH))
    if approximate is None:
        assert "gelu" not in ops(report)
        return
    assert same == {name: name == approximate for name in same}
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["approximate"]) == ("gelu", approximate)
    assert report.flops == N * WIDTH * (BY_ERF if approximate == "none" else BY_TANH)


def test_gelu_of_which_a_step_is_used_elsewhere(cost):
    def function(x):
        curve = tf.math.erf(x / sqrt(2))
        return 0.5 * x * (1.0 + curve) + curve

    assert "gelu" not in ops(cost(tf.function(function), (N, WIDTH)))


# ----------------------------------------------------------------------------------------------------------- norms


def by_moments(x, beta=BETA, gamma=GAMMA):
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-6)


def by_root(x):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    return GAMMA * (centred / tf.sqrt(variance + 1e-6)) + BETA


def by_reciprocal(x):
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-6) * GAMMA + BETA


@pytest.mark.parametrize("function", [by_moments, by_root, by_reciprocal])
def test_layer_norm(cost, function):
    x = tf.constant(np.random.default_rng(0).normal(size=(N, WIDTH)), tf.float32)
    assert np.allclose(function(x), by_moments(x), atol=1e-5)
    report = cost(tf.function(lambda x: function(x)), (N, WIDTH))
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["normalized_size"], layer.attrs["eps"]) == ("layer_norm", WIDTH, pytest.approx(1e-6))
    assert (layer.inputs["weight"].name, layer.inputs["bias"].name) == ("gamma", "beta")
    assert report.flops == N * LAYER_NORM


@pytest.mark.parametrize(("beta", "gamma"), [(None, GAMMA), (BETA, None), (None, None)])
def test_layer_norm_without_shift_or_scale(cost, beta, gamma):
    report = cost(tf.function(lambda x: by_moments(x, beta, gamma)), (N, WIDTH))
    (layer,) = report.graph.layers
    assert layer.op == "layer_norm"
    assert ("weight" in layer.inputs, "bias" in layer.inputs) == (gamma is not None, beta is not None)
    assert report.flops == N * (LAYER_NORM - WIDTH * ((beta is None) + (gamma is None)))


def test_rms_norm(cost):
    def function(x):
        return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + 1e-6) * GAMMA

    (layer,) = cost(tf.function(function), (N, WIDTH)).graph.layers
    assert layer.op == "rms_norm"


def of_another_variance(x):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(x), -1, keepdims=True)
    return centred / tf.sqrt(variance + 1e-6) * GAMMA + BETA


def of_the_batch(x):
    mean, variance = tf.nn.moments(x, 0, keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, BETA, GAMMA, 1e-6)


def with_more(x):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    return centred / tf.sqrt(variance + 1e-6) * GAMMA + BETA + centred


@pytest.mark.parametrize("function", [of_another_variance, of_the_batch, with_more])
def test_what_is_no_layer_norm(cost, function):
    report = cost(tf.function(lambda x: function(x)), (N, WIDTH))
    assert not {"layer_norm", "batch_norm"} & set(ops(report))


# ---------------------------------------------------------------------------------------------------- rows, products


def test_conv1d_takes_its_bias_and_its_norm(cost):
    """3 steps of 20 in, filters of 5 over 4 channels: no padding, every second step, so 8 steps of 6 out."""
    kernel = tf.Variable(tf.zeros((5, 4, 6)), name="kernel")
    values = {name: tf.Variable(tf.ones(6), name=name, trainable=name in ("scale", "shift")) for name in
              ("mean", "variance", "shift", "scale")}  # fmt: skip
    bias = tf.Variable(tf.zeros(6), name="bias")

    def function(x):
        x = tf.nn.bias_add(tf.nn.conv1d(x, kernel, 2, "VALID"), bias)
        return tf.nn.batch_normalization(x, *values.values(), 1e-3)

    report = cost(tf.function(function), (3, 20, 4))
    conv, norm = report.graph.layers
    assert (conv.op, norm.op) == ("conv", "batch_norm")
    assert (conv.inputs["x"].shape, conv.inputs["weight"].shape, conv.y.shape) == ((3, 20, 4), (5, 4, 6), (3, 8, 6))
    assert {name: conv.attrs[name] for name in ("kernel_size", "stride", "padding", "dilation", "data_format")} == {
        "kernel_size": (5,), "stride": (2,), "padding": ((0, 0),), "dilation": (1,), "data_format": "NLC",
    }  # fmt: skip
    assert [row.state for row in report.layers] == ["priced", "folded"]
    assert report.macs == 3 * 8 * 6 * (5 * 4)
    assert report.flops == 2 * report.macs + 3 * 8 * 6


def test_a_depthwise_filter_of_one_row(cost):
    kernel = tf.Variable(tf.zeros((1, 9, 4, 1)), name="kernel")

    def function(x):
        return tf.squeeze(tf.nn.depthwise_conv2d(tf.expand_dims(x, 1), kernel, [1, 1, 1, 1], "SAME"), 1)

    report = cost(tf.function(function), (3, 20, 4))
    (conv,) = report.graph.layers
    assert (conv.op, conv.attrs["groups"], conv.attrs["kernel_size"]) == ("conv", 4, (9,))
    assert (conv.inputs["weight"].name, conv.inputs["weight"].shape) == ("kernel", (9, 4, 1))
    assert report.params == 36
    assert report.macs == 3 * 20 * 4 * 9


def test_a_separable_convolution_of_rows(cost):
    depthwise, pointwise = tf.Variable(tf.zeros((9, 4, 1)), name="d"), tf.Variable(tf.zeros((1, 4, 6)), name="p")

    def function(x):
        filters = tf.expand_dims(depthwise, 0), tf.expand_dims(pointwise, 0)
        return tf.squeeze(tf.nn.separable_conv2d(tf.expand_dims(x, 1), *filters, (1, 1, 1, 1), "VALID"), 1)

    report = cost(tf.function(function), (3, 20, 4))
    first, second = report.graph.layers
    assert (first.op, first.attrs["groups"], first.y.shape) == ("conv", 4, (3, 12, 4))
    assert (second.op, second.attrs["groups"], second.inputs["x"].shape) == ("conv", 1, (3, 12, 4))
    assert second.y.shape == (3, 12, 6)
    assert report.macs == 3 * 12 * 4 * 9 + 3 * 12 * 6 * 4


@pytest.mark.parametrize(
    ("block", "paddings", "crops", "padding"),
    [
        ((2, 2), ((2, 2), (2, 2)), ((0, 0), (0, 0)), ((2, 2), (2, 2))),
        ((2, 2), ((0, 0), (0, 0)), ((0, 0), (0, 0)), ((0, 0), (0, 0))),
        ((3, 1), ((3, 6), (0, 0)), ((0, 2), (0, 0)), ((3, 4), (0, 0))),  # padded further to whole blocks
        ((2, 2), ((2, 2), (2, 2)), ((3, 0), (0, 0)), None),  # more is cropped than was padded
    ],
)
def test_a_dilated_convolution_in_blocks(cost, block, paddings, crops, padding):
    """Filters of 3×3 over 12×10: what `tf.nn.conv2d` makes of it with a dilation, and with that padding."""
    kernel = tf.Variable(tf.random.stateless_normal((3, 3, 4, 6), (1, 2)), name="kernel")

    def function(x):
        x = tf.nn.conv2d(tf.space_to_batch(x, block, paddings), kernel, 1, "VALID")
        return tf.nn.bias_add(tf.batch_to_space(x, block, crops), tf.constant(np.ones(6, np.float32)))

    report = cost(tf.function(function), (2, 12, 10, 4))
    if padding is None:
        assert {"transpose", "conv", "slice"} <= set(ops(report))
        return
    (conv,) = report.graph.layers
    assert (conv.attrs["dilation"], conv.attrs["padding"]) == (block, padding)
    x = tf.random.stateless_normal((2, 12, 10, 4), (3, 4))
    found = tf.nn.conv2d(x, kernel, 1, [(0, 0), *padding, (0, 0)], dilations=block) + 1.0
    assert np.allclose(found, function(x), atol=1e-4)
    assert conv.y.shape == tuple(found.shape)
    assert report.macs == found.shape.num_elements() * (3 * 3 * 4)


def test_blocks_of_which_more_is_made_stay(cost):
    kernel = tf.Variable(tf.zeros((3, 3, 4, 4)), name="kernel")

    def strided(x):
        return tf.batch_to_space(
            tf.nn.conv2d(tf.space_to_batch(x, (2, 2), ((0, 0), (0, 0))), kernel, 2, "SAME"), (2, 2), ((0, 0), (0, 0))
        )

    def curved(x):
        inner = tf.nn.conv2d(tf.space_to_batch(x, (2, 2), ((0, 0), (0, 0))), kernel, 1, "VALID")
        return tf.batch_to_space(tf.nn.relu(inner), (2, 2), ((0, 0), (0, 0)))

    for function in (strided, curved):
        assert ops(cost(tf.function(function), (2, 16, 16, 4))).count("transpose") == 2


def test_a_filter_of_several_rows_stays(cost):
    kernel = tf.Variable(tf.zeros((3, 3, 4, 6)), name="kernel")

    def function(x):
        return tf.squeeze(tf.nn.conv2d(tf.expand_dims(x, 1), kernel, 1, "SAME"), 1)

    report = cost(tf.function(function), (3, 20, 4))
    assert ops(report) == ["reshape", "conv", "reshape"]
    assert report.macs == 3 * 20 * 6 * (3 * 3 * 4)


def test_a_product_over_the_last_of_many_axes(cost):
    function = tf.function(lambda x: tf.tensordot(x, SQUARE, 1) + ROW)
    report = cost(function, (2, 5, N, WIDTH))
    (layer,) = report.graph.layers
    assert layer.op == "linear"
    assert {role: spec.shape for role, spec in layer.inputs.items()} == {
        "x": (2, 5, N, WIDTH), "weight": (WIDTH, WIDTH), "bias": (WIDTH,),
    }  # fmt: skip
    assert report.macs == 2 * 5 * N * WIDTH * WIDTH
    assert report.flops == 2 * report.macs + 2 * 5 * N * WIDTH
    x = np.random.default_rng(0).normal(size=(2, 5, N, WIDTH)).astype(np.float32)
    found = np.einsum(layer.attrs["equation"], x, SQUARE.numpy()) + ROW.numpy()
    assert np.allclose(found, function(tf.constant(x)), atol=1e-4)


def test_views_that_do_more_than_split_what_was_merged_stay(cost):
    def function(x):
        return tf.reshape(tf.reshape(x, (-1, WIDTH)) @ SQUARE, (3, 2, WIDTH))

    assert ops(cost(tf.function(function), (2, 3, WIDTH))) == ["reshape", "linear", "reshape"]


# ---------------------------------------------------------------------------------------------------------- biases


@pytest.mark.parametrize("function", [lambda x: x @ SQUARE + ROW, lambda x: ROW + tf.matmul(x, SQUARE)])
def test_a_row_added_to_a_product_is_its_bias(cost, function):
    report = cost(tf.function(lambda x: function(x)), (N, WIDTH))
    (layer,) = report.graph.layers
    assert (layer.op, layer.inputs["bias"].name) == ("linear", "row")
    assert report.flops == 2 * N * WIDTH * WIDTH + N * WIDTH


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x @ SQUARE + tf.range(float(WIDTH)),  # nothing learned
        lambda x: SQUARE @ tf.transpose(x) + ROW[:N],  # along the batch
        lambda x: x @ SQUARE + SQUARE[:N],  # a number for every element
        lambda x: x @ SQUARE + x,
    ],
)
def test_what_is_no_bias(cost, function):
    report = cost(tf.function(lambda x: function(x)), (N, WIDTH))
    assert "add" in ops(report)
    assert not any("bias" in layer.inputs for layer in report.graph.layers)


def test_a_product_that_is_read_twice_keeps_its_addition(cost):
    def function(x):
        y = x @ SQUARE
        return (y + ROW) * y

    assert ops(cost(tf.function(function), (N, WIDTH))) == ["linear", "add", "mul"]
