"""Singular values, eigenvalues, and what is made of them: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._chain import Chain
from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# Functions of which torch, when nothing watches it and no gradient is asked for, makes no vectors.
_VALUES_ALONE = frozenset(
    {"svdvals", "cond", "matrix_norm", "matrix_rank", "norm", "eigvals", "eigvalsh", "nuclear_norm"}
)


def _values_alone(t: Tracer, vectors: Tensor) -> bool:
    asked_by = t.source.removeprefix("linalg_").partition(".")[0]
    return asked_by in _VALUES_ALONE or not vectors.numel()


@rule(aten="_linalg_svd")
def svd(t: Tracer, A: Tensor, full_matrices: bool = False, compute_uv: bool = True, **options: Any) -> Any:
    u, y, v = t.new((), A.dtype), t.new((), A.dtype), t.new((), A.dtype)
    # torch's third result has the vectors as rows
    t.emit("svd", {"x": A}, {"y": y} if _values_alone(t, u) else {"y": y, "u": u, "v": v})
    return u, y, v


@rule(aten="_linalg_eigh")
def eigh(t: Tracer, A: Tensor, UPLO: str = "L", compute_v: bool = True) -> Any:
    y, vectors = t.new((), A.dtype), t.new((), A.dtype)
    t.emit("eigh", {"x": A}, {"y": y} if _values_alone(t, vectors) else {"y": y, "vectors": vectors})
    return y, vectors


@rule(aten="linalg_eig")
def eig(t: Tracer, self: Tensor) -> Any:
    y, vectors = t.new((), self.dtype), t.new((), self.dtype)
    t.emit("eig", {"x": self}, {"y": y} if _values_alone(t, vectors) else {"y": y, "vectors": vectors})
    return y, vectors


@rule(aten="linalg_eigvals")
def eigvals(t: Tracer, self: Tensor) -> Any:
    y = t.new((), self.dtype)
    t.emit("eig", {"x": self}, {"y": y})
    return y


@rule(aten="linalg_pinv")
def pinv(t: Tracer, self: Tensor, *tolerances: Any, hermitian: bool = False, **named: Any) -> Any:
    """V·S⁺·Uᵀ: singular values that are not below a tolerance are inverted, and the vectors on one side scaled."""
    y = t.new((), self.dtype)
    *batch, m, n = self.shape
    k = min(m, n)
    c = Chain(t, self.dtype)
    values = between((*batch, k), self.dtype)
    u, v = between((*batch, m, k), self.dtype), between((*batch, k, n), self.dtype)
    if hermitian:
        t.emit("eigh", {"x": self}, {"y": values, "vectors": u}, None, "eigh")
        v = u
    else:
        t.emit("svd", {"x": self}, {"y": values, "u": u, "v": v}, None, "svd")
    large = c.make("greater", {"x0": values}, values.shape, {"scalar": 0.0}, dtype=BOOL)
    inverted = c.select(large, c.one("reciprocal", values), 0.0)
    scaled = c.make("mul", {"x0": u, "x1": inverted}, u.shape)
    t.emit("matmul", {"x0": v, "x1": scaled}, {"y": y}, {"contracted": k}, "matmul")
    return y


@rule("linalg.lstsq")
def lstsq(t: Tracer, A: Tensor, B: Tensor, rcond: Any = None, *, driver: Any = None) -> Any:
    """By QR, whichever driver is asked for; torch has no meta kernel for it."""
    if A.dtype not in FLOATS or A.dtype is not B.dtype or A.dim() < 2 or A.shape[-2] < A.shape[-1]:
        return NotImplemented
    vector = B.dim() == 1 or (B.dim() == A.dim() - 1 and B.shape == A.shape[:-1])
    if B.shape[: A.dim() - 1] != A.shape[:-1]:
        return NotImplemented
    shape = (*A.shape[:-2], A.shape[-1]) if vector else (*A.shape[:-2], A.shape[-1], B.shape[-1])
    y = t.new(shape, A.dtype)
    singular = driver in ("gelsd", "gelss")
    more = {
        "residuals": between((0,), A.dtype),
        "rank": between((0,) if driver == "gels" else A.shape[:-2], torch.int64),
        "singular_values": between((*A.shape[:-2], A.shape[-1]) if singular else (0,), A.dtype),
    }
    t.emit("lstsq", {"a": A, "b": B}, {"y": y, **more})
    kind: Any = vars(torch.return_types)["linalg_lstsq"]  # torch's stubs lack it
    return kind((y, *more.values()))
