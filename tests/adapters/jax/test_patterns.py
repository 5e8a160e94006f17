"""What several equations spell out becomes the layer that other frameworks have; what only looks like it does not."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax import lax


def ops(report: Any) -> list[str]:
    """The ops that are neither prepared nor mere views."""
    return [row.op for row in report.layers if row.state not in ("prepared", "free")]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm_folds(analyze: Any, scale: bool, bias: bool) -> None:
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Conv(6, (1, 1), use_bias=False)(x)
            return nn.BatchNorm(use_running_average=True, use_scale=scale, use_bias=bias, epsilon=1e-3)(x)

    report = analyze(Net(), (2, 5, 5, 3))
    norm = report.graph.layers[-1]
    assert [layer.op for layer in report.graph.layers] == ["conv", "batch_norm"]
    assert norm.attrs == {"eps": pytest.approx(1e-3), "channels": 6, "batch_stats": False}
    assert ("weight" in norm.inputs, "bias" in norm.inputs) == (scale, bias)
    assert [row.state for row in report.layers] == ["priced", "folded"]
    y = 2 * 5 * 5 * 6
    assert report.flops == 2 * y * 3 + y


def test_a_norm_with_statistics_of_the_batch_keeps_its_steps(analyze: Any) -> None:
    report = analyze(nn.BatchNorm(use_running_average=False), (4, 6))
    assert "batch_norm" not in ops(report)
    assert report.unsupported() == {}


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("scale", "bias"), [(True, True), (True, False), (False, False)])
def test_layer_norm(analyze: Any, fast: bool, scale: bool, bias: bool) -> None:
    """Over 8, affine: 31 adds, 24 muls, 2 divs, 1 exp; without a weight 8 muls less, without a bias 8 adds."""
    report = analyze(nn.LayerNorm(use_fast_variance=fast, use_scale=scale, use_bias=bias), (3, 8))
    (layer,) = [layer for layer in report.graph.layers if layer.op not in ("reshape", "expand")]
    assert (layer.op, layer.attrs["normalized_size"]) == ("layer_norm", 8)
    assert report.flops == 3 * (31 + 24 + 2 + 1 - 8 * (not scale) - 8 * (not bias))


def test_rms_norm_of_flax_and_by_hand(analyze: Any) -> None:
    def by_hand(params: Any, x: Any) -> Any:
        return x * lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + 1e-6) * params["w"]

    flax, hand = analyze(nn.RMSNorm(), (3, 8)), analyze(by_hand, [{"w": (8,)}, (3, 8)])
    for report in (flax, hand):
        assert ops(report) == ["rms_norm"]
        # square 8, sum 7, division, ε, root, product 8, weight 8
        assert report.flops == 3 * (8 + 7 + 1 + 1 + 1 + 8 + 8)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_norms_as_keras_writes_them(analyze: Any, scale: bool, bias: bool) -> None:
    """x·s + (bias − mean·s): with given statistics a batch norm, with its own a layer norm."""

    def applied(params: Any, x: Any, mean: Any, variance: Any) -> Any:
        s = lax.rsqrt(variance + 1e-3)
        s = s * params["w"] if scale else s
        shift = -mean * s
        return x * s + (shift + params["b"] if bias else shift)

    def given(params: Any, batch_stats: Any, x: Any) -> Any:
        return applied(params, x, batch_stats["mean"], batch_stats["variance"])

    def own(params: Any, x: Any) -> Any:
        return applied(params, x, x.mean(-1, keepdims=True), x.var(-1, keepdims=True))

    params = {"w": (8,), "b": (8,)}
    report = analyze(given, [params, {"mean": (8,), "variance": (8,)}, (3, 8)])
    (row,) = [row for row in report.layers if row.state == "priced"]
    assert (row.op, "weight" in row.layer.inputs, "bias" in row.layer.inputs) == ("batch_norm", scale, bias)
    assert report.flops == 3 * 8 * 2
    layer = analyze(own, [params, (3, 8)])
    assert ops(layer) == ["layer_norm"]
    assert layer.flops == 3 * (31 + 24 + 2 + 1 - 8 * (not scale) - 8 * (not bias))


def test_norms_of_nnx(analyze: Any) -> None:
    rngs = nnx.Rngs(0)
    assert ops(analyze(nnx.LayerNorm(8, rngs=rngs), (3, 8))) == ["layer_norm"]
    assert ops(analyze(nnx.RMSNorm(8, rngs=rngs), (3, 8))) == ["rms_norm"]
    assert ops(analyze(nnx.BatchNorm(8, rngs=rngs), (3, 8))) == ["batch_norm"]


def test_half_precision(analyze: Any) -> None:
    """The casts are layers of their own; what stands between them is the same."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Dense(8, dtype=jnp.bfloat16)(x)
            x = nn.LayerNorm(dtype=jnp.bfloat16)(x)
            return nn.softmax(nn.Dense(4, dtype=jnp.bfloat16)(nn.gelu(x)))

    report = analyze(Net(), (3, 8))
    assert [op for op in ops(report) if op != "cast"] == ["linear", "layer_norm", "gelu", "linear", "softmax"]
    assert report.macs == 3 * 8 * (8 + 4)


def test_a_value_that_is_read_twice_stays(analyze: Any) -> None:
    """The exponentials are a result of their own here, so there is no softmax to take them in."""

    def model(x: Any) -> Any:
        powers = jnp.exp(x - x.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True), powers

    report = analyze(model, (3, 8))
    assert ops(report) == ["max", "sub", "exp", "sum", "div"]
    assert report.flops == 3 * (7 + 8 + 8 + 7 + 8)


def test_softmax_along_another_axis_than_the_maximum(analyze: Any) -> None:
    def model(x: Any) -> Any:
        powers = jnp.exp(x - x.max(0, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    assert "softmax" not in ops(analyze(model, (8, 8)))


def test_a_division_by_another_number_is_no_mean(analyze: Any) -> None:
    assert ops(analyze(lambda x: x.sum(1) / 7, (3, 8))) == ["sum", "div"]
    assert ops(analyze(lambda x: x.sum(1) / 8, (3, 8))) == ["mean"]
    assert ops(analyze(lambda x: 8 / x.sum(1), (3, 8))) == ["sum", "div"]


def test_an_addition_of_an_input_is_no_bias(analyze: Any) -> None:
    report = analyze(lambda params, x, b: x @ params + b, [(8, 5), (2, 8), (5,)])
    assert ops(report) == ["linear", "add"]


def test_a_bias_is_not_taken_twice(analyze: Any) -> None:
    def model(params: Any, x: Any) -> Any:
        return x @ params["w"] + params["a"] + params["b"]

    report = analyze(model, [{"w": (8, 5), "a": (5,), "b": (5,)}, (2, 8)])
    assert ops(report) == ["linear", "add"]
    assert report.flops == 2 * 80 + 10 + 10


def test_a_bias_outside_of_the_loop_of_its_product_stays_there(analyze: Any) -> None:
    def model(params: Any, xs: Any) -> Any:
        _, ys = lax.scan(lambda c, x: (c, x @ params["w"]), 0.0, xs)
        return ys + params["b"]

    report = analyze(model, [{"w": (8, 5), "b": (5,)}, (7, 2, 8)])
    assert ops(report) == ["linear", "add"]
    assert report.flops == 2 * 7 * 2 * 40 + 7 * 2 * 5


def test_tensors_are_named_after_their_layers(analyze: Any) -> None:
    report = analyze(nn.Dense(3), (2, 4))
    assert [layer.y.name for layer in report.graph.layers] == [layer.name for layer in report.graph.layers]
    assert not any("#" in spec.name for layer in report.graph.layers for spec in layer.outputs.values())


def test_a_merged_layer_keeps_the_result(analyze: Any) -> None:
    """The graph's outputs are what the merged layers make, each made once."""
    report = analyze(lambda x: (jax.nn.softmax(x), x.mean(-1)), (3, 8))
    made = [spec.name for layer in report.graph.layers for spec in layer.outputs.values()]
    assert [spec.name for spec in report.graph.outputs] == made
    assert [spec.shape for spec in report.graph.outputs] == [(3, 8), (3,)]


@pytest.mark.parametrize(
    ("norm", "op", "statistics"), [(nn.GroupNorm(4), "group_norm", 2 * 4), (nn.InstanceNorm(), "instance_norm", 2 * 8)]
)
def test_group_and_instance_norm(analyze: Any, norm: Any, op: str, statistics: int) -> None:
    """x has 2·3·3·8 elements; M means and variances."""
    x, m = 2 * 3 * 3 * 8, statistics
    report = analyze(norm, (2, 3, 3, 8))
    assert ops(report) == [op]
    adds = (x - m) + x + (x - m) + m + x  # mean, differences, variance, ε, bias
    assert report.flops == adds + 3 * x + 2 * m + m  # squares, products and weights; two divisions; a root


def test_a_groups_shape_that_is_no_group_norm(analyze: Any) -> None:
    """Statistics over the groups themselves, not within them."""

    def model(x: Any) -> Any:
        grouped = x.reshape(2, 3, 4, 2)
        mean = grouped.mean((1, 2))
        square = jnp.square(grouped).mean((1, 2))
        root = lax.rsqrt(square - jnp.square(mean) + 1e-6)
        return (x - jnp.tile(mean, (1, 4))[:, None]) * jnp.tile(root, (1, 4))[:, None]

    report = analyze(model, (2, 3, 8))
    assert not {"group_norm", "instance_norm", "layer_norm"} & set(ops(report))
