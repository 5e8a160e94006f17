"""Pooling over windows, over everything, back out of windows, and over regions of interest."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import float_attr, given_ints, int_attr, ints_attr, str_attr
from multiprof.adapters.onnx.rules.conv import FORMATS, LAST, explicit_pads, window_pads
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec


def window(node: Node, x: Shape, channels_last: bool = False) -> dict[str, Any]:
    """The attributes of a pool; raises `ModelError` without a kernel, or with one of another rank than x."""
    rank = len(x) - 2
    kernel = given_ints(node, "kernel_shape")
    if kernel is None or len(kernel) != rank or rank < 1 or min(kernel) < 1:
        raise ModelError(f"{node.where}: a kernel {kernel} for an input {x}")
    stride = ints_attr(node, "strides", (1,) * rank)
    dilation = ints_attr(node, "dilations", (1,) * rank)
    attrs: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": window_pads(node, x[1:-1] if channels_last else x[2:], kernel, stride, dilation),
        "dilation": dilation,
        "ceil_mode": bool(int_attr(node, "ceil_mode", 0)),
    }
    if rank in FORMATS:
        attrs["data_format"] = (LAST if channels_last else FORMATS)[rank]
    return attrs


def max_pool(node: Node) -> None:
    emit_max_pool(node, node.need(0))


def emit_max_pool(node: Node, x: Tensor, channels_last: bool = False) -> None:
    keep_quant(node, x)
    node.layer("max_pool", {"x": x}, {"y": node.y, "indices": node.output(1)}, window(node, x.shape, channels_last))


def keep_quant(node: Node, x: Tensor) -> None:
    """A result that holds values of a quantised operand is quantised as that is."""
    if x.spec.quant is not None and node.y.dtype == x.dtype and node.y.quant is None:
        node.y.quant = x.spec.quant


def average_pool(node: Node) -> None:
    emit_average_pool(node, node.need(0).spec, node.y)


def emit_average_pool(node: Node, x: TensorSpec, y: TensorSpec, channels_last: bool = False) -> None:
    attrs = window(node, x.shape, channels_last)
    attrs |= {"count_include_pad": bool(int_attr(node, "count_include_pad", 0)), "divisor": None}
    node.layer("avg_pool", {"x": x}, y, attrs)


def lp_pool(node: Node) -> None:
    x = node.need(0)
    attrs = window(node, x.shape)
    attrs["p"] = whole(float_attr(node, "p", 2.0))
    node.layer("lp_pool", {"x": x}, None, attrs)


def whole(p: float) -> float:
    """2 rather than 2.0."""
    return int(p) if p == p // 1 else p


def emit_global(node: Node, op: str, x: TensorSpec, y: TensorSpec, channels_last: bool = False) -> None:
    """A mean or maximum over all positions."""
    spatial = x.shape[1:-1] if channels_last else x.shape[2:]
    rank = len(spatial)
    attrs: dict[str, Any] = {"input_size": spatial, "output_size": (1,) * rank}
    if rank in FORMATS:
        attrs["data_format"] = (LAST if channels_last else FORMATS)[rank]
    node.layer(op, {"x": x}, y, attrs)


def global_average_pool(node: Node) -> None:
    emit_global(node, "adaptive_avg_pool", node.need(0).spec, node.y)


def global_max_pool(node: Node) -> None:
    keep_quant(node, node.need(0))
    emit_global(node, "adaptive_max_pool", node.need(0).spec, node.y)


def global_lp_pool(node: Node) -> None:
    x = node.need(0)
    attrs = {"axis": tuple(range(2, x.rank)), "keepdim": True, "ord": whole(float_attr(node, "p", 2.0))}
    node.layer("norm", {"x": x}, None, attrs)


def max_unpool(node: Node) -> None:
    """The operand ``output_shape`` says only how large the result is."""
    x = node.need(0)
    rank = x.rank - 2
    attrs = {
        "kernel_size": given_ints(node, "kernel_shape", rank),
        "stride": ints_attr(node, "strides", (1,) * rank),
        "padding": explicit_pads(node, rank),
    }
    node.layer("max_unpool", {"x": x, "indices": node.need(1)}, None, attrs)


def max_roi_pool(node: Node) -> None:
    attrs = {
        "output_size": given_ints(node, "pooled_shape", 2),
        "spatial_scale": float_attr(node, "spatial_scale", 1.0),
    }
    node.layer("roi_pool", {"x": node.need(0), "rois": node.need(1)}, None, attrs)


def roi_align(node: Node) -> None:
    """A sampling ratio of 0 means as many points as a bin has pixels; the third operand tells a region's image."""
    default = "half_pixel" if node.version >= 16 else "output_half_pixel"
    attrs = {
        "output_size": (int_attr(node, "output_height", 1), int_attr(node, "output_width", 1)),
        "sampling_ratio": int_attr(node, "sampling_ratio", 0),
        "mode": str_attr(node, "mode", "avg"),
        "spatial_scale": float_attr(node, "spatial_scale", 1.0),
        "coordinate_transformation_mode": str_attr(node, "coordinate_transformation_mode", default),
    }
    node.layer("roi_align", {"x": node.need(0), "rois": node.need(1)}, None, attrs)


RULES: dict[str, Rule] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": global_max_pool,
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "MaxRoiPool": max_roi_pool,
    "MaxUnpool": max_unpool,
    "RoiAlign": roi_align,
}
