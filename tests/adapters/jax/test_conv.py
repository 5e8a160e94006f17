"""conv_general_dilated against XLA's own count, which leaves out products with padding: where there is none, or where
all of a deconvolution's result is kept, the two must agree exactly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import multiprof

LAYOUTS = (
    ("NCHW", "OIHW", "NCHW"),
    ("NHWC", "HWIO", "NHWC"),
    ("NHWC", "OIHW", "NCHW"),
    ("HWNC", "HWIO", "CHWN"),
)


def struct(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, "float32")


def xla_macs(function: Any, *arguments: Any) -> int:
    """XLA counts a multiply-add as two operations."""
    flops = jax.jit(function).lower(*arguments).cost_analysis()["flops"]
    assert flops % 2 == 0
    return int(flops) // 2


def arranged(sizes: dict[str, int], layout: str) -> jax.ShapeDtypeStruct:
    return struct(*(sizes[letter] for letter in layout))


@given(
    layout=st.sampled_from(LAYOUTS),
    batch=st.integers(1, 3),
    groups=st.integers(1, 3),
    c_in=st.integers(1, 3),
    c_out=st.integers(1, 3),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_convolutions_agree_with_xla(
    layout: tuple[str, str, str],
    batch: int,
    groups: int,
    c_in: int,
    c_out: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    x = arranged({"N": batch, "C": groups * c_in, "H": size[0], "W": size[1]}, layout[0])
    w = arranged({"O": groups * c_out, "I": c_in, "H": kernel[0], "W": kernel[1]}, layout[1])

    def model(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x, w, stride, "VALID", rhs_dilation=dilation, dimension_numbers=layout, feature_group_count=groups
        )

    report = multiprof.analyze(model, [x, w], framework="jax")
    assert report.macs == xla_macs(model, x, w)
    (layer,) = report.graph.layers
    assert layer.op == "conv"
    assert layer.attrs["data_format"] == layout[0]
    assert (layer.attrs["in_channels"], layer.attrs["out_channels"]) == (groups * c_in, groups * c_out)
    assert layer.attrs["kernel_size"] == kernel


@given(
    groups=st.integers(1, 3),
    c_in=st.integers(1, 3),
    c_out=st.integers(1, 3),
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.sampled_from(((2, 2), (1, 3), (3, 2))),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_deconvolutions_agree_with_xla_where_nothing_is_cropped(
    groups: int,
    c_in: int,
    c_out: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    x = struct(2, *size, groups * c_in)
    w = struct(*kernel, c_in, groups * c_out)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]

    def model(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            w,
            (1, 1),
            [(r, r) for r in reach],
            lhs_dilation=stride,
            rhs_dilation=dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    report = multiprof.analyze(model, [x, w], framework="jax")
    by_hand = 2 * size[0] * size[1] * groups * c_in * kernel[0] * kernel[1] * c_out
    assert report.macs == by_hand == xla_macs(model, x, w)
    (layer,) = report.graph.layers
    assert layer.op == "conv_transpose"
    assert layer.attrs["stride"] == stride
    assert layer.attrs["padding"] == ((0, 0), (0, 0))
    # (in − 1)·stride − padding + dilation·(kernel − 1) + output padding + 1
    out = [(n - 1) * s + r + 1 for n, s, r in zip(size, stride, reach, strict=True)]
    assert layer.y.shape == (2, *out, groups * c_out)


@pytest.mark.parametrize(
    ("low", "high", "padding", "extra"), [(2, 2, (1, 1), 0), (2, 3, (1, 1), 1), (3, 2, (0, 1), 0), (1, 1, (2, 2), 0)]
)
def test_cropping_of_a_deconvolution(analyze: Any, low: int, high: int, padding: tuple[int, int], extra: int) -> None:
    """k4 s2: the dilated input is padded by k − 1 − p; more at the end is output padding."""

    def model(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (1,), [(low, high)], lhs_dilation=(2,))

    report = analyze(model, [(1, 8, 8), (4, 8, 4)])
    (layer,) = report.graph.layers
    assert (layer.attrs["padding"], layer.attrs["output_padding"]) == ((padding,), (extra,))
    # (in − 1)·stride − padding + kernel − 1 + output padding + 1
    assert layer.y.shape == (1, 4, (8 - 1) * 2 - sum(padding) + 4 - 1 + extra + 1)
    assert report.macs == 8 * 8 * 4 * 4


def test_the_textbook_deconvolution(analyze: Any) -> None:
    """k4 s2 p1, 8 → 4 channels, 8×8 → 16×16: 32,768 macs, not times the stride's square."""
    report = analyze(lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME"), [(1, 8, 8, 8), (4, 4, 8, 4)])
    (layer,) = report.graph.layers
    assert layer.y.shape == (1, 16, 16, 4)
    assert report.macs == 8 * 64 * 16 * 4 == 32_768


@pytest.mark.parametrize(
    ("padding", "around"), [("VALID", 2), ("SAME", 1), ([(2, 2), (2, 2)], 2), ([(0, 0), (1, 1)], 0)]
)
def test_deconvolutions_of_stride_one(analyze: Any, padding: Any, around: int) -> None:
    """No input is dilated, so it is written as a convolution; every input element meets the 9 taps of 4 filters."""
    x, w = struct(1, 5, 6, 8), struct(3, 3, 8, 4)

    def model(x: Any, w: Any) -> Any:
        return lax.conv_transpose(x, w, (1, 1), padding)

    report = analyze(model, [x, w])
    (layer,) = report.graph.layers
    assert layer.op == "conv_transpose"
    assert report.macs == 5 * 6 * 8 * 9 * 4
    # (in − 1)·stride − padding + kernel − 1 + 1
    cropped = [sum(pair) for pair in layer.attrs["padding"]]
    assert layer.y.shape == (1, 5 + 2 - cropped[0], 6 + 2 - cropped[1], 4)
    assert layer.attrs["padding"][0] == (2 - around, 2 - around)
    assert analyze(jax.jit(model), [x, w]).macs == report.macs
    assert analyze(jax.vmap(model, (0, None)), [(3, 1, 5, 6, 8), w]).macs == 3 * report.macs
    # the same equation, written as a convolution, is one: output elements times 9 taps of 8 channels
    pads = [(around, around), (1, 1) if padding == [(0, 0), (1, 1)] else (around, around)]
    plain = analyze(
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")), [x, w]
    )
    (layer,) = plain.graph.layers
    assert (layer.op, plain.macs) == ("conv", layer.y.numel * 9 * 8)


def test_gradients_of_a_deconvolution_of_stride_one(analyze: Any) -> None:
    """That with respect to the input is a convolution over the output's gradient: as many products."""

    def loss(x: Any, w: Any) -> Any:
        return lax.conv_transpose(x, w, (1, 1), "VALID").sum()

    report = analyze(jax.grad(loss), [struct(1, 5, 6, 8), struct(3, 3, 8, 4)])
    (layer,) = [layer for layer in report.graph.layers if layer.op.startswith("conv")]
    assert layer.op == "conv"
    assert report.macs == 5 * 6 * 8 * 9 * 4


def test_batch_groups_as_in_the_gradient_of_a_grouped_convolution(analyze: Any) -> None:
    def model(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", batch_group_count=2)

    x, w = struct(4, 3, 6, 6), struct(8, 3, 3, 3)
    report = analyze(model, [x, w])
    assert report.macs == xla_macs(model, x, w) == 2 * 8 * 4 * 4 * 9 * 3


def test_strides_in_a_dilated_input_count_the_zeros(analyze: Any) -> None:
    """Both dilated and strided: no named layer, so the holes are a pad, and all products are counted."""

    def model(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (2, 2), [(0, 0), (0, 0)], lhs_dilation=(3, 3))

    report = analyze(model, [(1, 2, 5, 5), (4, 2, 3, 3)])
    assert [layer.op for layer in report.graph.layers] == ["pad", "conv"]
    size = (5 - 1) * 3 + 1
    out = (size - 3) // 2 + 1
    assert report.graph.layers[0].y.shape == (1, 2, size, size)
    assert report.macs == 4 * out * out * 9 * 2


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_ranks(analyze: Any, rank: int) -> None:
    x, w = (2, 3, *[6] * rank), (5, 3, *[3] * rank)
    report = analyze(lambda x, w: lax.conv(x, w, (1,) * rank, "SAME"), [x, w])
    assert report.macs == 2 * 5 * 6**rank * 3**rank * 3  # padding counts as if computed
    (layer,) = report.graph.layers
    assert layer.attrs["data_format"] == {1: "NCL", 2: "NCHW", 3: "NCDHW"}[rank]
    assert layer.attrs["padding"] == ((1, 1),) * rank


def test_gradients_of_a_convolution(analyze: Any) -> None:
    """Each of the two gradients costs what the convolution costs: every product of the forward has one there."""

    def loss(w: Any, x: Any) -> Any:
        return lax.conv_general_dilated(x, w, (2, 2), "VALID").sum()

    forward = 1 * 6 * 4 * 4 * 9 * 4  # |y|·K·C_i
    x, w = struct(1, 4, 9, 9), struct(6, 4, 3, 3)
    weight = analyze(jax.grad(loss), [w, x])
    assert weight.macs == forward
    data = analyze(jax.grad(loss, 1), [w, x])
    assert data.macs == forward
    assert [layer.op for layer in data.graph.layers if layer.op.startswith("conv")] == ["conv_transpose"]


WRAPPED = {
    "plain": lambda f: f,
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "scan": lambda f: lambda x, w: lax.scan(lambda total, _: (total + f(x, w).sum(), None), 0.0, None, length=1)[0],
}


@pytest.mark.parametrize("wrap", WRAPPED)
@settings(max_examples=25, deadline=None)
@given(
    transposed=st.booleans(),
    layout=st.sampled_from(LAYOUTS[:2]),
    groups=st.integers(1, 2),
    c_in=st.integers(1, 3),
    c_out=st.integers(1, 3),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(("SAME", "VALID")),
)
def test_either_gradient_costs_what_the_convolution_costs(
    wrap: str,
    transposed: bool,
    layout: tuple[str, str, str],
    groups: int,
    c_in: int,
    c_out: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    padding: str,
) -> None:
    """Every product of an input, a weight and an output's gradient stands once in each of the two.

    ``conv_transpose`` has no groups.
    """
    groups = 1 if transposed else groups
    dilation = 1 if padding == "VALID" else dilation  # a window wider than the image leaves nothing
    x = arranged({"N": 2, "C": groups * c_in, "H": size[0], "W": size[1]}, layout[0])
    w = arranged({"O": groups * c_out, "I": c_in, "H": kernel[0], "W": kernel[1]}, layout[1])

    def model(x: Any, w: Any) -> Any:
        strides, dilations = (stride, stride), (dilation, dilation)
        if transposed:
            return lax.conv_transpose(x, w, strides, padding, rhs_dilation=dilations, dimension_numbers=layout)
        return lax.conv_general_dilated(
            x, w, strides, padding, rhs_dilation=dilations, dimension_numbers=layout, feature_group_count=groups
        )

    forward = multiprof.analyze(model, [x, w], framework="jax").macs
    taps = kernel[0] * kernel[1] * c_out
    if transposed:
        assert forward == x.size * taps
    wrapped = WRAPPED[wrap](model)
    for number in (0, 1):
        # neither gradient of a linear function needs its result
        report = multiprof.analyze(jax.grad(lambda x, w: wrapped(x, w).sum(), number), [x, w], framework="jax")
        assert report.macs == forward
        assert report.unsupported() == {}


def test_gradients_of_a_grouped_deconvolution(analyze: Any) -> None:
    """Each input element meets 4×4 taps of 8 channels of its group, forward and in both gradients."""

    def loss(x: Any, w: Any) -> Any:
        y = lax.conv_general_dilated(
            x,
            w,
            (1, 1),
            ((2, 2), (2, 2)),
            lhs_dilation=(2, 2),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )
        return (y**2).sum()

    x, w = struct(1, 8, 8, 16), struct(4, 4, 4, 32)
    assert analyze(loss, [x, w]).macs == 8 * 8 * 16 * 16 * 8
    report = analyze(jax.grad(loss, (0, 1)), [x, w])
    assert report.macs == 3 * 8 * 8 * 16 * 16 * 8
    # the kernel's: 8×8 of the input are the taps, in steps of 2 over the 16×16 of the output's gradient, 1 around it
    (layer,) = [layer for layer in report.graph.layers if layer.op == "conv" and layer.attrs["kernel_size"] == (8, 8)]
    assert (layer.attrs["dilation"], layer.attrs["stride"]) == ((2, 2), (1, 1))
    # in + padding − dilation·(k − 1) − 1 + 1 = 4
    assert layer.attrs["padding"] == ((1, 1), (1, 1)) and 16 + 2 - 2 * 7 - 1 + 1 == 4


def test_convolution_by_a_reversed_kernel_is_one(analyze: Any) -> None:
    """numpy's convolve reverses its second operand, and is no gradient: 8 + 3 − 1 results of 3 products."""
    assert analyze(lambda a, b: jnp.convolve(a, b), [(8,), (3,)]).macs == (8 + 3 - 1) * 3


def test_vmap_of_weights_is_a_grouped_convolution(analyze: Any) -> None:
    model = jax.vmap(lambda x, w: lax.conv(x, w, (1, 1), "VALID"))
    report = analyze(model, [(5, 1, 4, 8, 8), (5, 6, 4, 3, 3)])
    assert report.macs == 5 * 6 * 6 * 6 * 9 * 4
    (layer,) = [layer for layer in report.graph.layers if layer.op == "conv"]
    assert layer.attrs["groups"] == 5


def test_a_bias_joins_its_convolution(analyze: Any) -> None:
    def model(params: Any, x: Any) -> Any:
        y = lax.conv_general_dilated(x, params["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + params["b"]

    report = analyze(model, [{"w": struct(3, 3, 4, 8), "b": struct(8)}, (1, 5, 5, 4)])
    (layer,) = report.graph.layers
    assert layer.inputs["bias"].name == "params/b"
    assert report.flops == 2 * (5 * 5 * 8 * 9 * 4) + 5 * 5 * 8


def test_what_is_no_bias_stays_an_addition(analyze: Any) -> None:
    """Along the width, or of the whole map: not one number a channel."""

    def model(params: Any, x: Any) -> Any:
        y = lax.conv_general_dilated(x, params["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + params["b"][:, None] + jnp.ones(())

    report = analyze(model, [{"w": struct(3, 3, 4, 5), "b": struct(5)}, (1, 5, 5, 4)])
    assert [layer.op for layer in report.graph.layers if layer.op in ("conv", "add")] == ["conv", "add", "add"]
    assert "bias" not in report.graph.layers[0].inputs
