"""Interpolation to another size, and sampling at places that a grid names."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import axis_of, given_ints, int_attr, str_attr
from multiprof.adapters.onnx.rules.conv import FORMATS, LAST

_LINEAR = {0: "nearest", 1: "linear", 2: "bilinear", 3: "trilinear"}


def resize(node: Node) -> Any:
    """Resize and Upsample: the result's shape says all that scales or sizes did.

    ``linear`` interpolates between two values along every axis that changes, so that it is linear, bilinear or
    trilinear by how many do; an image whose size stays the same along one axis is still bilinear if the node names
    both, as ONNX Runtime's kernel is. ``cubic`` works along two axes. A mode that ONNX does not have is left alone.
    """
    x, y = node.need(0), node.y
    mode = str_attr(node, "mode", "nearest")
    if mode not in ("nearest", "linear", "bilinear", "cubic", "bicubic"):
        return NotImplemented
    changed = [i for i, (n, m) in enumerate(zip(x.shape, y.shape, strict=True)) if n != m or n is None]
    spatial = _spatial(node, x.rank, changed)
    attrs: dict[str, Any] = {"scale": _scale(x.shape, y.shape, spatial)}
    if mode == "nearest":
        attrs["mode"] = "nearest"
    elif mode in ("linear", "bilinear"):
        attrs["mode"] = _LINEAR.get(len(spatial), "trilinear" if spatial else "nearest")
    else:
        attrs["mode"] = "bicubic"
    transform = str_attr(node, "coordinate_transformation_mode", "half_pixel" if node.version >= 11 else "asymmetric")
    attrs["coordinate_transformation_mode"] = transform
    if attrs["mode"] != "nearest":
        attrs["align_corners"] = transform == "align_corners"
        attrs["antialias"] = bool(int_attr(node, "antialias", 0))
    else:
        attrs["nearest_mode"] = str_attr(node, "nearest_mode", "round_prefer_floor" if node.version >= 11 else "floor")
    if x.rank - 2 in FORMATS:
        last = 1 in changed and x.rank - 1 not in changed
        attrs["data_format"] = (LAST if last else FORMATS)[x.rank - 2]
    node.layer("resize", {"x": x}, None, attrs)
    return None


def _spatial(node: Node, rank: int, changed: list[int]) -> list[int]:
    """The axes that are interpolated along: the node's ``axes``, else those that change, at least the image's two."""
    given = given_ints(node, "axes")
    if given:
        return sorted(axis_of(node, axis, rank) for axis in given)
    if rank in (3, 4, 5) and all(i >= 2 for i in changed) and changed:
        return list(range(2, rank))
    return changed


def _scale(before: Any, after: Any, spatial: list[int]) -> tuple[float | None, ...]:
    return tuple(
        None if before[i] is None or after[i] is None or not before[i] else after[i] / before[i] for i in spatial
    )


_SAMPLING = {
    "linear": "bilinear",
    "bilinear": "bilinear",
    "cubic": "bicubic",
    "bicubic": "bicubic",
    "nearest": "nearest",
}


def grid_sample(node: Node) -> Any:
    """Opset 16 calls the modes bilinear and bicubic, opset 20 linear and cubic; any other is left alone."""
    mode = _SAMPLING.get(str_attr(node, "mode", "linear"))
    if mode is None:
        return NotImplemented
    attrs = {
        "mode": mode,
        "padding_mode": str_attr(node, "padding_mode", "zeros"),
        "align_corners": bool(int_attr(node, "align_corners", 0)),
    }
    node.layer("grid_sample", {"x": node.need(0), "grid": node.need(1)}, None, attrs)
    return None


def affine_grid(node: Node) -> None:
    attrs = {"align_corners": bool(int_attr(node, "align_corners", 0))}
    node.layer("affine_grid", {"theta": node.need(0)}, None, attrs)


RULES: dict[str, Rule] = {
    "AffineGrid": affine_grid,
    "GridSample": grid_sample,
    "Resize": resize,
    "Upsample": resize,
}
