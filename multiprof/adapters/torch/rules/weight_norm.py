"""Weight norm: v·g/‖v‖, which torch's kernel computes in one go."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, is_regular, normal_axis
from multiprof.adapters.torch.rules._promotion import FLOATS
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _emit(t: Tracer, v: Tensor, g: Tensor, kept: int, weight: Tensor, norms: Tensor) -> None:
    """The length over every axis but ``kept``, the factor, and the product."""
    axis = tuple([a for a in range(v.dim()) if a != kept])
    ratio = between(norms.shape, norms.dtype)
    t.emit("norm", {"x": v}, {"y": norms}, {"axis": axis, "keepdim": True, "ord": 2}, "norm")
    t.emit("div", {"x0": g, "x1": norms}, {"y": ratio}, None, "div")
    t.emit("mul", {"x0": v, "x1": ratio}, {"y": weight}, None, "mul")


@rule("torch._weight_norm")
def weight_norm(t: Tracer, v: Tensor, g: Tensor, dim: int = 0) -> Any:
    """A dimension of −1 would mean the norm of all elements: that is left to torch."""
    rank = v.dim()
    if dim == -1 or not -rank <= dim < rank or 0 in v.shape:
        return NotImplemented
    shape = tuple([n if i == dim % rank else 1 for i, n in enumerate(v.shape)])
    if v.dtype not in FLOATS or g.dtype is not v.dtype or g.shape != shape or not (is_regular(v) and is_regular(g)):
        return NotImplemented
    weight = t.new(v.shape, v.dtype)
    _emit(t, v, g, dim % rank, weight, between(shape, v.dtype))
    return weight


@rule(aten="_weight_norm_interface")
def weight_norm_interface(t: Tracer, v: Tensor, g: Tensor, dim: int = 0) -> Any:
    """The weight and the norms over every axis but ``dim``, as torch's kernel returns them."""
    weight, norms = t.new(v.shape, v.dtype), t.new(g.shape, g.dtype)
    _emit(t, v, g, normal_axis(dim, v.dim()), weight, norms)
    return weight, norms
