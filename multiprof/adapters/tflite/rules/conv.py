"""Convolution and transposed convolution. Images are NHWC and NDHWC."""

from __future__ import annotations

from collections.abc import Sequence
from struct import unpack_from
from typing import Any

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import custom, rule
from multiprof.adapters.tflite.rules._windows import FORMATS, SAME, VALID, slide
from multiprof.ir import Shape, TensorSpec


def known(node: Node, shape: Shape, what: str) -> tuple[int, ...]:
    """A weight's shape, which is always known."""
    if any(d is None for d in shape):
        raise node.fail(f"the shape {shape} of its {what} is not known")
    return tuple(d for d in shape if d is not None)


def _attrs(
    kernel: Sequence[int],
    stride: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
    channels: tuple[int, int],
) -> dict[str, Any]:
    return {
        "kernel_size": tuple(kernel),
        "stride": tuple(stride),
        "padding": tuple(pairs),
        "dilation": tuple(dilation),
        "groups": groups,
        "in_channels": channels[0],
        "out_channels": channels[1],
        "data_format": FORMATS[len(kernel)],
    }


def _bias(node: Node, number: int, channels: int) -> TensorSpec | None:
    bias = node.maybe(number)
    if bias is not None and bias.numel != channels:
        raise node.fail(f"its bias has the shape {bias.shape} for {channels} channels")
    return bias


def _convolve(
    node: Node,
    kernel: tuple[int, ...],
    c_in: int,
    c_out: int,
    groups: int,
    stride: Sequence[int],
    dilation: Sequence[int],
) -> None:
    rank = len(kernel)
    x = node.shape(0, rank + 2)
    sizes, pairs = slide(node, x[1:-1], kernel, stride, dilation)
    node.emit(
        "conv",
        {"x": node.x(), "weight": node.x(1), "bias": _bias(node, 2, c_out)},
        (x[0], *sizes, c_out),
        _attrs(kernel, stride, pairs, dilation, groups, (c_in, c_out)),
        fused=node.options["fused_activation_function"],
    )


def _groups(node: Node, c_in: int | None, each: int, c_out: int) -> int:
    """G where the filters see ``each`` of the ``c_in`` channels; `ModelError` where these are no groups."""
    if c_in is None:
        raise node.fail("the number of its input's channels is not known")
    if not each or c_in % each or c_out % (c_in // each):
        raise node.fail(f"{c_in} channels and {c_out} filters over {each} of them are no groups")
    return c_in // each


@rule("CONV_2D")
def conv_2d(node: Node) -> None:
    """Weight (C_o, k, k, C_i/G)."""
    c_out, *kernel, each = known(node, node.shape(1, 4), "weight")
    c_in = node.shape(0, 4)[-1]
    o = node.options
    groups = _groups(node, c_in, each, c_out)
    stride, dilation = (o["stride_h"], o["stride_w"]), (o["dilation_h_factor"], o["dilation_w_factor"])
    _convolve(node, tuple(kernel), each * groups, c_out, groups, stride, dilation)


@rule("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(node: Node) -> None:
    """Weight (1, k, k, C_o) with C_o = C_i · depth_multiplier: a convolution of C_i groups."""
    _, *kernel, c_out = known(node, node.shape(1, 4), "weight")
    c_in = node.shape(0, 4)[-1]
    o = node.options
    groups = _groups(node, c_in, 1, c_out)
    stride, dilation = (o["stride_h"], o["stride_w"]), (o["dilation_h_factor"], o["dilation_w_factor"])
    _convolve(node, tuple(kernel), groups, c_out, groups, stride, dilation)


@rule("CONV_3D")
def conv_3d(node: Node) -> None:
    """Weight (k, k, k, C_i/G, C_o)."""
    *kernel, each, c_out = known(node, node.shape(1, 5), "weight")
    o = node.options
    groups = _groups(node, node.shape(0, 5)[-1], each, c_out)
    stride = (o["stride_d"], o["stride_h"], o["stride_w"])
    dilation = (o["dilation_d_factor"], o["dilation_h_factor"], o["dilation_w_factor"])
    _convolve(node, tuple(kernel), each * groups, c_out, groups, stride, dilation)


def _deconvolve(
    node: Node,
    x: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    shape: Shape,
    kernel: tuple[int, ...],
    channels: tuple[int, int],
    stride: Sequence[int],
    dilation: Sequence[int],
    fused: int,
) -> None:
    """Emit the transposed convolution that makes ``shape`` of x.

    size = (size_x − 1)·stride + dilation·(kernel − 1) + 1 − padding + output_padding: what the kernel reaches beyond
    the result is cropped, the odd element behind (ComputePaddingHeightWidth of the kernels).
    """
    if min((*kernel, *stride, *dilation)) < 1:
        raise node.fail(f"kernel {kernel}, stride {tuple(stride)} and dilation {tuple(dilation)} must be ≥ 1")
    pairs, extra = [], []
    for size, made, k, s, d in zip(x.shape[1:-1], shape[1:-1], kernel, stride, dilation, strict=True):
        spare = 0 if size is None or made is None else (size - 1) * s + d * (k - 1) + 1 - made
        pairs.append((spare // 2, spare - spare // 2) if spare > 0 else (0, 0))
        extra.append(max(0, -spare))
    if x.shape[-1] != channels[0] or (shape[-1] is not None and shape[-1] != channels[1]):
        raise node.fail(f"{x.shape} and {shape} do not fit its {channels[0]} → {channels[1]} channels")
    attrs = _attrs(kernel, stride, pairs, dilation, 1, channels)
    attrs["output_padding"] = tuple(extra)
    node.emit(
        "conv_transpose", {"x": x, "weight": weight, "bias": bias}, (*shape[:-1], channels[1]), attrs, fused=fused
    )


def _output_shape(node: Node, x: Shape, channels: int, kernel: Sequence[int], stride: Sequence[int]) -> Shape:
    """The shape in operand 0; where it is computed, what its padding makes of x."""
    given = node.values(0)
    if given is not None:
        if len(given) != len(x):
            raise node.fail(f"its output shape {given} is not of rank {len(x)}")
        _check_output(node, x, given, kernel, stride)
        return tuple(None if d is None else int(d) for d in given)
    same = node.options["padding"] == SAME
    sizes = [
        None if n is None else n * s if same else (n - 1) * s + max(k, s)
        for n, k, s in zip(x[1:-1], kernel, stride, strict=True)
    ]
    return (x[0], *sizes, channels)


def _strides(node: Node, *stride: int) -> tuple[int, ...]:
    if node.options["padding"] not in (SAME, VALID):
        raise node.fail(f"its padding {node.options['padding']} is neither SAME nor VALID")
    if min(stride) < 1:
        raise node.fail(f"its stride {stride} must be at least 1")
    return stride


def _check_output(node: Node, x: Shape, given: Sequence[Any], kernel: Sequence[int], stride: Sequence[int]) -> None:
    """The shape asked for is that of an image whose convolution gives x, or `ModelError`."""
    same = node.options["padding"] == SAME
    for n, made, k, s in zip(x[1:-1], given[1:-1], kernel, stride, strict=True):
        if n is not None and made is not None and n != (-(-made // s) if same else (made - k + s) // s):
            raise node.fail(f"its result of shape {tuple(given)} does not go with the input {x}")
    if None not in (x[0], given[0]) and x[0] != given[0]:
        raise node.fail(f"its result of shape {tuple(given)} is not of the batch of {x}")


@rule("TRANSPOSE_CONV")
def transpose_conv(node: Node) -> None:
    """Operands: shape of the result, weight (C_o, k, k, C_i), x, bias."""
    c_out, *kernel, c_in = known(node, node.shape(1, 4), "weight")
    o = node.options
    stride = _strides(node, o["stride_h"], o["stride_w"])
    x = node.shape(2, 4)
    _deconvolve(
        node, node.x(2), node.x(1), _bias(node, 3, c_out), _output_shape(node, x, c_out, kernel, stride),
        tuple(kernel), (c_in, c_out), stride, (1, 1), o["fused_activation_function"],
    )  # fmt: skip


@rule("CONV_3D_TRANSPOSE")
def conv_3d_transpose(node: Node) -> None:
    """Operands: shape of the result, weight (k, k, k, C_o, C_i), x, bias."""
    *kernel, c_out, c_in = known(node, node.shape(1, 5), "weight")
    o = node.options
    stride = _strides(node, o["stride_d"], o["stride_h"], o["stride_w"])
    dilation = (o["dilation_d_factor"], o["dilation_h_factor"], o["dilation_w_factor"])
    _deconvolve(
        node, node.x(2), node.x(1), _bias(node, 3, c_out), _output_shape(node, node.shape(2, 5), c_out, kernel, stride),
        tuple(kernel), (c_in, c_out), stride, dilation, o["fused_activation_function"],
    )  # fmt: skip


@custom("Convolution2DTransposeBias")
def convolution_2d_transpose_bias(node: Node) -> None:
    """MediaPipe's own: x, weight (C_o, k, k, C_i), bias; the options are the C struct TfLiteTransposeConvParams,
    padding (1 is SAME, 2 is VALID), width and height of the stride, four bytes each.

    Source: mediapipe/util/tflite/operations/transpose_conv_bias.cc, where SAME makes size·stride of every size.
    """
    c_out, *kernel, c_in = known(node, node.shape(1, 4), "weight")
    options = node.walker.model.custom_options(node.operator)
    if len(options) < 12:
        raise node.fail(f"its options are {len(options)} bytes long, not 12")
    padding, stride_w, stride_h = unpack_from("<3i", options)
    x = node.shape(0, 4)
    sizes = [
        None if n is None else n * s if padding == 1 else (n - 1) * s + k
        for n, s, k in zip(x[1:-1], (stride_h, stride_w), kernel, strict=True)
    ]
    _deconvolve(
        node, node.x(), node.x(1), _bias(node, 2, c_out), (x[0], *sizes, c_out), tuple(kernel), (c_in, c_out),
        (stride_h, stride_w), (1, 1), 0,
    )  # fmt: skip


__all__ = ["known"]
