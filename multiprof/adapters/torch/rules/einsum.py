"""Einstein sums and what reduces to one: einsum, tensordot, bilinear.

`torch.einsum` aligns its operands (output indices first, then the summed ones), then contracts them two at a time:
from left to right, or in the order that opt_einsum finds where torch has it. Each step is a layer here, and each
index that only one operand of a step has left is summed beforehand, as ATen does (native/Linear.cpp).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from string import ascii_letters, ascii_uppercase
from typing import Any

import torch
from torch.backends import opt_einsum

from multiprof.adapters.torch.rules._common import Tensor, between, elementwise_strides, normal_axis, same_dtype
from multiprof.adapters.torch.rules.linear import emit_product
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer


class _Plan:
    """An equation understood for operands of given ranks.

    ``letters`` names the aligned positions, the first ``kept`` of which are the output's; ``terms`` holds, for each
    operand, the position of each of its dimensions (repeated positions are a diagonal).
    """

    __slots__ = ("kept", "letters", "terms")

    def __init__(self, letters: str, kept: int, terms: tuple[tuple[int, ...], ...]) -> None:
        self.letters = letters
        self.kept = kept
        self.terms = terms

    def spell(self, positions: Iterable[int]) -> str:
        return "".join(self.letters[p] for p in positions)


@lru_cache(maxsize=4096)
def _plan(equation: str, ranks: tuple[int, ...]) -> _Plan | None:
    """How ATen aligns the operands; ``None`` for an equation that torch may refuse."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        return None
    named = [part.replace("...", "") for part in parts]
    output = right.replace("...", "")
    if any(part.count("...") > 1 for part in (*parts, right)):
        return None
    if any(letter not in ascii_letters for letter in "".join(named) + output):
        return None
    covered = [rank - len(name) for rank, name in zip(ranks, named, strict=True)]
    if any(n < 0 or (n > 0 and "..." not in part) for n, part in zip(covered, parts, strict=True)):
        return None
    used = "".join(named)
    spare = [letter for letter in ascii_letters if letter not in used]
    width = max(covered)
    if width > len(spare):
        return None
    ellipsis = "".join(spare[:width])
    # Index order of torch: A … Z, then a … z.
    ordered = sorted(set(used), key=lambda letter: (letter not in ascii_uppercase, letter))
    if arrow:
        if len(set(output)) != len(output) or not set(output) <= set(used):
            return None
        kept = right.replace("...", ellipsis)
        summed = ("" if "..." in right else ellipsis) + "".join(x for x in ordered if x not in output)
    else:
        kept = ellipsis + "".join(x for x in ordered if used.count(x) == 1)
        summed = "".join(x for x in ordered if used.count(x) > 1)
    letters = kept + summed
    place = {letter: i for i, letter in enumerate(letters)}
    spelled = [part.replace("...", ellipsis[width - n :]) for part, n in zip(parts, covered, strict=True)]
    terms = tuple(tuple(place[letter] for letter in part) for part in spelled)
    return _Plan(letters, len(kept), terms)


class _Operand:
    """A tensor in the contraction: ``positions`` of its dimensions, and its ``sizes`` at all positions (1 if absent).

    ``aligned`` is the tensor with a dimension at each position, where that is at hand.
    """

    __slots__ = ("_aligned", "positions", "sizes", "tensor")

    def __init__(
        self, tensor: Tensor, positions: tuple[int, ...], sizes: list[int], aligned: Tensor | None = None
    ) -> None:
        self.tensor = tensor
        self.positions = positions
        self.sizes = sizes
        self._aligned = aligned

    @property
    def aligned(self) -> Tensor:
        """As ATen unsqueezes and permutes it; for its strides."""
        if self._aligned is None:
            x, dims = self.tensor, list(self.positions)
            for p in range(len(self.sizes)):
                if p not in self.positions:
                    x = torch.Tensor.unsqueeze(x, x.dim())
                    dims.append(p)
            self._aligned = torch.Tensor.permute(x, [dims.index(p) for p in range(len(self.sizes))])
        return self._aligned


def _diagonal(t: Tracer, x: Tensor, positions: tuple[int, ...]) -> tuple[Tensor, tuple[int, ...]]:
    """Take the diagonal of repeated positions: a view, with the diagonal as its last dimension."""
    left = list(positions)
    for p in dict.fromkeys(positions):
        while left.count(p) > 1:
            i = left.index(p)
            j = left.index(p, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ValueError("a repeated index of two sizes")
            x = t.view("slice", x, torch.Tensor.diagonal(x, 0, i, j), {"index": f"diagonal(0, {i}, {j})"})
            del left[j], left[i]
            left.append(p)
    return x, tuple(left)


def _operands(t: Tracer, plan: _Plan, tensors: list[Tensor]) -> tuple[list[_Operand], list[int]]:
    """The operands, diagonals taken, and in how many of them each position is longer than 1."""
    found: list[_Operand] = []
    counts = [0] * len(plan.letters)
    sizes = [1] * len(plan.letters)
    for x, positions in zip(tensors, plan.terms, strict=True):
        for p, n in zip(positions, x.shape, strict=True):
            if n != 1 and sizes[p] not in (1, n):
                raise ValueError(f"index {plan.letters[p]} has sizes {sizes[p]} and {n}")
            if n != 1:
                sizes[p] = n
    for x, positions in zip(tensors, plan.terms, strict=True):
        if len(set(positions)) < len(positions):
            x, positions = _diagonal(t, x, positions)
        own = [1] * len(plan.letters)
        for p, n in zip(positions, x.shape, strict=True):
            own[p] = n
            counts[p] += n != 1
        found.append(_Operand(x, positions, own))
    return found, counts


def _sum_out(t: Tracer, x: _Operand, dims: list[int]) -> _Operand:
    """Sum over indices that no other operand has any more."""
    axes = tuple(i for i, p in enumerate(x.positions) if p in dims)
    kept = tuple(p for p in x.positions if p not in dims)
    sizes = [1 if p in dims else n for p, n in enumerate(x.sizes)]
    aligned = between(sizes, x.tensor.dtype)
    ordered = sorted(kept)
    y = torch.Tensor.permute(torch.Tensor.view(aligned, [sizes[p] for p in ordered]), [ordered.index(p) for p in kept])
    t.emit("sum", {"x": x.tensor}, {"y": y}, {"axis": axes, "keepdim": False})
    return _Operand(y, kept, sizes, aligned)


def _result(a: _Operand, b: _Operand, dims: list[int]) -> Tensor:
    """The product of two operands summed over ``dims``, at all positions, in the memory order ATen gives it.

    With a summed index it is a batched matrix product, laid out as (shared, of the left, summed, of the right)
    indices, left and right exchanged where that is the order of the output; without one, an elementwise product.
    """
    rank = len(a.sizes)
    sizes = [max(m, n) for m, n in zip(a.sizes, b.sizes, strict=True)]
    if not dims:
        return torch.empty_strided(
            sizes, elementwise_strides((a.aligned, b.aligned), sizes), dtype=a.tensor.dtype, device=META
        )
    both, left, right = [], [], []
    for p in range(rank):
        if p in dims:
            continue
        if a.sizes[p] != 1 and b.sizes[p] != 1:
            both.append(p)
        elif a.sizes[p] != 1:
            left.append(p)
        else:
            right.append(p)
    if left and right and right[-1] < left[0]:
        left, right = right, left
    order = [*both, *left, *dims, *right]
    made = between([1 if p in dims else sizes[p] for p in order], a.tensor.dtype)
    return torch.Tensor.permute(made, [order.index(p) for p in range(rank)])


def _path(equation: str, tensors: list[Tensor]) -> list[tuple[int, ...]] | None:
    """The pairwise path torch takes: opt_einsum's where it is installed and enabled, else from left to right."""
    if len(tensors) > 2 and opt_einsum.enabled and opt_einsum.is_available():
        found = opt_einsum.get_opt_einsum().contract_path(equation, *tensors, optimize=opt_einsum.strategy)[0]
        return [tuple(step) for step in found]
    return None


def einstein_sum(t: Tracer, equation: str, tensors: list[Tensor]) -> Any:
    """Emit the steps of an Einstein sum and return its result."""
    plan = _plan(equation, tuple(x.dim() for x in tensors))
    if plan is None or not same_dtype(t, *tensors) or any(0 in x.shape for x in tensors):
        return NotImplemented
    summed = len(plan.letters) - plan.kept
    if summed and not (tensors[0].dtype.is_floating_point or tensors[0].dtype.is_complex):
        return NotImplemented  # sums of integers are of another type
    path = _path(equation, tensors)
    operands, counts = _operands(t, plan, tensors)
    if len(operands) == 1:
        return _reduce(t, plan, operands[0])
    steps = path or [(0, 1)] * (len(operands) - 1)
    for number, step in enumerate(steps):
        if len(step) != 2:
            raise ValueError("a step of other than two operands")
        i, j = min(step), max(step)
        b, a = operands.pop(j), operands.pop(i)
        dims, a, b = _sum_dims(t, plan, a, b, counts)
        aligned = _result(a, b, dims)
        last = number == len(steps) - 1
        # Positions that an operand still to come has, or the output.
        later = {p for x in operands for p in x.positions}
        if any(p in later for p in dims):
            raise ValueError("a summed index that a later operand has with size 1")
        given = {*a.positions, *b.positions}
        positions = tuple(p for p in range(len(plan.letters)) if p in given and (p < plan.kept or p in later))
        if last:
            y = torch.Tensor.view(aligned, aligned.shape[: plan.kept]) if summed else aligned
        else:
            y = torch.Tensor.view(aligned, [n for p, n in enumerate(aligned.shape) if p in positions])
        contracted = 1
        for p in dims:
            contracted *= a.sizes[p]
        ta, tb, out = (plan.spell(ps) for ps in (a.positions, b.positions, positions))
        emit_product(t, a.tensor, b.tensor, y, contracted, ta, tb, out, path=tuple(steps) if len(steps) > 1 else None)
        made = _Operand(y, positions, list(aligned.shape), aligned)
        if path:
            operands.append(made)
        else:
            operands.insert(0, made)
    return operands[0].tensor


def _sum_dims(
    t: Tracer, plan: _Plan, a: _Operand, b: _Operand, counts: list[int]
) -> tuple[list[int], _Operand, _Operand]:
    """The positions that the product of a and b sums; what one of them alone has left is summed before it."""
    dims, of_a, of_b = [], [], []
    for p in range(plan.kept, len(plan.letters)):
        if a.sizes[p] != 1 and b.sizes[p] != 1:
            counts[p] -= 1
            if counts[p] == 1:
                dims.append(p)
                counts[p] = 0
        elif counts[p] == 1:
            if a.sizes[p] != 1:
                of_a.append(p)
                counts[p] = 0
            elif b.sizes[p] != 1:
                of_b.append(p)
                counts[p] = 0
    return dims, _sum_out(t, a, of_a) if of_a else a, _sum_out(t, b, of_b) if of_b else b


def _reduce(t: Tracer, plan: _Plan, x: _Operand) -> Tensor:
    """One operand: its indices permuted, a view, or summed."""
    rank = len(plan.letters)
    if plan.kept == rank:
        perm = tuple(x.positions.index(p) for p in range(rank))
        return t.view("transpose", x.tensor, torch.Tensor.permute(x.tensor, perm), {"perm": perm})
    y = between([x.sizes[p] for p in range(plan.kept)], x.tensor.dtype)
    equation = f"{plan.spell(x.positions)}->{plan.letters[: plan.kept]}"
    t.emit("einsum", {"x0": x.tensor}, {"y": y}, {"equation": equation})
    return y


@rule("torch.einsum")
def einsum(t: Tracer, *args: Any) -> Any:
    equation, tensors = args[0], list(args[1:])
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = list(tensors[0])
    return einstein_sum(t, equation, tensors) if tensors else NotImplemented


@rule("torch.tensordot", aten="tensordot")
def tensordot(t: Tracer, a: Tensor, b: Tensor, dims: Any = 2, dims_b: Any = None) -> Any:
    if isinstance(dims, Tensor) or not same_dtype(t, a, b):
        return NotImplemented
    if dims_b is not None:  # the aten operator
        of_a, of_b = list(dims), list(dims_b)
    elif isinstance(dims, int):
        if not 0 <= dims <= min(a.dim(), b.dim()):
            return NotImplemented
        of_a, of_b = list(range(a.dim() - dims, a.dim())), list(range(dims))
    else:
        of_a, of_b = (list(d) for d in dims)
    of_a, of_b = [normal_axis(d, a.dim()) for d in of_a], [normal_axis(d, b.dim()) for d in of_b]
    if len(of_a) != len(of_b) or len(set(of_a)) != len(of_a) or len(set(of_b)) != len(of_b):
        return NotImplemented
    if any(a.shape[m] != b.shape[n] for m, n in zip(of_a, of_b, strict=True)) or 0 in (*a.shape, *b.shape):
        return NotImplemented
    letters = iter(ascii_letters)
    ta = [next(letters) for _ in a.shape]
    tb = [ta[of_a[of_b.index(i)]] if i in of_b else next(letters) for i in range(b.dim())]
    out_a = [i for i in range(a.dim()) if i not in of_a]
    out_b = [i for i in range(b.dim()) if i not in of_b]
    out = "".join([*(ta[i] for i in out_a), *(tb[i] for i in out_b)])
    contracted = 1
    for d in of_a:
        contracted *= a.shape[d]
    y = t.new((*(a.shape[i] for i in out_a), *(b.shape[i] for i in out_b)), a.dtype)
    emit_product(t, a, b, y, contracted, "".join(ta), "".join(tb), out)
    return y


@rule("torch.bilinear", aten="bilinear")
def bilinear(t: Tracer, input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """As ATen does it: the first input with the weight, its product with the second, then the bias."""
    if not same_dtype(t, input1, input2, weight, bias) or weight.dim() != 3 or input1.dim() < 1:
        return NotImplemented
    leading, (out, in1, in2) = tuple(input1.shape[:-1]), weight.shape
    if tuple(input2.shape) != (*leading, in2) or input1.shape[-1] != in1 or 0 in (*leading, *weight.shape):
        return NotImplemented
    if bias is not None and tuple(bias.shape) != (out,):
        return NotImplemented
    y = t.new((*leading, out), input1.dtype)
    letters = ascii_uppercase[: len(leading)]
    first = between((*leading, out, in2), input1.dtype)
    emit_product(t, input1, weight, first, in1, letters + "i", "oij", letters + "oj")
    second = y if bias is None else between(y.shape, y.dtype)
    emit_product(t, first, input2, second, in2, letters + "oj", letters + "j", letters + "o")
    if bias is not None:
        t.emit("add", {"x0": second, "x1": bias}, {"y": y}, {})
    return y
