"""Dense linear algebra: torch's own kernels give the results.

The operators return codes of success beside them, and some the factors that they went by: no layer has those, so a
model that reads them reads what is not traced. Decompositions whose steps depend on the values (svd, eigh) are foreign.
"""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule(aten=("cholesky", "linalg_cholesky_ex"))
def cholesky(t: Tracer, self: Tensor, upper: bool = False, *, check_errors: bool = False) -> Any:
    y = t.new((), self.dtype)
    t.emit("cholesky", {"x": self}, {"y": y}, {"upper": bool(upper)})
    return y


@rule(aten="_linalg_det")
def det(t: Tracer, A: Tensor) -> Any:
    y = t.new((), A.dtype)
    t.emit("det", {"x": A}, {"y": y})
    return y


@rule(aten="linalg_inv_ex")
def inverse(t: Tracer, A: Tensor, *, check_errors: bool = False) -> Any:
    y = t.new((), A.dtype)
    t.emit("inverse", {"x": A}, {"y": y})
    return y


@rule(aten="_linalg_solve_ex")
def solve(t: Tracer, A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    y = t.new((), A.dtype)
    t.emit("solve", {"a": A, "b": B}, {"y": y}, {"left": bool(left)})
    return y


@rule(aten="linalg_solve_triangular")
def solve_triangular(
    t: Tracer, self: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    y = t.new((), self.dtype)
    attrs = {"triangular": True, "upper": bool(upper), "left": bool(left), "unit": bool(unitriangular)}
    t.emit("solve", {"a": self, "b": B}, {"y": y}, attrs)
    return y


@rule(aten="linalg_lu_factor_ex")
def lu(t: Tracer, A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    if not pivot:
        return NotImplemented
    y, pivots = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("lu", {"x": A}, {"y": y, "pivots": pivots})
    return y, pivots


@rule(aten="linalg_qr")
def qr(t: Tracer, A: Tensor, mode: str = "reduced") -> Any:
    q, r = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("qr", {"x": A}, {"y": r} if mode == "r" else {"y": r, "q": q})
    return q, r
