"""Weight norm: v·g/‖v‖, which torch's kernel computes in one go."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, normal_axis
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule(aten="_weight_norm_interface")
def weight_norm_interface(t: Tracer, v: Tensor, g: Tensor, dim: int = 0) -> Any:
    """The weight and the norms over every axis but ``dim``, as torch's kernel returns them."""
    kept = normal_axis(dim, v.dim())
    weight, norms = t.new(v.shape, v.dtype), t.new(g.shape, g.dtype)
    axis = tuple(a for a in range(v.dim()) if a != kept)
    ratio = t.temporary(norms)
    t.emit("norm", {"x": v}, {"y": norms}, {"axis": axis, "keepdim": True, "ord": 2}, "norm")
    t.emit("div", {"x0": g, "x1": norms}, {"y": ratio}, None, "div")
    t.emit("mul", {"x0": v, "x1": ratio}, {"y": weight}, None, "mul")
    return weight, norms
