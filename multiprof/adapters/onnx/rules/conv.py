"""Convolution and deconvolution of any rank; padding written out as pairs, however the file says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters._common.shapes import same_padding
from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import given_ints, int_attr, ints_attr, str_attr
from multiprof.adapters.onnx.rules.activation import Fused
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec

FORMATS = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
LAST = {1: "NLC", 2: "NHWC", 3: "NDHWC"}

Pairs = tuple[tuple[int, int], ...]


def explicit_pads(node: Node, rank: int) -> Pairs:
    """The attribute ``pads``, all that stands before, then all that stands behind, as pairs."""
    flat = ints_attr(node, "pads", (0,) * (2 * rank))
    return tuple((flat[i], flat[i + rank]) for i in range(rank))


def window_pads(
    node: Node, spatial: Sequence[int | None], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Pairs | None:
    """Padding of a window operator, from ``auto_pad`` or ``pads``; ``None`` where it follows from an unknown size."""
    mode = str_attr(node, "auto_pad", "NOTSET")
    if mode == "VALID":
        return ((0, 0),) * len(kernel)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        return explicit_pads(node, len(kernel))
    pairs = []
    for n, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
        if n is None:
            return None
        if s < 1:
            raise ModelError(f"{node.where}: a stride of {s}")
        pairs.append(same_padding(n, k, s, d, lower=mode == "SAME_LOWER"))
    return tuple(pairs)


class Window:
    """Shapes and attributes of a convolution: spatial sizes, kernel, stride, dilation, groups."""

    def __init__(self, node: Node, x: Shape, weight: Shape, channels_last: bool = False) -> None:
        if len(x) != len(weight) or len(x) < 3:
            raise ModelError(f"{node.where}: an input {x} and a weight {weight}")
        self.rank = len(x) - 2
        self.spatial = x[1:-1] if channels_last else x[2:]
        self.channels = x[-1] if channels_last else x[1]
        kernel = given_ints(node, "kernel_shape", self.rank) or weight[2:]
        if None in kernel:
            raise ModelError(f"{node.where}: nobody knows the size of the kernel {weight}")
        self.kernel: tuple[int, ...] = tuple(k for k in kernel if k is not None)
        self.stride = ints_attr(node, "strides", (1,) * self.rank)
        self.dilation = ints_attr(node, "dilations", (1,) * self.rank)
        self.groups = int_attr(node, "group", 1)
        if self.groups < 1:
            raise ModelError(f"{node.where} has {self.groups} groups")
        self.format = (LAST if channels_last else FORMATS).get(self.rank)

    def attrs(self, padding: Pairs | None, c_in: int | None, c_out: int | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "in_channels": c_in,
            "out_channels": c_out,
        }
        if self.format:
            found["data_format"] = self.format
        return found


def emit_conv(
    node: Node,
    x: TensorSpec,
    weight: TensorSpec,
    bias: Tensor | TensorSpec | None,
    y: TensorSpec,
    *,
    channels_last: bool = False,
    suffix: str = "",
) -> None:
    window = Window(node, x.shape, weight.shape, channels_last)
    c_out, depth = weight.shape[:2]
    c_in = window.channels
    if c_in is None and depth is not None:
        c_in = depth * window.groups
    if depth is not None and c_in is not None and depth * window.groups != c_in:
        raise ModelError(
            f"{node.where}: an input of {c_in} channels in {window.groups} groups meets a weight {weight.shape}"
        )
    pads = window_pads(node, window.spatial, window.kernel, window.stride, window.dilation)
    node.layer(
        "conv", {"x": x, "weight": weight, "bias": bias}, y, window.attrs(pads, c_in, c_out), suffix=suffix
    )  # fmt: skip


def conv(node: Node) -> None:
    emit_conv(node, node.need(0).spec, node.need(1).spec, node.input(2), node.y)


def conv_integer(node: Node) -> None:
    """Products of integers, summed as int32; the zero points are taken off as the operands are read."""
    emit_conv(node, node.need(0).spec, node.need(1).spec, None, node.y)


def transposed_pads(node: Node, window: Window, extra: Sequence[int]) -> Pairs | None:
    """What a deconvolution crops: ``pads``, or what makes the output shape that is asked for.

    total = stride·(in − 1) + output_padding + dilation·(k − 1) + 1 − out, the odd one behind with SAME_UPPER and
    before otherwise, as ONNX defines it.
    """
    mode = str_attr(node, "auto_pad", "NOTSET")
    wanted = given_ints(node, "output_shape")
    if wanted is not None and len(wanted) > window.rank:
        wanted = wanted[-window.rank :]
    if not wanted and mode == "VALID":
        return ((0, 0),) * window.rank
    if not wanted and mode not in ("SAME_UPPER", "SAME_LOWER"):
        return explicit_pads(node, window.rank)
    pairs = []
    for i, n in enumerate(window.spatial):
        if n is None:
            return None
        out = wanted[i] if wanted else n * window.stride[i]
        total = window.stride[i] * (n - 1) + extra[i] + window.dilation[i] * (window.kernel[i] - 1) + 1 - out
        total = max(total, 0)
        small = total // 2
        pairs.append((small, total - small) if mode == "SAME_UPPER" else (total - small, small))
    return tuple(pairs)


def emit_conv_transpose(
    node: Node, x: TensorSpec, weight: TensorSpec, bias: Tensor | TensorSpec | None, y: TensorSpec, pads: Pairs | None
) -> None:
    """``pads`` replaces the node's own where it is given."""
    window = Window(node, x.shape, weight.shape)
    extra = ints_attr(node, "output_padding", (0,) * window.rank)
    per_group = weight.shape[1]
    c_out = None if per_group is None else per_group * window.groups
    c_in = window.channels if window.channels is not None else weight.shape[0]
    if None not in (c_in, weight.shape[0]) and c_in != weight.shape[0]:
        raise ModelError(f"{node.where}: an input of {c_in} channels meets a weight {weight.shape}")
    attrs = window.attrs(pads if pads is not None else transposed_pads(node, window, extra), c_in, c_out)
    attrs["output_padding"] = extra
    node.layer("conv_transpose", {"x": x, "weight": weight, "bias": bias}, y, attrs)


def conv_transpose(node: Node) -> None:
    emit_conv_transpose(node, node.need(0).spec, node.need(1).spec, node.input(2), node.y, None)


def deform_conv(node: Node) -> None:
    """X, W, offset, B, mask: every tap is read where its offset says, by bilinear interpolation."""
    x, weight = node.need(0), node.need(1)
    window = Window(node, x.shape, weight.shape)
    attrs = window.attrs(explicit_pads(node, window.rank), window.channels, weight.shape[0])
    attrs["offset_groups"] = int_attr(node, "offset_group", 1)
    operands = {"x": x, "offset": node.need(2), "weight": weight, "mask": node.input(4), "bias": node.input(3)}
    node.layer("deform_conv", operands, None, attrs)


def causal_conv_with_state(node: Node) -> None:
    """A depthwise convolution over x and the k − 1 positions before it; the new state is the end of both."""
    x, weight, bias, past = node.need(0), node.need(1), node.input(2), node.input(3)
    if x.rank != 3 or weight.rank != 3:
        raise ModelError(f"{node.where}: an input {x.shape} and a weight {weight.shape}")
    fused = Fused(node, {"silu": "Silu", "swish": "Silu"}.get(str_attr(node, "activation", "none"), ""))
    batch, channels, length = x.shape
    before = (weight.shape[-1] or 1) - 1
    whole = x.spec
    if past is not None:
        whole = node.between((batch, channels, None if length is None else length + before), x.dtype, "state")
        node.layer("concat", {"x0": past, "x1": x}, whole, {"axis": 2}, suffix="state")
    attrs = {
        "kernel_size": (before + 1,), "stride": (1,), "padding": ((0 if past is not None else before, 0),),
        "dilation": (1,), "groups": channels, "in_channels": channels, "out_channels": channels, "data_format": "NCL",
    }  # fmt: skip
    node.layer("conv", {"x": whole, "weight": weight, "bias": bias}, fused.target, attrs)
    fused.finish()
    state = node.output(1)
    if state is not None:
        short = past is None and length is not None and length < before
        if short:
            padding = ((0, 0), (0, 0), (before - (length or 0), 0))
            node.layer("pad", {"x": x}, state, {"padding": padding, "mode": "constant", "value": 0}, suffix="present")
        else:
            node.layer("slice", {"x": whole}, state, {"index": f"last {before} of axis 2"}, suffix="present")


RULES: dict[str, Rule] = {
    "CausalConvWithState": causal_conv_with_state,
    "Conv": conv,
    "ConvInteger": conv_integer,
    "ConvTranspose": conv_transpose,
    "DeformConv": deform_conv,
}
