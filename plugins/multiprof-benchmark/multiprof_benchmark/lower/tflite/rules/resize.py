"""Images of another size, by the nearest element or between the four around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.tflite.images import Images, image_shape
from multiprof_benchmark.lower.tflite.table import rule

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

KINDS = {
    "nearest": ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    "nearest-exact": ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    "bilinear": ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    "linear": ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
}


@rule("resize")
def resize(b: Builder, layer: Layer) -> None:
    a = layer.attrs
    if a["mode"] not in KINDS or a.get("antialias"):
        raise NotLoweredError(f"interpolation by {a['mode']!r}")
    form = a.get("data_format") or ("NCHW" if layer.x.rank == 4 else "NCL")
    images = Images(layer, len(form) - 2)
    if images.rank == 3:
        raise NotLoweredError("volumes of another size")
    x = images.read(b, layer.x)
    shape = image_shape(layer.y, images)
    kind, options = KINDS[a["mode"]]
    corners = bool(a.get("align_corners"))
    half = not corners and a["mode"] != "nearest"
    y = b.temporary(shape, x.dtype, b.name(layer) if images.rank == 2 else f"{b.name(layer)}_image")
    size = b.integers(shape[1:3])
    b.emit(kind, [x, size], y, options, 3, alignCorners=corners, halfPixelCenters=half)
    images.write(b, layer, y)
