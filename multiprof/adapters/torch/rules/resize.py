"""Interpolation of signals, images and volumes to another size."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, Unsure, is_canonical
from multiprof.adapters.torch.rules._images import check_image, counts, data_format, new_image, resized
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

_EVERY_RANK = ("nearest", "nearest-exact", "area")
_OF_RANK = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_SMOOTH = ("bilinear", "bicubic")


def _sizes(x: Tensor, rank: int, size: Any, scale: Any) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Spatial sizes of the result and the factors; just one of ``size`` and ``scale`` is given."""
    given = x.shape[2:]
    if scale is None:
        wanted = (size,) * rank if type(size) is int else tuple(size)
        if any(type(n) is not int for n in wanted):
            raise Unsure
        factors = tuple([m / n for n, m in zip(given, wanted, strict=True)])
    else:
        factors = tuple(scale) if isinstance(scale, (tuple, list)) else (scale,) * rank
        if any(type(s) not in (int, float) for s in factors):
            raise Unsure
        wanted = tuple([int(n * s) for n, s in zip(given, factors, strict=True)])
    if min(wanted) < 1:
        raise Unsure
    return wanted, factors


@rule("F.interpolate")
def interpolate(
    t: Tracer,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    rank = input.dim() - 2
    if rank not in (1, 2, 3) or (size is None) is (scale_factor is None):
        return NotImplemented
    if mode in _EVERY_RANK:
        if align_corners is not None:
            return NotImplemented
    elif _OF_RANK.get(mode) != rank:
        return NotImplemented
    if (recompute_scale_factor and size is not None) or (antialias and mode not in _SMOOTH):
        return NotImplemented
    check_image(t, input)
    spatial, factors = _sizes(input, rank, size, scale_factor)
    shape = resized(input, rank, spatial)
    if is_canonical(input) or (rank == 1 and mode != "area" and not input.is_contiguous()):
        y = t.new(shape, input.dtype)
    elif rank == 2 and max(spatial) > 1:
        y = new_image(t, rank, input, shape, input.dtype)
    else:
        return NotImplemented
    _emit(t, input, y, rank, mode, factors, bool(align_corners), antialias)
    return y


def _emit(
    t: Tracer,
    x: Tensor,
    y: Tensor,
    rank: int,
    mode: str,
    scale: tuple[float, ...],
    align_corners: bool,
    antialias: bool,
) -> None:
    attrs = {
        "mode": mode,
        "scale": scale,
        "align_corners": align_corners,
        "antialias": antialias,
        "data_format": data_format(x, rank),
    }
    t.emit("resize", {"x": x}, {"y": y}, attrs)


def _upsample(rank: int, mode: str, antialias: bool) -> Rule:
    """The operator beneath: (input, output_size[, align_corners], scales…)."""

    def apply(t: Tracer, input: Tensor, output_size: Any, *rest: Any, **scales: Any) -> Any:
        wanted = counts(output_size, rank)
        y = t.new(resized(input, rank, wanted), input.dtype)
        factors = tuple([m / n for n, m in zip(input.shape[2:], wanted, strict=True)])
        align_corners = mode not in _EVERY_RANK and bool(rest and rest[0])
        _emit(t, input, y, rank, mode, factors, align_corners, antialias)
        return y

    return apply


for _rank, _smooth in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
    rule(aten=f"upsample_nearest{_rank}d")(_upsample(_rank, "nearest", False))
    rule(aten=f"_upsample_nearest_exact{_rank}d")(_upsample(_rank, "nearest-exact", False))
    rule(aten=f"upsample_{_smooth}{_rank}d")(_upsample(_rank, _smooth, False))
rule(aten="upsample_bicubic2d")(_upsample(2, "bicubic", False))
for _smooth in _SMOOTH:
    rule(aten=f"_upsample_{_smooth}2d_aa")(_upsample(2, _smooth, True))
