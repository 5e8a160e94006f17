"""Convolution and deconvolution against naive loops, and the laws they obey."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Counts
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.conv import conv, conv_transpose
from multiprof.formulas.linear import linear
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally, loops
from multiprof.testing.counting import nonzero


@dataclass(frozen=True)
class Window:
    """One set of arguments of a convolution."""

    batch: int
    size: tuple[int, ...]
    groups: int
    group_in: int
    group_out: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    bias: bool
    output_padding: tuple[int, ...]


@st.composite
def windows(draw: st.DrawFn, transposed: bool = False) -> Window:
    rank = draw(st.integers(1, 3))
    few = st.integers(1, 2 if rank == 3 else 3)
    kernel = tuple(draw(few) for _ in range(rank))
    stride = tuple(draw(few) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    pads = st.integers(0, 1 if rank == 3 else 2)
    padding = tuple((draw(pads), draw(pads)) for _ in range(rank))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if transposed:
        # long enough that the crop leaves an element
        least = [-(-max(sum(p) - n, 0) // s) + 2 for n, p, s in zip(span, padding, stride, strict=True)]
    else:
        least = [max(n - sum(p), 1) for n, p in zip(span, padding, strict=True)]
    return Window(
        batch=draw(st.integers(1, 2)),
        size=tuple(n + draw(st.integers(0, 2 if rank < 3 else 1)) for n in least),
        groups=draw(st.integers(1, 3)),
        group_in=draw(st.integers(1, 2)),
        group_out=draw(st.integers(1, 2)),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        bias=draw(st.booleans()),
        output_padding=tuple(draw(st.integers(0, s - 1)) if transposed else 0 for s in stride),
    )


def layer_of(op: str, window: Window, x: tuple[int, ...], weight: tuple[int, ...], y: tuple[int, ...]) -> Layer:
    inputs = {"x": TensorSpec(x), "weight": TensorSpec(weight, name="w")}
    if window.bias:
        inputs["bias"] = TensorSpec((y[1],), name="b")
    attrs = {
        "kernel_size": window.kernel,
        "stride": window.stride,
        "padding": window.padding,
        "dilation": window.dilation,
        "groups": window.groups,
        "in_channels": x[1],
        "out_channels": y[1],
    }
    return Layer(op, op, inputs, {"y": TensorSpec(y)}, attrs)


@given(windows())
def test_conv_equals_loops_over_the_padded_input(w: Window) -> None:
    tally = Tally()
    channels = w.groups * w.group_out
    x = tally.array((w.batch, w.groups * w.group_in, *w.size))
    weight = tally.array((channels, w.group_in, *w.kernel))
    bias = tally.array((channels,)) if w.bias else None
    y = loops.conv(tally, x, weight, bias, w.stride, w.padding, w.dilation, w.groups)
    assert conv.price(layer_of("conv", w, x.shape, weight.shape, y.shape)).terms == tally.terms


@given(windows(transposed=True))
def test_conv_transpose_equals_loops_over_the_uncropped_output(w: Window) -> None:
    tally = Tally()
    channels = w.groups * w.group_out
    x = tally.array((w.batch, w.groups * w.group_in, *w.size))
    weight = tally.array((w.groups * w.group_in, w.group_out, *w.kernel))
    bias = tally.array((channels,)) if w.bias else None
    y = loops.conv_transpose(tally, x, weight, bias, w.stride, w.padding, w.output_padding, w.dilation, w.groups)
    assert conv_transpose.price(layer_of("conv_transpose", w, x.shape, weight.shape, y.shape)).terms == tally.terms


def conv_layer(
    batch: int = 2,
    c_i: int = 12,
    c_o: int = 24,
    kernel: tuple[int, ...] = (3, 3),
    out: tuple[int, ...] = (5, 7),
    groups: int = 1,
) -> Layer:
    """A convolution with bias, stride 1 and "same" padding, by its shapes."""
    return Layer(
        "conv",
        "conv",
        {
            "x": TensorSpec((batch, c_i, *out)),
            "weight": TensorSpec((c_o, c_i // groups, *kernel), name="w"),
            "bias": TensorSpec((c_o,), name="b"),
        },
        {"y": TensorSpec((batch, c_o, *out))},
        {"kernel_size": kernel, "groups": groups, "in_channels": c_i, "out_channels": c_o},
    )


@given(st.integers(1, 9), st.integers(1, 8), st.integers(1, 8))
def test_cost_is_linear_in_the_batch(batch: int, c_i: int, c_o: int) -> None:
    for formula in (conv, conv_transpose):
        one = formula.price(conv_layer(1, c_i, c_o))
        assert formula.price(conv_layer(batch, c_i, c_o)) == one * batch


@given(st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_groups_divide_the_dot_term_and_leave_the_rest(groups: int) -> None:
    for formula in (conv, conv_transpose):
        whole, grouped = formula.price(conv_layer()), formula.price(conv_layer(groups=groups))
        assert grouped.macs * groups == whole.macs
        assert replace(grouped.terms["dot"], macs=0) == replace(whole.terms["dot"], macs=0)
        assert grouped.terms["bias"] == whole.terms["bias"]


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_a_one_by_one_convolution_is_linear(batch: int, c_i: int, c_o: int, height: int, width: int) -> None:
    as_conv = conv_layer(batch, c_i, c_o, (1, 1), (height, width))
    as_linear = Layer(
        "linear",
        "linear",
        {"x": TensorSpec((batch, height, width, c_i)), "weight": TensorSpec((c_o, c_i)), "bias": TensorSpec((c_o,))},
        {"y": TensorSpec((batch, height, width, c_o))},
        {"in_features": c_i, "out_features": c_o},
    )
    assert conv.price(as_conv) == conv_transpose.price(as_conv) == linear.price(as_linear)


@given(st.integers(1, 3), st.sampled_from([1, 2, 4]), st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_layout_does_not_matter(batch: int, groups: int, kernel: tuple[int, int]) -> None:
    first = conv_layer(batch, 4, 8, kernel, (5, 7), groups)  # NCHW, OIHW
    last = Layer(
        "conv",
        "conv",
        {
            "x": TensorSpec((batch, 5, 7, 4)),
            "weight": TensorSpec((*kernel, 4 // groups, 8)),  # HWIO
            "bias": TensorSpec((8,)),
        },
        {"y": TensorSpec((batch, 5, 7, 8))},
        first.attrs | {"data_format": "NHWC"},
    )
    for formula in (conv, conv_transpose):
        assert formula.price(first) == formula.price(last)


def test_depthwise_separable_convolution_is_cheaper_by_one_over_n_plus_one_over_k() -> None:
    m, n, d = 6, 8, 5  # input channels, output channels, output size
    whole = conv.price(conv_layer(1, m, n, (3, 3), (d, d))).macs
    depthwise = conv.price(conv_layer(1, m, m, (3, 3), (d, d), groups=m)).macs
    pointwise = conv.price(conv_layer(1, m, n, (1, 1), (d, d))).macs
    assert (depthwise, pointwise) == (9 * m * d * d, m * n * d * d)
    # (depthwise + pointwise)/whole = 1/n + 1/9, both sides times 9·n
    assert (depthwise + pointwise) * 9 * n == whole * (9 + n)


def test_every_output_element_is_one_dot_product_of_k_times_c_i_by_hand() -> None:
    # 1×3 kernel, 2 → 1 channels, 4 outputs: 4·(3·2) multiply-adds, 4 additions of the bias
    layer = conv_layer(1, 2, 1, (3,), (4,))
    assert conv.price(layer).terms == {"dot": Counts(macs=24, dots=4), "bias": Counts(adds=4)}
    assert conv.price(layer).flops == 2 * 24 + 4


def test_a_batch_of_nothing_costs_nothing() -> None:
    layer = conv_layer(batch=0)
    assert nonzero(conv.price(layer).terms) == {}
    assert nonzero(conv_transpose.price(layer).terms) == {}


def test_a_data_dependent_output_is_unknown_not_wrong() -> None:
    layer = conv_layer()
    layer.outputs["y"] = TensorSpec((None, 24, 5, 7))
    with pytest.raises(UnknownDimensionError):
        conv.price(layer)


@pytest.mark.parametrize("name", ["groups", "kernel_size", "in_channels"])
def test_a_missing_attribute_is_named(name: str) -> None:
    layer = conv_layer()
    del layer.attrs[name]
    with pytest.raises(PluginError, match=f"conv requires the attribute {name}"):
        conv.price(layer)


def test_traffic_is_input_weight_bias_and_output_once() -> None:
    layer = conv_layer(batch=2, c_i=12, c_o=24, out=(5, 7))
    read = 2 * 12 * 35 + 24 * 12 * 9 + 24
    assert conv.traffic(layer) == (4 * read, 4 * 2 * 24 * 35)
