"""Reductions over axes, and interpolation."""

from __future__ import annotations

from multiprof.adapters._common.shapes import reduced
from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.shape import axis_of

_OPS = {
    "MEAN": "mean", "SUM": "sum", "REDUCE_PROD": "prod", "REDUCE_MAX": "max", "REDUCE_MIN": "min", "REDUCE_ANY": "any",
    "REDUCE_ALL": "all",
}  # fmt: skip


@rule(*_OPS)
def reduction(node: Node) -> None:
    """Operands: x, axes; without axes nothing is reduced."""
    shape = node.shape(0)
    keep = bool(node.options["keep_dims"])
    axes = tuple(sorted({axis_of(node, a, len(shape)) for a in node.need_ints(1, "axes")}))
    if not shape:
        axes = ()
    op = _OPS[node.code] if axes else "identity"
    node.emit(op, {"x": node.x()}, reduced(shape, axes, keep), {"axis": axes, "keepdim": keep} if axes else None)


@rule("ARG_MAX", "ARG_MIN")
def arg(node: Node) -> None:
    shape = node.shape(0)
    axis = axis_of(node, node.need_ints(1, "axis")[0], len(shape))
    op = "argmax" if node.code == "ARG_MAX" else "argmin"
    node.emit(op, {"x": node.x()}, reduced(shape, (axis,), False), {"axis": (axis,), "keepdim": False})


@rule("CUMSUM")
def cumsum(node: Node) -> None:
    shape = node.shape(0)
    axis = axis_of(node, node.need_ints(1, "axis")[0], len(shape))
    attrs = {"axis": (axis,), "exclusive": bool(node.options["exclusive"]), "reverse": bool(node.options["reverse"])}
    node.emit("cumsum", {"x": node.x()}, shape, attrs)


@rule("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(node: Node) -> None:
    """Operands: images NHWC, height and width."""
    n, h, w, c = node.shape(0, 4)
    size = node.values(1)
    if size is not None and len(size) != 2:
        raise node.fail(f"{size} is no height and width")
    height, width = size if size is not None else (None, None)
    shape = (n, height, width, c)
    attrs = {
        "mode": "bilinear" if node.code == "RESIZE_BILINEAR" else "nearest",
        "scale": tuple(b / a if a and b is not None else None for a, b in zip((h, w), shape[1:3], strict=True)),
        "align_corners": bool(node.options["align_corners"]),
        "half_pixel_centers": bool(node.options["half_pixel_centers"]),
        "data_format": "NHWC",
    }
    node.emit("resize", {"x": node.x()}, shape, attrs)


__all__: list[str] = []
