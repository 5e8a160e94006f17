"""Contractions: dot_general and its ragged and scaled kin.

With a weight a contraction is ``linear``; of two activations it is ``matmul`` where it is a batched product of
matrices as numpy has them, and otherwise one step of an Einstein sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from string import ascii_letters
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Value
from multiprof.adapters.jax.walker import Walker
from multiprof.ir import TensorSpec


def equation(rank_a: int, rank_b: int, numbers: Any) -> tuple[str, str, str]:
    """The index letters of both operands and of the result: batch, rest of the left, rest of the right.

    ``numbers`` are dot_general's dimension numbers, ((contracted of a, of b), (batch of a, of b)).
    """
    (contract_a, contract_b), (batch_a, batch_b) = numbers
    letters = iter(ascii_letters)
    a = [next(letters) for _ in range(rank_a)]
    shared = dict(zip((*contract_b, *batch_b), (*contract_a, *batch_a), strict=True))
    b = [a[shared[i]] if i in shared else next(letters) for i in range(rank_b)]
    rest_a = [a[i] for i in range(rank_a) if i not in (*contract_a, *batch_a)]
    rest_b = [b[i] for i in range(rank_b) if i not in shared]
    return "".join(a), "".join(b), "".join([*(a[i] for i in batch_a), *rest_a, *rest_b])


def contract(w: Walker, a: Value, b: Value, y: TensorSpec, numbers: Any) -> None:
    """Write the contraction of ``a`` and ``b``."""
    left, right = w.tensor(a), w.tensor(b)
    ta, tb, out = equation(left.rank, right.rank, numbers)
    (contract_a, _), (batch_a, batch_b) = numbers
    size: Any = prod(left.shape[i] for i in contract_a) if None not in left.shape else None
    if not contract_a or not (w.is_weight(left) or w.is_weight(right)):
        standard = (
            len(contract_a) == 1
            and tuple(batch_a) == tuple(batch_b) == tuple(range(len(batch_a)))
            and left.rank == right.rank == len(batch_a) + 2
            and tuple(contract_a) == (left.rank - 1,)
            and tuple(numbers[0][1]) == (right.rank - 2,)
        )
        if standard:
            w.emit("matmul", {"x0": left, "x1": right}, {"y": y}, {"contracted": size})
        else:
            w.emit("einsum", {"x0": left, "x1": right}, {"y": y}, {"equation": f"{ta},{tb}->{out}"})
        return
    if w.is_weight(right):
        x, weight, tx, tw = left, right, ta, tb
    else:
        x, weight, tx, tw = right, left, tb, ta
    features = prod(n or 0 for letter, n in zip(tw, weight.shape, strict=True) if letter not in tx)
    attrs: dict[str, Any] = {"in_features": size, "out_features": features}
    if not (len(tw) == 2 and tx[-1:] == tw[1] and out == tx[:-1] + tw[0]):
        attrs["equation"] = f"{tx},{tw}->{out}"
    w.emit("linear", {"x": x, "weight": weight}, {"y": y}, attrs)


@rule("dot_general")
def dot_general(w: Walker, eqn: Any, values: list[Value]) -> Any:
    y = w.like(eqn.outvars[0])
    contract(w, values[0], values[1], y, eqn.params["dimension_numbers"])
    return [y]


@rule("ragged_dot_general")
def ragged_dot_general(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """(rows, in) with (groups, in, out): each row meets the matrix of its group. Other modes have no rule."""
    numbers = eqn.params["ragged_dot_dimension_numbers"]
    (contract_a, _), (batch_a, _) = numbers.dot_dimension_numbers
    ragged, groups = tuple(numbers.lhs_ragged_dimensions), tuple(numbers.rhs_group_dimensions)
    if len(groups) != 1 or len(ragged) != 1 or ragged[0] in (*contract_a, *batch_a):
        return NotImplemented  # the ragged dimension is contracted, or a batch: how much is computed is in the sizes
    return _in_groups(w, eqn, values, contract_a, groups[0])


@rule("ragged_dot")
def ragged_dot(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """(rows, in) with (groups, in, out), the one mode that JAX had before 0.6."""
    if [value.aval.ndim for value in eqn.invars[:2]] != [2, 3]:
        return NotImplemented
    return _in_groups(w, eqn, values, (1,), 0)


def _in_groups(w: Walker, eqn: Any, values: list[Value], contract_a: Sequence[int], group: int) -> list[Value]:
    a, b = (w.tensor(value) for value in values[:2])
    y = w.like(eqn.outvars[0])
    size: Any = prod(a.shape[i] or 0 for i in contract_a)
    attrs: dict[str, Any] = {"groups": b.shape[group]}
    if w.is_weight(b):
        w.emit("linear", {"x": a, "weight": b}, {"y": y}, attrs | {"in_features": size})
    else:
        w.emit("matmul", {"x0": a, "x1": b}, {"y": y}, attrs | {"contracted": size})
    return [y]


@rule("scaled_matmul_wrapper", "scaled_matmul")
def scaled_matmul(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """(batch, m, k) with (batch, n, k), both in blocks of small floats that share a scale, which costs nothing more."""
    y = w.like(eqn.outvars[0])
    contract(w, values[0], values[1], y, (((2,), (2,)), ((0,), (0,))))
    return [y]


@rule("scaled_dot")
def scaled_dot(w: Walker, eqn: Any, values: list[Value]) -> Any:
    y = w.like(eqn.outvars[0])
    contract(w, values[0], values[1], y, eqn.params["dimension_numbers"])
    return [y]
