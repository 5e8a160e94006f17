"""Images of another size, and regions cut out of them."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule

_MODES = {
    "ResizeBilinear": "bilinear", "ResizeNearestNeighbor": "nearest", "ResizeBicubic": "bicubic", "ResizeArea": "area",
    "QuantizedResizeBilinear": "bilinear",
}  # fmt: skip


@rule(*_MODES)
def resize(node: Node) -> None:
    """NHWC."""
    x, y = node.x(), node.y()
    attrs: dict[str, Any] = {"mode": _MODES[node.op], "data_format": "NHWC"}
    sizes = x.shape[1:3], y.shape[1:3]
    if None not in sizes[0] and None not in sizes[1]:
        attrs["scale"] = tuple(m / n if n else 0.0 for n, m in zip(*sizes, strict=True))  # type: ignore[operator]  # no None is left
    attrs["align_corners"] = bool(node.attr("align_corners", False))
    node.layer("resize", {"x": x}, y, attrs)


_KERNELS = {"triangle": "bilinear", "keyscubic": "bicubic", "box": "nearest"}


@rule("ScaleAndTranslate")
def scale_and_translate(node: Node) -> Any:
    """Antialiasing reads as many pixels as the scale is wide, which is in no formula: only without it."""
    mode = _KERNELS.get(str(node.attr("kernel_type", "lanczos3")))
    if mode is None or node.attr("antialias", True):
        return NotImplemented
    node.layer("resize", {"x": node.x()}, None, {"mode": mode, "data_format": "NHWC"})
    return None


@rule("CropAndResize")
def crop_and_resize(node: Node) -> None:
    """Each value of a crop is one sample of the image: region alignment with one sample a cell."""
    y = node.y()
    attrs = {
        "output_size": y.shape[1:3], "sampling_ratio": 1, "spatial_scale": 1.0, "mode": "avg",
        "interpolation": node.attr("method", "bilinear"), "data_format": "NHWC",
    }  # fmt: skip
    node.layer("roi_align", {"x": node.x(0), "rois": node.x(1)}, y, attrs)


@rule("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def projective(node: Node) -> Any:
    return NotImplemented
