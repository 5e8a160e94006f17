"""Interpolation to another size, and sampling at computed places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.rules._images import Images
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule

_SMOOTH = {1: "linear", 2: "bilinear", 3: "trilinear"}
_NAMES = {"linear", "bilinear", "trilinear"}
_PLAIN = ("nearest", "nearest-exact", "area")


@rule("resize")
def resize(layer: Layer, context: Context) -> Kernel:
    a = layer.attrs
    mode = a["mode"]
    x, y = shape_of(layer.x), shape_of(layer.y)
    if a.get("data_format") is None:
        return _unnamed(x, y, mode, bool(a.get("align_corners")))
    rank = len(a["data_format"]) - a["data_format"].count("N") - 1
    images = Images(layer, rank)
    size = images.sizes(y)
    notes = _notes(layer)
    to = _target(a.get("scale"), images.sizes(x), size, mode)
    if mode in _PLAIN:
        integer = layer.x.is_integer and layer.x.dtype != "uint8"
        kind = context.type_of(layer.y)

        def nearest(x: Tensor) -> Tensor:
            made = F.interpolate(x.float() if integer else x, **to, mode=mode)
            return made.to(kind) if integer else made

        return Kernel(images.wrap(nearest), notes=notes)
    if mode in _NAMES:
        mode = _SMOOTH[rank]
    elif mode != "bicubic" or rank != 2:
        raise NotLoweredError(f"torch does not interpolate by {mode!r} in {rank} dimensions")
    align, antialias = bool(a.get("align_corners")), bool(a.get("antialias")) and rank == 2
    kind, real = context.type_of(layer.y), "float" in layer.x.dtype

    def smooth(x: Tensor) -> Tensor:
        x = x if real else x.float()
        made = F.interpolate(x, **to, mode=mode, align_corners=align, antialias=antialias)
        return made if made.dtype == kind else made.to(kind)

    return Kernel(images.wrap(smooth), notes=notes)


def _target(scale: Any, before: Sequence[int], size: tuple[int, ...], mode: str) -> dict[str, Any]:
    """The size, or the scale that gives it: torch interpolates by the scale it is given."""
    known = mode != "area" and scale and None not in scale and len(scale) == len(size)
    if known and all(int(n * s) == m for n, s, m in zip(before, scale, size, strict=True)):
        return {"scale_factor": tuple(float(s) for s in scale)}
    return {"size": size}


def _notes(layer: Layer) -> tuple[str, ...]:
    transform = layer.attrs.get("coordinate_transformation_mode")
    usual = (None, "half_pixel", "align_corners", "pytorch_half_pixel", "asymmetric")
    return () if transform in usual else (f"places are those of half pixels, not of {transform}",)


def _unnamed(x: tuple[int, ...], y: tuple[int, ...], mode: str, align: bool) -> Kernel:
    """Without a format: the dimensions that change are the spatial ones."""
    if len(x) != len(y):
        raise NotLoweredError(f"{x} resized to {y}")
    spatial = [i for i, (n, m) in enumerate(zip(x, y, strict=True)) if n != m]
    if not spatial:
        return Kernel(lambda x: x.clone())
    if len(spatial) > 3 or len(x) - len(spatial) > 2:
        raise NotLoweredError(f"{x} resized to {y}")
    rest = [i for i in range(len(x)) if i not in spatial]
    perm = (*rest, *spatial)
    inverse = tuple(perm.index(i) for i in range(len(x)))
    size = tuple(y[i] for i in spatial)
    name = _SMOOTH[len(spatial)] if mode in _NAMES else mode
    if name == "bicubic" and len(spatial) != 2:
        raise NotLoweredError(f"torch does not interpolate by {mode!r} in {len(spatial)} dimensions")

    def run(x: Tensor) -> Tensor:
        seen = x.permute(perm)
        for _ in range(2 - len(rest)):
            seen = seen.unsqueeze(0)
        made = F.interpolate(seen, size, mode=name, align_corners=None if name in _PLAIN else align)
        for _ in range(2 - len(rest)):
            made = made.squeeze(0)
        return made.permute(inverse)

    return Kernel(run)


@rule("grid_sample")
def grid_sample(layer: Layer, context: Context) -> Kernel:
    a = layer.attrs
    mode, padding, align = a["mode"], a.get("padding_mode", "zeros"), bool(a.get("align_corners"))
    return Kernel(lambda x, grid: F.grid_sample(x, grid, mode, padding, align))


@rule("affine_grid")
def affine_grid(layer: Layer, context: Context) -> Kernel:
    *sizes, _ = shape_of(layer.y)
    align = bool(layer.attrs.get("align_corners"))
    return Kernel(lambda theta: F.affine_grid(theta, [sizes[0], 1, *sizes[1:]], align))


@rule("roi_align")
def roi_align(layer: Layer, context: Context) -> Kernel:
    """Values sampled bilinearly at the centres of the cells' parts; the regions are spread over the images evenly."""
    a = layer.attrs
    height, width = a["output_size"]
    samples = max(int(a["sampling_ratio"] or 0), 1)
    last = str(a.get("data_format", "NCHW")).endswith("C")
    y = shape_of(layer.y)
    regions = y[0]
    largest = a.get("mode", "avg") == "max"

    def run(x: Tensor, rois: Tensor) -> Tensor:
        image = x.movedim(-1, 1) if last else x
        each = -(-regions // image.shape[0])
        grid = x.new_zeros(image.shape[0] * each, 2, 3)
        grid[:, 0, 0] = grid[:, 1, 1] = 0.5
        places = F.affine_grid(grid, [grid.shape[0], 1, height * samples, width * samples], False)
        joint = places.reshape(image.shape[0], each * height * samples, width * samples, 2)
        made = F.grid_sample(image, joint, align_corners=False)
        made = made.reshape(image.shape[0], -1, each, height * samples, width * samples)
        made = made.transpose(1, 2).reshape(-1, image.shape[1], height * samples, width * samples)[:regions]
        made = F.max_pool2d(made, samples) if largest else F.avg_pool2d(made, samples)
        return (made.movedim(1, -1) if last else made).reshape(y)

    return Kernel(run, notes=("the regions are the middle of each image",))
