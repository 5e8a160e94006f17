"""Einstein sums as pairwise steps, and the index letters of matrix products; no framework needed.

`plan` reads an equation for operands of given ranks; `steps` says what is computed, two operands at a time from left to
right, with each index that neither the result nor a later operand needs summed as soon as it can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_letters
from typing import Any

from multiprof.errors import ModelError
from multiprof.ir import Shape

# Index letters: i, j, k for the matrices of a product, the others for leading dimensions.
_LEADING = "abcdefghlmnopqrstuvwxyz"


@lru_cache(maxsize=256)
def matmul_terms(rank_a: int, rank_b: int, where: str = "matmul") -> tuple[str, str, str]:
    """The index letters of ``a @ b``, leading dimensions aligned at the right: (2, 3) → ij, ajk, aik."""
    if max(rank_a, rank_b) - 2 > len(_LEADING):
        raise ModelError(f"{where}: a product of tensors of rank {rank_a} and {rank_b}")
    leading = _LEADING[: max(rank_a, rank_b, 2) - 2]
    a = leading[len(leading) - rank_a + 2 :] + "ij" if rank_a > 1 else "j"
    b = leading[len(leading) - rank_b + 2 :] + "jk" if rank_b > 1 else "j"
    return a, b, leading + ("i" if rank_a > 1 else "") + ("k" if rank_b > 1 else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """An equation understood: the letters of every operand (repeated ones are a diagonal) and of the result."""

    terms: tuple[str, ...]
    out: str


@lru_cache(maxsize=1024)
def plan(equation: str, ranks: tuple[int, ...], where: str = "einsum") -> Plan:
    """Read an equation, implicit or explicit, with ellipses; raises `ModelError` for one that says nothing.

    Dimensions under an ellipsis get letters that the equation leaves over, aligned at the right.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ModelError(f"{where}: the equation {equation!r} is for {len(parts)} operands, not {len(ranks)}")
    named = [part.replace("...", "", 1) for part in (*parts, right)]
    if any(letter not in ascii_letters for letter in "".join(named)):
        raise ModelError(f"{where}: {equation!r} is no Einstein sum")
    covered = [rank - len(name) for rank, name in zip(ranks, named, strict=False)]
    if any(n < 0 or (n > 0 and "..." not in part) for n, part in zip(covered, parts, strict=True)):
        raise ModelError(f"{where}: the equation {equation!r} does not fit operands of the ranks {ranks}")
    used = "".join(named)
    width = max(covered)
    spare = [letter for letter in ascii_letters if letter not in used]
    if width > len(spare):
        raise ModelError(f"{where}: the equation {equation!r} needs more than {len(ascii_letters)} letters")
    ellipsis = "".join(spare[:width])
    terms = tuple(p.replace("...", ellipsis[width - n :]) for p, n in zip(parts, covered, strict=True))
    inputs = "".join(named[:-1])
    if arrow:
        out = right.replace("...", ellipsis)
    else:
        out = ellipsis + "".join(sorted(letter for letter in set(inputs) if inputs.count(letter) == 1))
    if len(set(out)) != len(out) or not set(out) <= set("".join(terms)):
        raise ModelError(f"{where}: the result of {equation!r} has an index that no operand has, or one twice")
    return Plan(terms, out)


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: ``kind`` is ``diagonal`` or ``sum`` (of one operand) or ``product`` (of two).

    ``operands`` are numbers of tensors: those given come first, then what each step makes. ``terms`` and ``out`` are
    their letters and the result's.
    """

    kind: str
    operands: tuple[int, ...]
    terms: tuple[str, ...]
    out: str


@lru_cache(maxsize=1024)
def steps(found: Plan) -> tuple[Step, ...]:
    """The steps of a plan from left to right, each making one tensor; none for the identity.

    Diagonals are taken first. Before the product of two operands, an index that one of them alone still has is summed;
    in the product the indices that both have and nobody needs any more. The last step's result has the letters of
    ``found.out`` in that order.
    """
    made: list[Step] = []
    count = len(found.terms)
    current: list[tuple[int, str]] = []  # tensor number, letters
    for number, term in enumerate(found.terms):
        unique = "".join(dict.fromkeys(term))
        if unique != term:
            made.append(Step("diagonal", (number,), (term,), unique))
            number = count + len(made) - 1
        current.append((number, unique))
    last = {letter: place for place, (_, term) in enumerate(current) for letter in term}
    for place in range(1, len(current)):
        (a, ta), (b, tb) = current[0], current[place]
        # What the result or a later operand needs.
        later = {x for x in ta + tb if x in found.out or last[x] > place}
        for own, other in ((0, tb), (1, ta)):
            number, term = ((a, ta), (b, tb))[own]
            kept = "".join(x for x in term if x in later or x in other)
            if kept != term:
                made.append(Step("sum", (number,), (term,), kept))
                number, term = count + len(made) - 1, kept
            if own:
                b, tb = number, term
            else:
                a, ta = number, term
        is_last = place == len(current) - 1
        out = found.out if is_last else "".join(x for x in dict.fromkeys(ta + tb) if x in later)
        made.append(Step("product", (a, b), (ta, tb), out))
        current[0] = (count + len(made) - 1, out)
    number, term = current[0]
    if len(found.terms) == 1 and term != found.out:
        made.append(Step("sum", (number,), (term,), found.out))
    return tuple(made)


def of_one_operand(kind: str, term: str, out: str, *, before_product: bool) -> tuple[str, str, dict[str, Any]]:
    """Op, role of the operand and attributes of a step on one operand: a diagonal, a transposition, or a sum."""
    if kind == "diagonal":
        return "slice", "x", {"index": f"diagonal {term}->{out}"}
    if sorted(term) == sorted(out):
        return "transpose", "x", {"perm": tuple(term.index(letter) for letter in out)}
    if before_product:
        axis = tuple(i for i, letter in enumerate(term) if letter not in out)
        return "sum", "x", {"axis": axis, "keepdim": False}
    return "einsum", "x0", {"equation": f"{term}->{out}"}


def sizes_of(terms: Sequence[str], shapes: Sequence[Shape], where: str = "einsum") -> dict[str, int | None]:
    """The size of every index; raises `ModelError` where two operands disagree. A size of 1 broadcasts."""
    sizes: dict[str, int | None] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            before = sizes.get(letter, 1)
            if n is None or n == 1 or before == n:
                sizes[letter] = before if letter in sizes and before != 1 else n
            elif before in (1, None):
                sizes[letter] = n
            else:
                raise ModelError(f"{where}: the index {letter} has the sizes {before} and {n}")
    return sizes


__all__ = ["Plan", "Step", "matmul_terms", "of_one_operand", "plan", "sizes_of", "steps"]
