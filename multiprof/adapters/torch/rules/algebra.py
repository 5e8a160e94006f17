"""Dense linear algebra by elimination and reflections: torch's own kernels give the results.

Some operators return the factors that they went by beside the result: no layer has those, so a model that reads them
reads what is not traced.
"""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _with_info(t: Tracer, y: Tensor) -> dict[str, Tensor]:
    """The result, and the last of what the kernel returned besides: a code of success."""
    return {"y": y, "info": t.forced[-1]} if t.forced else {"y": y}


@rule(aten=("cholesky", "linalg_cholesky_ex"))
def cholesky(t: Tracer, self: Tensor, upper: bool = False, *, check_errors: bool = False) -> Any:
    y = t.new((), self.dtype)
    t.emit("cholesky", {"x": self}, _with_info(t, y), {"upper": bool(upper)})
    return y


@rule(aten="_linalg_det")
def det(t: Tracer, A: Tensor) -> Any:
    y = t.new((), A.dtype)
    t.emit("det", {"x": A}, {"y": y})
    return y


@rule(aten="_linalg_slogdet")
def log_det(t: Tracer, A: Tensor) -> Any:
    sign, y = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("log_det", {"x": A}, {"y": y, "sign": sign})
    return sign, y


@rule(aten="linalg_inv_ex")
def inverse(t: Tracer, A: Tensor, *, check_errors: bool = False) -> Any:
    y = t.new((), A.dtype)
    t.emit("inverse", {"x": A}, _with_info(t, y))
    return y


@rule(aten="_linalg_solve_ex")
def solve(t: Tracer, A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    y = t.new((), A.dtype)
    t.emit("solve", {"a": A, "b": B}, _with_info(t, y), {"left": bool(left)})
    return y


@rule(aten="linalg_solve_triangular")
def solve_triangular(
    t: Tracer, self: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    y = t.new((), self.dtype)
    attrs = {"triangular": True, "upper": bool(upper), "left": bool(left), "unit": bool(unitriangular)}
    t.emit("solve", {"a": self, "b": B}, {"y": y}, attrs)
    return y


@rule(aten="triangular_solve")
def old_triangular_solve(
    t: Tracer, self: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    y = t.new((), self.dtype)
    attrs = {"triangular": True, "upper": bool(upper), "transposed": bool(transpose), "unit": bool(unitriangular)}
    t.emit("solve", {"a": A, "b": self}, {"y": y}, attrs)
    return y


@rule(aten="cholesky_solve")
def cholesky_solve(t: Tracer, self: Tensor, A: Tensor, upper: bool = False) -> Any:
    """Two substitutions, by the factor and by its transpose."""
    y = t.new((), self.dtype)
    middle = between(y.shape, y.dtype)
    first = {"triangular": True, "upper": bool(upper), "transposed": bool(upper)}
    t.emit("solve", {"a": A, "b": self}, {"y": middle}, first, "forward")
    second = {"triangular": True, "upper": bool(upper), "transposed": not upper}
    t.emit("solve", {"a": A, "b": middle}, {"y": y}, second, "backward")
    return y


@rule(aten="linalg_lu_factor_ex")
def lu(t: Tracer, A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    if not pivot:
        return NotImplemented
    y, pivots = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("lu", {"x": A}, _with_info(t, y) | {"pivots": pivots})
    return y, pivots


@rule(aten="linalg_lu")
def lu_apart(t: Tracer, A: Tensor, *, pivot: bool = True) -> Any:
    """The two triangles of what `lu` makes, each a tensor, and the order of the rows as a matrix."""
    if not pivot:
        return NotImplemented
    order, lower, upper = t.new((), A.dtype), t.new((), A.dtype), t.new((), A.dtype)
    both = between(A.shape, A.dtype)
    t.emit("lu", {"x": A}, {"y": both, "permutation": order}, None, "lu")
    t.emit("triangle", {"x": both}, {"y": lower}, {"upper": False, "diagonal": -1}, "lower")
    t.emit("triangle", {"x": both}, {"y": upper}, {"upper": True, "diagonal": 0}, "upper")
    return order, lower, upper


@rule(aten="linalg_lu_solve")
def lu_solve(t: Tracer, LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Any:
    """Two substitutions; L has ones on its diagonal."""
    y = t.new((), B.dtype)
    middle = between(y.shape, y.dtype)
    attrs = {"triangular": True, "left": bool(left), "transposed": bool(adjoint)}
    t.emit("solve", {"a": LU, "b": B}, {"y": middle}, {**attrs, "upper": False, "unit": True}, "forward")
    t.emit("solve", {"a": LU, "b": middle}, {"y": y}, {**attrs, "upper": True, "unit": False}, "backward")
    return y


@rule(aten="linalg_qr")
def qr(t: Tracer, A: Tensor, mode: str = "reduced") -> Any:
    q, r = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("qr", {"x": A}, {"y": r} if mode == "r" else {"y": r, "q": q})
    return q, r


@rule(aten=("linalg_householder_product", "orgqr"))
def householder(t: Tracer, input: Tensor, tau: Tensor) -> Any:
    y = t.new((), input.dtype)
    t.emit("householder", {"x": input, "tau": tau}, {"y": y})
    return y


@rule(aten="linalg_cross")
def cross(t: Tracer, self: Tensor, other: Tensor, *, dim: int = -1) -> Any:
    y = t.new((), self.dtype)
    t.emit("cross", {"x0": self, "x1": other}, {"y": y}, {"axis": dim % y.dim()})
    return y


@rule(aten="linalg_matrix_exp")
def matrix_exp(t: Tracer, self: Tensor) -> Any:
    y = t.new((), self.dtype)
    t.emit("matrix_exp", {"x": self}, {"y": y})
    return y
