"""Convolution and deconvolution; the number of groups follows from the filter's shape."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.rules._fused import Fused
from multiprof.adapters.tensorflow.rules._windows import Axes, attrs_of, known, padding
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import Shape, TensorSpec


def _groups(node: Node, channels: int | None, per_group: int | None) -> int:
    if channels is None or not per_group:
        return 1
    if channels % per_group:
        raise node.fail(f"{channels} channels do not fall into groups of {per_group}")
    return channels // per_group


def emit_conv(
    node: Node,
    x: TensorSpec,
    weight: TensorSpec,
    y: TensorSpec,
    *,
    depthwise: bool = False,
    bias: TensorSpec | None = None,
    piece: str = "",
) -> None:
    """Filter (kernel …, C_i/G, C_o), depthwise (kernel …, C_i, multiplier)."""
    if x.rank != weight.rank or x.rank < 3:
        raise node.fail(f"an input {x.shape} and a filter {weight.shape}")
    axes = Axes(node, x.rank)
    kernel = known(node, weight.shape[: axes.count], "kernel")
    stride, dilation = axes.pick(node, "strides"), axes.pick(node, "dilations")
    channels, per_group = x.shape[axes.channel], weight.shape[-2]
    attrs: dict[str, Any] = attrs_of(
        axes, kernel, stride, padding(node, axes, axes.sizes(x.shape), kernel, stride, dilation), dilation
    )
    groups = (channels or per_group or 1) if depthwise else _groups(node, channels, per_group)
    attrs |= {
        "groups": groups,
        "in_channels": channels if channels is not None else per_group,
        "out_channels": y.shape[axes.channel],
    }
    node.layer("conv", {"x": x, "weight": weight, "bias": bias}, y, attrs, piece=piece)


@rule("Conv2D", "Conv3D", "Conv")
def conv(node: Node) -> Any:
    if node.op == "Conv" and int(node.attr("batch_dims", 1)) != 1:
        return NotImplemented
    emit_conv(node, node.x(0), node.x(1), node.y())
    return None


@rule("DepthwiseConv2dNative")
def depthwise(node: Node) -> None:
    emit_conv(node, node.x(0), node.x(1), node.y(), depthwise=True)


@rule("_FusedConv2D", "_FusedDepthwiseConv2dNative", "_FusedConv3D")
def fused(node: Node) -> Any:
    """x, filter, then what is fused behind: a bias, a norm, an activation."""
    chain = Fused(node, 2)
    if not chain.understood:
        return NotImplemented
    emit_conv(
        node, node.x(0), node.x(1), chain.target, depthwise="Depthwise" in node.op, bias=chain.bias
    )  # fmt: skip
    chain.finish()
    return None


def _deconvolve(node: Node, x: TensorSpec, weight: TensorSpec, depthwise: bool) -> None:
    """The transpose of a convolution from y to x: filter (kernel …, C_o/G, C_i) in the words of this one."""
    y = node.y()
    if y.rank != x.rank:
        y.shape = (None,) * x.rank
    axes = Axes(node, x.rank)
    kernel = known(node, weight.shape[: axes.count], "kernel")
    stride, dilation = axes.pick(node, "strides"), axes.pick(node, "dilations")
    out: Shape = axes.sizes(y.shape)
    pairs = padding(node, axes, out, kernel, stride, dilation)
    attrs: dict[str, Any] = attrs_of(axes, kernel, stride, pairs, dilation)
    c_out = y.shape[axes.channel]
    per_group = 1 if depthwise else weight.shape[-2]
    if c_out is None:
        c_out = weight.shape[-2]
    attrs |= {
        "groups": _groups(node, c_out, per_group),
        "in_channels": x.shape[axes.channel],
        "out_channels": c_out,
    }
    sizes = axes.sizes(x.shape)
    if pairs is not None and None not in (*sizes, *out):
        attrs["output_padding"] = tuple(
            m - ((n - 1) * s - sum(p) + d * (k - 1) + 1)
            for n, m, k, s, d, p in zip(sizes, out, kernel, stride, dilation, pairs, strict=True)
        )
    node.layer("conv_transpose", {"x": x, "weight": weight}, y, attrs)


@rule("Conv2DBackpropInput", "Conv3DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput")
def deconvolve(node: Node) -> None:
    """input_sizes (the result's shape), filter, x."""
    _deconvolve(node, node.x(2), node.x(1), "Depthwise" in node.op)


@rule("Conv2DBackpropInputV2")
def deconvolve_v2(node: Node) -> None:
    """A tensor of the result's shape, filter, x."""
    _deconvolve(node, node.x(2), node.x(1), False)


@rule("Dilation2D")
def dilation(node: Node) -> Any:
    """Grey-scale morphology, a sum and a maximum where a convolution has a product and a sum, has no canonical op."""
    return NotImplemented
