"""Sampling at computed places, and what undoes a pooling: torch's own kernels give the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# ATen's numbers for them
_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


@rule(aten=("grid_sampler_2d", "grid_sampler_3d", "cudnn_grid_sampler"))
def grid_sample(
    t: Tracer,
    input: Tensor,
    grid: Tensor,
    interpolation_mode: int = 0,
    padding_mode: int = 0,
    align_corners: bool = True,
) -> Any:
    attrs = {
        "mode": _MODES[interpolation_mode],
        "padding_mode": _PADDINGS[padding_mode],
        "align_corners": bool(align_corners),
    }
    y = t.new((), input.dtype)
    t.emit("grid_sample", {"x": input, "grid": grid}, {"y": y}, attrs)
    return y


@rule(aten="affine_grid_generator")
def affine_grid(t: Tracer, theta: Tensor, size: Sequence[int], align_corners: bool) -> Any:
    y = t.new((), theta.dtype)
    t.emit("affine_grid", {"theta": theta}, {"y": y}, {"align_corners": bool(align_corners)})
    return y


@rule(aten=("max_unpool2d", "max_unpool3d"))
def max_unpool(t: Tracer, self: Tensor, indices: Tensor, *sizes: Any, **named: Any) -> Any:
    """Where the elements go stands in the indices, so neither window nor size is asked for."""
    y = t.new((), self.dtype)
    t.emit("max_unpool", {"x": self, "indices": indices}, {"y": y})
    return y
