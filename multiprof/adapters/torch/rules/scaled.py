"""Products of 8-bit floats with scales: torch's own kernels give the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, broadcast
from multiprof.adapters.torch.rules.linear import product
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _scaled(t: Tracer, a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, bias: Tensor | None) -> Tensor:
    """(a @ b)·(scale_a·scale_b) + bias: one scale for each operand, or one for each row of a and column of b."""
    y = t.new((), a.dtype)
    made = between(y.shape, y.dtype)
    product(t, a, b, made, "mm")
    factor = between(broadcast(scale_a.shape, scale_b.shape), scale_a.dtype)
    t.emit("mul", {"x0": scale_a, "x1": scale_b}, {"y": factor}, None, "scales")
    scaled = y if bias is None else between(y.shape, y.dtype)
    t.emit("mul", {"x0": made, "x1": factor}, {"y": scaled}, None, "scale")
    if bias is not None:
        t.emit("add", {"x0": scaled, "x1": bias}, {"y": y}, None, "bias")
    return y


@rule(aten="_scaled_mm")
def scaled_mm(
    t: Tracer,
    self: Tensor,
    mat2: Tensor,
    scale_a: Tensor,
    scale_b: Tensor,
    bias: Tensor | None = None,
    *more: Any,
    **named: Any,
) -> Any:
    return _scaled(t, self, mat2, scale_a, scale_b, bias)


@rule(aten="_scaled_mm_v2")
def scaled_mm_v2(
    t: Tracer,
    self: Tensor,
    mat2: Tensor,
    scale_a: Sequence[Tensor],
    recipe_a: Any,
    swizzle_a: Any,
    scale_b: Sequence[Tensor],
    recipe_b: Any,
    swizzle_b: Any,
    bias: Tensor | None = None,
    *more: Any,
    **named: Any,
) -> Any:
    """Blocks with scales of their own at two levels are another thing."""
    if len(scale_a) != 1 or len(scale_b) != 1:
        return NotImplemented
    return _scaled(t, self, mat2, scale_a[0], scale_b[0], bias)
