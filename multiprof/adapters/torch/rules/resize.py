"""Interpolation to another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, is_regular
from multiprof.adapters.torch.rules._images import check_image, new_image
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_FORMATS = {3: "NCL", 4: "NCHW", 5: "NCDHW"}
# The modes that take align_corners, each with the one rank it is for; the others take any rank.
_INTERPOLATING = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}
_TAKING = frozenset(("nearest", "nearest-exact", "area"))
_FILTERED = frozenset(("bilinear", "bicubic"))


def _output(
    shape: Sequence[int], size: Any, scale_factor: Any, recompute: bool
) -> tuple[list[int], tuple[float, ...] | None] | None:
    """Spatial output sizes, and the scales that torch interpolates by; ``None`` where it refuses the arguments."""
    rank = len(shape)
    if (size is None) == (scale_factor is None) or (size is not None and recompute):
        return None
    if scale_factor is None:
        sizes = [size] * rank if isinstance(size, int) else list(size)
        if len(sizes) != rank or not all(isinstance(n, int) for n in sizes):
            return None
        return sizes, None
    scales = (scale_factor,) * rank if isinstance(scale_factor, (int, float)) else tuple(scale_factor)
    if len(scales) != rank or not all(isinstance(s, (int, float)) for s in scales):
        return None
    return [int(n * s) for n, s in zip(shape, scales, strict=True)], None if recompute else scales


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
    """``area`` averages over windows that tile the input; with ``antialias`` the filter is stretched to shrink."""
    shape = input.shape
    rank = len(shape)
    if mode in _TAKING:
        if align_corners is not None or antialias or rank not in _FORMATS:
            return NotImplemented
    elif _INTERPOLATING.get(mode) != rank or (antialias and mode not in _FILTERED):
        return NotImplemented
    check_image(t, input)
    made = _output(shape[2:], size, scale_factor, bool(recompute_scale_factor))
    if made is None or min(made[0]) < 1:
        return NotImplemented
    after, scales = made
    result = (*shape[:2], *after)
    if is_regular(input) or (rank == 3 and mode != "area" and not input.is_contiguous()):
        y = t.new(result, input.dtype)
    elif rank == 4 and max(after) > 1:
        y = new_image(t, 2, input, result, input.dtype)
    else:
        return NotImplemented
    _emit(t, input, y, mode, scales, align_corners, antialias)
    return y


def _emit(
    t: Tracer,
    x: Tensor,
    y: Tensor,
    mode: str,
    scales: Sequence[float] | None,
    align_corners: bool | None,
    antialias: bool,
) -> None:
    if not scales or mode == "area":
        scales = tuple(m / n for n, m in zip(x.shape[2:], y.shape[2:], strict=True))
    attrs: dict[str, Any] = {"mode": mode, "scale": tuple(scales), "data_format": _FORMATS[x.dim()]}
    if mode in _INTERPOLATING:
        attrs["align_corners"] = bool(align_corners)
        attrs["antialias"] = bool(antialias)
    t.emit("resize", {"x": x}, {"y": y}, attrs)


def _operator(name: str, mode: str, antialias: bool = False) -> None:
    """The rule of an aten operator: (input, output size, align_corners where the mode takes it, scales …).

    The scales are one list in the overload ``vec``, one number or ``None`` for each dimension in the other.
    """

    @rule(aten=name)
    def upsample(t: Tracer, input: Tensor, output_size: Any, *rest: Any, **scaled: Any) -> Any:
        align_corners = None
        if mode in _INTERPOLATING:
            align_corners, *rest_ = rest if rest else (scaled.pop("align_corners"),)
            rest = tuple(rest_)
        given = (*rest, *scaled.values())
        if len(given) == 1 and isinstance(given[0], (list, tuple)):
            given = tuple(given[0])
        y = t.new(input.shape, input.dtype)
        scales = given if len(given) == input.dim() - 2 and None not in given else None
        _emit(t, input, y, mode, scales, align_corners, antialias)
        return y


for _rank, _linear in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
    _operator(f"upsample_nearest{_rank}d", "nearest")
    _operator(f"_upsample_nearest_exact{_rank}d", "nearest-exact")
    _operator(f"upsample_{_linear}{_rank}d", _linear)
_operator("upsample_bicubic2d", "bicubic")
_operator("_upsample_bilinear2d_aa", "bilinear", antialias=True)
_operator("_upsample_bicubic2d_aa", "bicubic", antialias=True)
