"""Contractions of matrices and vectors: linear layers and matrix products."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, broadcast, same_dtype
from multiprof.adapters.torch.rules.sparse import sparse_product
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# Index letters: i, j, k for the matrices, the others for leading dimensions.
_LEADING = "abcdefghlmnopqrstuvwxyz"


def contract(
    t: Tracer,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    y: Tensor,
    in_features: int,
    out_features: int,
    hint: str = "",
) -> None:
    """Emit ``x·weightᵀ + bias``: ``linear`` where one of the two is a weight, else ``matmul`` (and ``add``).

    ``x`` is (…, in_features), ``weight`` (out_features, in_features), ``bias`` (out_features) or absent.
    """
    if t.is_weight(weight):
        t.emit(
            "linear",
            {"x": x, "weight": weight, "bias": bias},
            {"y": y},
            {"in_features": in_features, "out_features": out_features},
            hint,
        )
        return
    product = y if bias is None else between(y.shape, y.dtype)
    if t.is_weight(x):
        a, b, out = _linear_terms(x.dim())
        emit_product(t, x, weight, product, in_features, a, b, out, hint)
    else:
        t.emit("matmul", {"x0": x, "x1": weight}, {"y": product}, {"contracted": in_features}, hint)
    if bias is not None:
        t.emit("add", {"x0": product, "x1": bias}, {"y": y}, {}, f"{hint}_bias" if hint else "")


def emit_product(
    t: Tracer,
    a: Tensor,
    b: Tensor,
    y: Tensor,
    contracted: int,
    ta: str,
    tb: str,
    out: str,
    hint: str = "",
    path: tuple[tuple[int, ...], ...] | None = None,
) -> None:
    """Emit the contraction ``ta,tb->out``: ``linear`` where one operand is a weight, else ``einsum``.

    Without a summed index it is multiplications, whatever the operands are: ``einsum``. ``path`` is the whole sum's,
    where this is one step of it.
    """
    summed = not set(ta) <= set(out)
    if summed and t.is_weight(b):
        x, w, equation, tx, tw = a, b, f"{ta},{tb}->{out}", ta, tb
    elif summed and t.is_weight(a):
        x, w, equation, tx, tw = b, a, f"{tb},{ta}->{out}", tb, ta
    else:
        attrs: dict[str, Any] = {"equation": f"{ta},{tb}->{out}"}
        if path:
            attrs["path"] = path
        t.emit("einsum", {"x0": a, "x1": b}, {"y": y}, attrs, hint)
        return
    features = 1
    for letter, size in zip(tw, w.shape, strict=True):
        if letter not in tx:
            features *= size
    attrs = {"in_features": contracted, "out_features": features, "equation": equation}
    if path:
        attrs["path"] = path
    t.emit("linear", {"x": x, "weight": w}, {"y": y}, attrs, hint)


@lru_cache(maxsize=256)
def matmul_terms(rank_a: int, rank_b: int) -> tuple[str, str, str]:
    """The index letters of ``a @ b``, leading dimensions aligned at the right: (2, 3) → ij, ajk, aik."""
    leading = _LEADING[: max(rank_a, rank_b, 2) - 2]
    a = leading[len(leading) - rank_a + 2 :] + "ij" if rank_a > 1 else "j"
    b = leading[len(leading) - rank_b + 2 :] + "jk" if rank_b > 1 else "j"
    return a, b, leading + ("i" if rank_a > 1 else "") + ("k" if rank_b > 1 else "")


@lru_cache(maxsize=64)
def _linear_terms(rank: int) -> tuple[str, str, str]:
    leading = _LEADING[: rank - 1]
    return leading + "j", "kj", leading + "k"


def product(t: Tracer, a: Tensor, b: Tensor, y: Tensor, hint: str = "") -> None:
    """Emit ``a @ b``: a contraction with a weight is ``linear``, whichever side the weight stands on."""
    contracted = a.shape[-1]
    if t.is_weight(b):
        x, w, features, swapped = a, b, b.shape[-1] if b.dim() > 1 else 1, False
    elif t.is_weight(a):
        x, w, features, swapped = b, a, a.shape[-2] if a.dim() > 1 else 1, True
    else:
        t.emit("matmul", {"x0": a, "x1": b}, {"y": y}, {"contracted": contracted}, hint)
        return
    ta, tb, out = matmul_terms(a.dim(), b.dim())
    equation = f"{tb},{ta}->{out}" if swapped else f"{ta},{tb}->{out}"
    attrs = {"in_features": contracted, "out_features": features, "equation": equation}
    t.emit("linear", {"x": x, "weight": w}, {"y": y}, attrs, hint)


@rule("nn.linear", aten="linear")
def linear(t: Tracer, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not same_dtype(t, input, weight, bias) or weight.dim() != 2 or input.dim() < 1:
        return NotImplemented
    out_features, in_features = weight.shape
    if input.shape[-1] != in_features or (bias is not None and bias.shape != (out_features,)):
        return NotImplemented
    if t.forced is None and (input.numel() == 0 or out_features == 0):
        return NotImplemented
    y = t.new((*input.shape[:-1], out_features), input.dtype)
    contract(t, input, weight, bias, y, in_features, out_features)
    return y


# -- matrix products -----------------------------------------------------------------------------------------------


@rule("torch.matmul", "Tensor.matmul", "Tensor.__matmul__", "linalg.matmul", aten=("matmul", "linalg_matmul"))
def matmul(t: Tracer, input: Tensor, other: Tensor) -> Any:
    a, b = input, other
    if a.layout is not b.layout:
        return sparse_product(t, a, b)
    if not same_dtype(t, a, b) or a.dim() < 1 or b.dim() < 1:
        return NotImplemented
    inner = b.shape[-2] if b.dim() > 1 else b.shape[0]
    if a.shape[-1] != inner or (inner == 0 and t.forced is None):
        return NotImplemented
    if a.dim() == 1 and b.dim() == 1:
        shape: tuple[int, ...] = ()
    elif b.dim() == 1:
        shape = tuple(a.shape[:-1])
    elif a.dim() == 1:
        shape = (*b.shape[:-2], b.shape[-1])
    else:
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if 0 in shape and t.forced is None:
        return NotImplemented
    y = t.new(shape, a.dtype)
    product(t, a, b, y)
    return y


@rule("Tensor.__rmatmul__")
def rmatmul(t: Tracer, self: Tensor, other: Tensor) -> Any:
    return matmul(t, other, self)


def _same_rank(t: Tracer, a: Tensor, b: Tensor, rank_a: int, rank_b: int) -> Any:
    return matmul(t, a, b) if a.dim() == rank_a and b.dim() == rank_b else NotImplemented


@rule("torch.mm", "Tensor.mm", aten=("mm", "_int_mm"))
def mm(t: Tracer, input: Tensor, mat2: Tensor) -> Any:
    return _same_rank(t, input, mat2, 2, 2)


@rule("torch.bmm", "Tensor.bmm", aten="bmm")
def bmm(t: Tracer, input: Tensor, mat2: Tensor) -> Any:
    if input.dim() != 3 or mat2.dim() != 3 or input.shape[0] != mat2.shape[0]:
        return NotImplemented
    return matmul(t, input, mat2)


@rule("torch.mv", "Tensor.mv", aten="mv")
def mv(t: Tracer, input: Tensor, vec: Tensor) -> Any:
    return _same_rank(t, input, vec, 2, 1)


@rule("torch.dot", "Tensor.dot", "torch.vdot", "Tensor.vdot", aten=("dot", "vdot"))
def dot(t: Tracer, input: Tensor, other: Tensor) -> Any:
    return NotImplemented if input.is_complex() else _same_rank(t, input, other, 1, 1)


@rule("torch.inner", "Tensor.inner", aten="inner")
def inner(t: Tracer, input: Tensor, other: Tensor) -> Any:
    a, b = input, other
    if not same_dtype(t, a, b) or a.dim() < 1 or b.dim() < 1 or a.shape[-1] != b.shape[-1]:
        return NotImplemented
    if a.dim() == 1 and b.dim() == 1:
        return matmul(t, a, b)
    if a.numel() == 0 or b.numel() == 0:
        return NotImplemented
    y = t.new((*a.shape[:-1], *b.shape[:-1]), a.dtype)
    contracted, split = a.shape[-1], a.dim() - 1
    leading, trailing = _LEADING[:split], _LEADING[split : split + b.dim() - 1]
    emit_product(t, a, b, y, contracted, leading + "j", trailing + "j", leading + trailing)
    return y


@rule("torch.outer", "Tensor.outer", "torch.ger", "Tensor.ger", "linalg.outer", aten=("outer", "ger"))
def outer(t: Tracer, input: Tensor, vec2: Tensor) -> Any:
    if not same_dtype(t, input, vec2) or input.dim() != 1 or vec2.dim() != 1:
        return NotImplemented
    y = t.new((input.shape[0], vec2.shape[0]), input.dtype)
    # No summed index: multiplications, also with a weight.
    t.emit("einsum", {"x0": input, "x1": vec2}, {"y": y}, {"equation": "i,k->ik"})
    return y


@rule("linalg.multi_dot", aten=("linalg_multi_dot", "chain_matmul"))
def multi_dot(t: Tracer, tensors: Any) -> Any:
    matrices = list(tensors)
    last = len(matrices) - 1
    if last < 1 or not same_dtype(t, *matrices):
        return NotImplemented
    if any(m.dim() != 2 and not (m.dim() == 1 and i in (0, last)) for i, m in enumerate(matrices)):
        return NotImplemented
    # A vector at either end counts as a matrix of one row, or of one column.
    shapes = [(1, *m.shape) if i == 0 and m.dim() == 1 else (*m.shape, 1)[:2] for i, m in enumerate(matrices)]
    sizes = (*(rows for rows, _ in shapes), shapes[-1][1])
    if 0 in sizes or any(a[1] != b[0] for a, b in pairwise(shapes)):
        return NotImplemented
    shape = (*matrices[0].shape[:-1], *matrices[-1].shape[1:])
    y = t.new(shape, matrices[0].dtype)
    _multiply(t, matrices, chain_order(sizes), y)
    return y


def _multiply(t: Tracer, matrices: list[Tensor], order: Any, y: Tensor | None) -> Tensor:
    """Emit the products of a chain in the given order: an index, or a pair of such."""
    if isinstance(order, int):
        return matrices[order]
    a, b = _multiply(t, matrices, order[0], None), _multiply(t, matrices, order[1], None)
    if y is None:
        y = between((*a.shape[:-1], *b.shape[1:]), a.dtype)
    product(t, a, b, y)
    return y


def chain_order(sizes: tuple[int, ...]) -> Any:
    """The order in which ATen multiplies a chain of matrices sizes[i] × sizes[i + 1]: nested pairs of indices.

    Dynamic programming over the splits, the first of equal cost winning (T. Cormen et al., Introduction to
    Algorithms, 15.2); a vector at either end counts as a matrix of one row or column. For three matrices ATen compares
    the two orders itself, and a tie goes to the left.
    """
    n = len(sizes) - 1
    if n == 3:
        a, b, c, d = sizes
        return ((0, 1), 2) if a * c * (b + d) <= b * d * (a + c) else (0, (1, 2))
    cost: dict[tuple[int, int], int] = {(i, i): 0 for i in range(n)}
    order: dict[tuple[int, int], Any] = {(i, i): i for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            best = None
            for k in range(i, j):
                q = cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                if best is None or q < best:
                    best, cost[i, j], order[i, j] = q, q, (order[i, k], order[k + 1, j])
    return order[0, n - 1]


@rule("torch.chain_matmul")
def chain_matmul(t: Tracer, *matrices: Tensor) -> Any:
    if len(matrices) < 2 or any(m.dim() != 2 for m in matrices):
        return NotImplemented
    return multi_dot(t, matrices)
