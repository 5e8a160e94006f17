"""ONNX Runtime's own convolutions and pools, crops, and operators that it had before ONNX did."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import transposed_output, window_output
from multiprof.adapters.onnx.node import Infer, Node, Rule
from multiprof.adapters.onnx.rules._common import (
    VIEW,
    Found,
    axis_of,
    int_attr,
    ints,
    ints_attr,
    like_first,
    number,
    ranked,
    str_attr,
    unary,
)
from multiprof.adapters.onnx.rules.activation import Fused
from multiprof.adapters.onnx.rules.contrib_quantized import pooled
from multiprof.adapters.onnx.rules.conv import Window, emit_conv, emit_conv_transpose, window_pads
from multiprof.adapters.onnx.rules.creation import arange
from multiprof.adapters.onnx.rules.index import gather_nd
from multiprof.adapters.onnx.rules.pool import emit_max_pool
from multiprof.adapters.onnx.rules.resize import grid_sample
from multiprof.adapters.onnx.rules.shape import pad, triangle
from multiprof.errors import ModelError

# -- convolutions and pools --------------------------------------------------------------------------------------------


def _conv(channels_last: bool) -> Rule:
    """A convolution, the residual sum Z where there is one, and the activation."""

    def rule(node: Node) -> None:
        given = node.attr("activation_params")
        parameters = tuple(float(p) for p in given) if isinstance(given, list) else ()
        fused = Fused(node, str_attr(node, "activation", ""), parameters)
        skip = node.input(3)
        made = fused.target if skip is None else node.between(node.y.shape)
        emit_conv(node, node.need(0).spec, node.need(1).spec, node.input(2), made, channels_last=channels_last)
        if skip is not None:
            node.layer("add", {"x0": made, "x1": skip}, fused.target, suffix="add")
        fused.finish()

    return rule


fused_conv = _conv(False)


def infer_conv(node: Node) -> Found:
    last = node.op_type.startswith("Nhwc") or bool(int_attr(node, "channels_last", 0))
    place = 3 if node.op_type == "QLinearConv" else 1
    x, weight = node.need(0), node.need(place)
    window = Window(node, x.shape, weight.shape, last)
    pads = window_pads(node, window.spatial, window.kernel, window.stride, window.dilation)
    sizes = zip(
        window.spatial, window.kernel, window.stride, pads or ((0, 0),) * window.rank, window.dilation, strict=True
    )  # fmt: skip
    out = tuple(None if n is None else window_output(n, k, s, p, d, where=node.where) for n, k, s, p, d in sizes)
    zero = node.input(7) if place == 3 else None
    dtype = x.dtype if zero is None else zero.dtype
    shape = (x.shape[0], *out, weight.shape[0]) if last else (x.shape[0], weight.shape[0], *out)
    return [(shape, dtype)]


def max_pool(node: Node) -> None:
    emit_max_pool(node, node.need(0), channels_last=True)


def conv_transpose(node: Node) -> None:
    """The padding is an operand."""
    emit_conv_transpose(node, node.need(0).spec, node.need(1).spec, node.input(3), node.y, _dynamic_pads(node))


def _dynamic_pads(node: Node) -> tuple[tuple[int, int], ...] | None:
    flat, rank = ints(node.input(2)), node.need(0).rank - 2
    if flat is None or len(flat) != 2 * rank:
        return None if node.input(2) is not None else ((0, 0),) * rank
    return tuple((flat[i], flat[i + rank]) for i in range(rank))


def infer_conv_transpose(node: Node) -> Found:
    x, weight = node.need(0), node.need(1)
    window, pads = Window(node, x.shape, weight.shape), _dynamic_pads(node)
    extra = ints_attr(node, "output_padding", (0,) * window.rank)
    channels = None if weight.shape[1] is None else weight.shape[1] * window.groups
    out: tuple[int | None, ...] = (None,) * window.rank
    if pads is not None:
        sizes = zip(window.spatial, window.kernel, window.stride, pads, window.dilation, extra, strict=True)
        out = tuple(transposed_output(*one) for one in sizes)
    return [((x.shape[0], channels, *out), x.dtype)]


# -- crops, matrices, positions ----------------------------------------------------------------------------------------


def crop_and_resize(node: Node) -> Any:
    """One bilinear sample for each element of the result."""
    if str_attr(node, "mode", "bilinear") != "bilinear":
        return NotImplemented
    size = ints(node.need(3)) or node.y.shape[2:]
    attrs = {"output_size": tuple(size), "sampling_ratio": 1, "mode": "avg"}
    node.layer("roi_align", {"x": node.need(0), "rois": node.need(1)}, None, attrs)
    return None


def infer_crop(node: Node) -> Found:
    x, rois, size = node.need(0), node.need(1), ints(node.need(3))
    if x.rank != 4 or rois.rank != 2:
        raise ModelError(f"{node.where}: an input {x.shape} and regions {rois.shape}")
    height, width = size if size is not None and len(size) == 2 else (None, None)
    return [((rois.shape[0], x.shape[1], height, width), x.dtype)]


def unique(node: Node) -> None:
    outputs = {"y": node.output(0), "inverse": node.output(1), "counts": node.output(2)}
    node.layer("unique", {"x": node.need(0)}, outputs, {"sorted": False})


def infer_unique(node: Node) -> Found:
    x = node.need(0)
    return [((None,), x.dtype), (x.shape, "int64"), ((None,), "int64")]


def expand_dims(node: Node) -> None:
    node.layer("reshape", {"x": node.need(0)}, None, {"shape": node.y.shape}, aliases=VIEW)


def infer_expand_dims(node: Node) -> Found:
    x, axis = node.need(0), number(node.need(1))
    if axis is None:
        return []
    place = axis_of(node, int(axis), x.rank + 1)
    return [((*x.shape[:place], 1, *x.shape[place:]), x.dtype)]


def infer_pad(node: Node) -> Found:
    x, flat = node.need(0), ints(node.need(1))
    if flat is None or len(flat) != 2 * x.rank:
        return [((None,) * x.rank, x.dtype)]
    return [
        (tuple(None if n is None else n + flat[i] + flat[i + x.rank] for i, n in enumerate(x.shape)), x.dtype)
    ]  # fmt: skip


def infer_grid_sample(node: Node) -> Found:
    x, grid = node.need(0), node.need(1)
    if x.rank != grid.rank or x.rank < 3:
        raise ModelError(f"{node.where}: an input {x.shape} and a grid {grid.shape}")
    return [((*x.shape[:2], *grid.shape[1:-1]), x.dtype)]


def infer_gather_nd(node: Node) -> Found:
    x, indices = node.need(0), node.need(1)
    depth = indices.shape[-1] if indices.shape else None
    return [] if depth is None else [((*indices.shape[:-1], *x.shape[depth:]), x.dtype)]


def infer_range(node: Node) -> Found:
    return [((None,), node.need(0).dtype)]


CONTRIB: dict[str, Rule] = {
    "ConvTransposeWithDynamicPads": conv_transpose,
    "CropAndResize": crop_and_resize,
    "ExpandDims": expand_dims,
    "FusedConv": fused_conv,
    "GatherND": gather_nd,
    "GridSample": grid_sample,
    "Inverse": unary("inverse"),
    "NhwcConv": _conv(True),
    "NhwcFusedConv": _conv(True),
    "NhwcMaxPool": max_pool,
    "Pad": pad,
    "Range": arange,
    "Trilu": triangle,
    "Unique": unique,
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        **{(_MS, name): infer_conv for name in ("FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv")},
        **{(_MS, name): like_first for name in ("Inverse", "Trilu")},
        (_MS, "ConvTransposeWithDynamicPads"): infer_conv_transpose,
        (_MS, "CropAndResize"): infer_crop,
        (_MS, "ExpandDims"): infer_expand_dims,
        (_MS, "GatherND"): infer_gather_nd,
        (_MS, "GridSample"): infer_grid_sample,
        (_MS, "NhwcMaxPool"): pooled,
        (_MS, "Pad"): infer_pad,
        (_MS, "Range"): infer_range,
        (_MS, "Unique"): infer_unique,
    }
)
