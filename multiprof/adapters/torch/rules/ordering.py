"""Order and selection: torch's own kernels give the results, whose shape may depend on values."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, normal_axis
from multiprof.adapters.torch.rules._promotion import REAL
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def results(t: Tracer) -> list[Tensor]:
    """What torch's kernel returned, all of it."""
    assert t.forced is not None  # these rules stand in the table of aten operators alone
    made, t.forced = t.forced, []
    return made


def line(x: Tensor, dim: int) -> tuple[int, int]:
    """The axis, non-negative, and how many elements it has; a number is a line of one."""
    if not x.dim():
        return 0, 1
    axis = normal_axis(dim, x.dim())
    return axis, x.shape[axis]


@rule(aten="sort")
def sort(t: Tracer, self: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
    """``argsort`` and ``msort`` arrive here too."""
    values, indices = results(t)
    axis, n = line(self, dim)
    attrs = {"axis": axis, "n": n, "descending": bool(descending), "stable": bool(stable)}
    t.emit("sort", {"x": self}, {"y": values, "indices": indices}, attrs)
    return values, indices


@rule(aten="topk")
def topk(t: Tracer, self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    values, indices = results(t)
    axis, n = line(self, dim)
    attrs = {"axis": axis, "k": int(k), "n": n, "largest": bool(largest), "sorted": bool(sorted)}
    t.emit("topk", {"x": self}, {"y": values, "indices": indices}, attrs)
    return values, indices


@rule(aten="nonzero")
def nonzero(t: Tracer, self: Tensor, *, as_tuple: bool = False) -> Any:
    if self.dtype not in REAL:
        return NotImplemented
    if as_tuple:
        return positions_by_axis(t, self)
    (positions,) = results(t)
    t.emit("nonzero", {"x": self}, {"y": positions})
    return positions


def positions_by_axis(t: Tracer, x: Tensor) -> Any:
    """The positions along every axis apart, as ``where(condition)`` gives them: the columns of what `nonzero` makes."""
    columns = results(t)
    positions = between((columns[0].shape[0], len(columns)), columns[0].dtype)
    t.emit("nonzero", {"x": x}, {"y": positions})
    pieces = {f"y{i}": column for i, column in enumerate(columns)}
    t.emit("split", {"x": positions}, pieces, {"axis": 1, "sizes": (1,) * len(columns)})
    return tuple(columns)


@rule(aten="bucketize")
def bucketize(t: Tracer, self: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Any:
    (places,) = results(t)
    t.emit("bucketize", {"x": self, "boundaries": boundaries}, {"y": places}, {"right": bool(right)})
    return places


@rule(aten="searchsorted")
def searchsorted(
    t: Tracer,
    sorted_sequence: Tensor,
    self: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Any:
    """Every row may have boundaries of its own; ``sorter`` names their order where they are in none."""
    if sorter is not None:
        return NotImplemented
    return bucketize(t, self, sorted_sequence, right=right or side == "right")


@rule(aten="histc")
def histc(t: Tracer, self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """Without borders they are looked for first."""
    (counts,) = results(t)
    if min == max:
        for op in ("min", "max"):
            border = between((), self.dtype)
            axes = tuple(range(self.dim()))
            t.emit(op, {"x": self}, {"y": border}, {"axis": axes, "keepdim": False}, op)
    t.emit("histogram", {"x": self}, {"y": counts})
    return counts


@rule(aten="bincount")
def bincount(t: Tracer, self: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Any:
    """With weights, what is added to the place of an integer is its weight."""
    (counts,) = results(t)
    if weights is not None:
        zeros = between(counts.shape, counts.dtype)
        t.emit("fill", {}, {"y": zeros}, {"value": 0}, "zeros")
        inputs = {"x": zeros, "indices": self, "src": weights}
        t.emit("scatter_reduce", inputs, {"y": counts}, {"axis": 0, "reduce": "sum"})
        return counts
    t.emit("histogram", {"x": self}, {"y": counts})
    return counts
