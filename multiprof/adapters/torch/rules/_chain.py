"""Several layers for one call: each makes a tensor between, the last one the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, between, broadcast
from multiprof.adapters.torch.tracer import Tracer


class Chain:
    """Emits elementwise layers on operands that are tensors or numbers; ``last`` names what torch's result is."""

    def __init__(self, t: Tracer, dtype: torch.dtype) -> None:
        self.t = t
        self.dtype = dtype

    def make(
        self,
        op: str,
        inputs: dict[str, Tensor],
        shape: Sequence[int],
        attrs: dict[str, Any] | None = None,
        y: Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Emit ``op`` and return its result, ``y`` where it is given."""
        made = between(shape, dtype or self.dtype) if y is None else y
        self.t.emit(op, inputs, {"y": made}, attrs, op)
        return made

    def one(self, op: str, x: Tensor, y: Tensor | None = None, **attrs: Any) -> Tensor:
        """A function of one tensor."""
        return self.make(op, {"x": x}, x.shape, attrs or None, y)

    def two(self, op: str, a: Any, b: Any, y: Tensor | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """A function of two operands, of which one may be a number."""
        if not isinstance(b, Tensor):
            return self.make(op, {"x0": a}, a.shape, {"scalar": b}, y, dtype)
        if not isinstance(a, Tensor):
            return self.make(op, {"x0": b}, b.shape, {"scalar": a, "reverse": True}, y, dtype)
        return self.make(op, {"x0": a, "x1": b}, broadcast(a.shape, b.shape), None, y, dtype)

    def select(self, cond: Tensor, a: Any, b: Any, y: Tensor | None = None) -> Tensor:
        """``a`` where the condition is set, else ``b``; one of them may be a number."""
        inputs, attrs = {"cond": cond}, {}
        for number, value in enumerate((a, b)):
            if isinstance(value, Tensor):
                inputs[f"x{number}"] = value
            else:
                attrs[f"scalar{number}"] = value
        return self.make("where", inputs, cond.shape, attrs, y)

    def reduce(self, op: str, x: Tensor, axes: Sequence[int] | None = None, y: Tensor | None = None) -> Tensor:
        """A reduction over ``axes``, or over all of them, which vanish."""
        over = tuple(range(x.dim())) if axes is None else tuple(axes)
        shape = [n for i, n in enumerate(x.shape) if i not in over]
        return self.make(op, {"x": x}, shape, {"axis": over, "keepdim": False}, y)
