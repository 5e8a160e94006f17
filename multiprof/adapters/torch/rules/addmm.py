"""Products added to a tensor: beta·input + alpha·(a · b)."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, broadcast, same_dtype
from multiprof.adapters.torch.rules.linear import emit_product, matmul_terms, product
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_MM, _MV, _BMM = matmul_terms(2, 2), matmul_terms(2, 1), matmul_terms(3, 3)
_SUM_BMM = ("aij", "ajk", "ik")
_OUTER = ("i", "k", "ik")

_NUMBERS = (bool, int, float)


def _fits(t: Tracer, input: Tensor, a: Tensor, b: Tensor, shape: tuple[int, ...], beta: Any, alpha: Any) -> bool:
    """Whether torch would take these arguments: one dtype, real numbers that keep it, shapes that broadcast."""
    if type(beta) not in _NUMBERS or type(alpha) not in _NUMBERS or not same_dtype(t, input, a, b):
        return False
    if not input.dtype.is_floating_point and not (type(beta) is type(alpha) is int):
        return False
    return a.numel() > 0 and b.numel() > 0 and broadcast(input.shape, shape) == shape


def _contracted(a: Tensor, terms: tuple[str, str, str]) -> int:
    size = 1
    for letter, n in zip(terms[0], a.shape, strict=True):
        if letter not in terms[2]:
            size *= n
    return size


def _partial(t: Tracer, a: Tensor, b: Tensor, terms: tuple[str, str, str], y: Tensor) -> Tensor:
    """Emit the contraction alone."""
    if terms is _SUM_BMM or terms is _OUTER:
        emit_product(t, a, b, y, _contracted(a, terms), *terms)
    else:
        product(t, a, b, y)
    return y


def _add(
    t: Tracer,
    input: Tensor,
    a: Tensor,
    b: Tensor,
    terms: tuple[str, str, str],
    shape: tuple[int, ...],
    beta: Any,
    alpha: Any,
) -> Any:
    """``beta·input + alpha·(a contracted with b)``, of the given shape.

    A bias vector and a weight on the right, as Hugging Face's Conv1D has them, are one ``linear`` layer; everything
    else is a contraction and an addition. A beta of 0 leaves the input out, as torch does.
    """
    if not _fits(t, input, a, b, shape, beta, alpha):
        return NotImplemented
    dtype = a.dtype
    y = t.new(shape, dtype)
    if terms is _MM and beta == alpha == 1 and input.shape == shape[-1:] and t.is_weight(b):
        attrs = {"in_features": a.shape[-1], "out_features": shape[-1], "equation": "ij,jk->ik"}
        t.emit("linear", {"x": a, "weight": b, "bias": input}, {"y": y}, attrs)
        return y
    if beta == 0 and alpha == 1:
        return _partial(t, a, b, terms, y)
    partial = _partial(t, a, b, terms, between(shape, dtype))
    if beta == 0:
        t.emit("mul", {"x0": partial}, {"y": y}, {"scalar": alpha})
        return y
    base = input
    if beta != 1:
        base = between(input.shape, dtype)
        t.emit("mul", {"x0": input}, {"y": base}, {"scalar": beta})
    t.emit("add", {"x0": base, "x1": partial}, {"y": y}, {"alpha": alpha} if alpha != 1 else {})
    return y


def _add_in_place(
    t: Tracer,
    input: Tensor,
    a: Tensor,
    b: Tensor,
    terms: tuple[str, str, str],
    shape: tuple[int, ...],
    beta: Any,
    alpha: Any,
) -> Any:
    """The same, written into ``input``, which has the shape of the result."""
    if not _fits(t, input, a, b, shape, beta, alpha) or tuple(input.shape) != shape:
        return NotImplemented
    partial = _partial(t, a, b, terms, between(shape, a.dtype))
    if beta != 1:
        t.write("mul", input, {"x0": input}, {"scalar": beta}, role="x0")
    attrs = {"alpha": alpha} if alpha != 1 else {}
    return t.write("add", input, {"x0": input, "x1": partial}, attrs, role="x0")


def _match(a: Tensor, b: Tensor, rank_a: int, rank_b: int) -> bool:
    """Whether the two are matrices, or batches of such, that can be multiplied without broadcasting."""
    if a.dim() != rank_a or b.dim() != rank_b:
        return False
    return a.shape[-1] == b.shape[-2 if rank_b > 1 else 0] and (rank_b < 3 or a.shape[0] == b.shape[0])


@rule("torch.addmm", "Tensor.addmm", aten="addmm")
def addmm(t: Tracer, input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(mat1, mat2, 2, 2):
        return NotImplemented
    return _add(t, input, mat1, mat2, _MM, (mat1.shape[0], mat2.shape[1]), beta, alpha)


@rule("Tensor.addmm_", aten="addmm_")
def addmm_(t: Tracer, input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(mat1, mat2, 2, 2):
        return NotImplemented
    return _add_in_place(t, input, mat1, mat2, _MM, (mat1.shape[0], mat2.shape[1]), beta, alpha)


@rule("torch.addmv", "Tensor.addmv", aten="addmv")
def addmv(t: Tracer, input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(mat, vec, 2, 1):
        return NotImplemented
    return _add(t, input, mat, vec, _MV, (mat.shape[0],), beta, alpha)


@rule("torch.addr", "Tensor.addr", aten="addr")
def addr(t: Tracer, input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    # An elementwise sum: its result is laid out as the input is.
    if vec1.dim() != 1 or vec2.dim() != 1 or not (input.is_contiguous() or t.forced):
        return NotImplemented
    return _add(t, input, vec1, vec2, _OUTER, (vec1.shape[0], vec2.shape[0]), beta, alpha)


@rule("torch.addbmm", "Tensor.addbmm", aten="addbmm")
def addbmm(t: Tracer, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(batch1, batch2, 3, 3):
        return NotImplemented
    return _add(t, input, batch1, batch2, _SUM_BMM, (batch1.shape[1], batch2.shape[2]), beta, alpha)


@rule("torch.baddbmm", "Tensor.baddbmm", aten="baddbmm")
def baddbmm(t: Tracer, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(batch1, batch2, 3, 3):
        return NotImplemented
    return _add(t, input, batch1, batch2, _BMM, (*batch1.shape[:2], batch2.shape[2]), beta, alpha)


@rule("Tensor.baddbmm_", aten="baddbmm_")
def baddbmm_(t: Tracer, input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    if not _match(batch1, batch2, 3, 3):
        return NotImplemented
    return _add_in_place(t, input, batch1, batch2, _BMM, (*batch1.shape[:2], batch2.shape[2]), beta, alpha)
