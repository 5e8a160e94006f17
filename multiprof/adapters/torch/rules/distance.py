"""Distances between rows: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule(aten="_pdist_forward")
def pdist(t: Tracer, self: Tensor, p: float = 2) -> Any:
    y = t.new((), self.dtype)
    t.emit("distance", {"x0": self}, {"y": y}, {"p": p})
    return y


@rule(aten="_cdist_forward")
def cdist(t: Tracer, x1: Tensor, x2: Tensor, p: float, compute_mode: int | None = None) -> Any:
    y = t.new((), x1.dtype)
    t.emit("distance", {"x0": x1, "x1": x2}, {"y": y}, {"p": p})
    return y


@rule(aten="_euclidean_dist")
def euclidean(t: Tracer, x1: Tensor, x2: Tensor) -> Any:
    """How ATen computes many distances: √(|a|² − 2·a·b + |b|²) as one product of (−2·a, |a|², 1) and (b, 1, |b|²)."""
    y = t.new((), x1.dtype)
    c = Chain(t, x1.dtype)
    sides = []
    for x in (x1, x2):
        last = x.dim() - 1
        square = c.make("square", {"x": x}, x.shape)
        norm = c.make("sum", {"x": square}, (*x.shape[:-1], 1), {"axis": (last,), "keepdim": True})
        rows = c.two("mul", x, -2) if x is x1 else x
        ones = c.make("fill", {}, norm.shape, {"value": 1})
        joined = {"x0": rows, "x1": norm, "x2": ones} if x is x1 else {"x0": rows, "x1": ones, "x2": norm}
        sides.append(c.make("concat", joined, (*x.shape[:-1], x.shape[-1] + 2), {"axis": last}))
    product = c.make("matmul", {"x0": sides[0], "x1": sides[1]}, y.shape, {"contracted": x1.shape[-1] + 2})
    c.one("sqrt", c.one("clip", product, min=0), y)
    return y


@rule(aten="dist")
def dist(t: Tracer, self: Tensor, other: Tensor, p: Any = 2) -> Any:
    y = t.new((), self.dtype)
    difference = Chain(t, self.dtype).two("sub", self, other)
    axes = tuple(range(difference.dim()))
    t.emit("norm", {"x": difference}, {"y": y}, {"axis": axes, "keepdim": False, "ord": p}, "norm")
    return y


@rule(aten="renorm")
def renorm(t: Tracer, self: Tensor, p: Any, dim: int, maxnorm: Any) -> Any:
    """Slices along an axis whose p-norm is larger than a limit are divided by it."""
    y = t.new((), self.dtype)
    c = Chain(t, self.dtype)
    axes = tuple(i for i in range(self.dim()) if i != dim % self.dim())
    kept = [n if i not in axes else 1 for i, n in enumerate(self.shape)]
    norm = c.make("norm", {"x": self}, kept, {"axis": axes, "keepdim": True, "ord": p})
    factor = c.make("div", {"x0": norm}, kept, {"scalar": maxnorm, "reverse": True})
    factor = c.make("minimum", {"x0": factor}, kept, {"scalar": 1.0})
    return c.two("mul", self, factor, y)
