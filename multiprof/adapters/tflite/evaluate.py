"""The arithmetic of shapes: what small integer tensors hold, as far as it follows without running the model.

One function an operator: it gets the node after its rule and gives the numbers of output 0 row by row, or ``None``.
A number that is not known is itself ``None``, as a free batch size in a shape otherwise known.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import ceil, floor, prod
from typing import TYPE_CHECKING, Any

from multiprof.adapters.tflite.slices import slice_ranges, strided_ranges

if TYPE_CHECKING:
    from multiprof.adapters.tflite.node import Node

Numbers = Sequence[Any]
Evaluator = Callable[["Node"], "Numbers | None"]
EVALUATORS: dict[str, Evaluator] = {}


def _evaluator(*codes: str) -> Callable[[Evaluator], Evaluator]:
    def register(function: Evaluator) -> Evaluator:
        EVALUATORS.update(dict.fromkeys(codes, function))
        return function

    return register


def _sizes(shape: Sequence[int | None]) -> tuple[int, ...]:
    if any(d is None for d in shape):
        raise ValueError("a dimension is not known")
    return tuple(d for d in shape if d is not None)


def _y(node: Node) -> tuple[int, ...]:
    """The shape of output 0, known when an evaluator runs."""
    return _sizes(node.frame.specs[node.operator.outputs[0]].shape)


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    found, step = [], 1
    for size in reversed(shape):
        found.append(step)
        step *= size
    return tuple(reversed(found))


def take(values: Numbers, shape: Sequence[int], picks: Sequence[Iterable[int]]) -> tuple[Any, ...]:
    """The elements at the given positions of every axis, row by row."""
    steps = strides(shape)
    return tuple(values[sum(i * s for i, s in zip(place, steps, strict=True))] for place in product(*map(tuple, picks)))


@_evaluator("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST", "STABLEHLO_RESHAPE", "STABLEHLO_CONVERT")
def _same(node: Node) -> Numbers | None:
    found = node.values(0)
    if found is None or node.code not in ("CAST", "STABLEHLO_CONVERT"):
        return found
    kind = node.declared(0).dtype
    if kind.startswith(("int", "uint")):
        return [None if v is None else int(v) for v in found]
    return [None if v is None else float(v) for v in found] if kind.startswith("float") else None


def _broadcast(node: Node, function: Callable[..., Any], count: int) -> Numbers | None:
    operands = [node.values(i) for i in range(count)]
    shape = _y(node)
    if any(o is None for o in operands):
        return None
    expanded = [_expand(o, _sizes(node.x(i).shape), shape) for i, o in enumerate(operands) if o is not None]
    return [None if None in row else function(*row) for row in zip(*expanded, strict=True)]


def _expand(values: Numbers, shape: Sequence[int], target: Sequence[int]) -> Numbers:
    """``values`` of a shape broadcast to another."""
    if tuple(shape) == tuple(target):
        return values
    if len(values) == 1:
        return list(values) * prod(target)
    padded = (1,) * (len(target) - len(shape)) + tuple(shape)
    return take(values, padded, [[0] * t if s == 1 else range(t) for s, t in zip(padded, target, strict=True)])


def _divide(a: Any, b: Any) -> Any:
    if not b:
        return None
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b)  # integers are cut off towards zero, as in C
        return quotient if (a < 0) == (b < 0) else -quotient
    return a / b


def _power(a: Any, b: Any) -> Any:
    """Small powers only: 10 to the 10 to the 10 is no size."""
    return a**b if abs(a) <= 1 << 31 and 0 <= b <= 8 else None


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "ADD": operator.add, "SUB": operator.sub, "MUL": operator.mul, "DIV": _divide, "POW": _power,
    "FLOOR_DIV": lambda a, b: a // b if b else None, "FLOOR_MOD": lambda a, b: a % b if b else None,
    "MAXIMUM": max, "MINIMUM": min, "EQUAL": operator.eq, "NOT_EQUAL": operator.ne, "LESS": operator.lt,
    "LESS_EQUAL": operator.le, "GREATER": operator.gt, "GREATER_EQUAL": operator.ge,
    "LOGICAL_AND": lambda a, b: bool(a and b), "LOGICAL_OR": lambda a, b: bool(a or b),
    "STABLEHLO_ADD": operator.add, "STABLEHLO_MULTIPLY": operator.mul, "STABLEHLO_SUBTRACT": operator.sub,
    "STABLEHLO_MAXIMUM": max, "STABLEHLO_MINIMUM": min,
}  # fmt: skip
_UNARY: dict[str, Callable[[Any], Any]] = {
    "NEG": operator.neg, "ABS": abs, "SQUARE": lambda a: a * a, "FLOOR": lambda a: float(floor(a)),
    "CEIL": lambda a: float(ceil(a)), "LOGICAL_NOT": operator.not_,
    "SIGN": lambda a: (a > 0) - (a < 0), "SQRT": lambda a: a**0.5 if a >= 0 else None,
}  # fmt: skip
for _code, _function in _BINARY.items():
    EVALUATORS[_code] = lambda node, function=_function: _broadcast(node, function, 2)  # type: ignore[misc]  # a lambda's default has no type
for _code, _single in _UNARY.items():
    EVALUATORS[_code] = lambda node, function=_single: _broadcast(node, function, 1)  # type: ignore[misc]  # likewise


@_evaluator("SELECT", "SELECT_V2")
def _select(node: Node) -> Numbers | None:
    return _broadcast(node, lambda c, a, b: a if c else b, 3)


@_evaluator("SHAPE")
def _shape(node: Node) -> Numbers:
    return node.x(0).shape


@_evaluator("RANK")
def _rank(node: Node) -> Numbers:
    return (node.x(0).rank,)


@_evaluator("PACK")
def _pack(node: Node) -> Numbers | None:
    parts = [node.values(i) for i in range(len(node.operator.inputs))]
    if any(part is None for part in parts):
        return None
    axis = node.options["axis"]
    if axis in (0, -len(_y(node))):
        return [v for part in parts if part is not None for v in part]
    return None


@_evaluator("CONCATENATION")
def _concatenation(node: Node) -> Numbers | None:
    parts = [node.values(i) for i in range(len(node.operator.inputs))]
    if any(part is None for part in parts) or (node.options["axis"] and len(_y(node)) > 1):
        return None
    return [v for part in parts if part is not None for v in part]


@_evaluator("GATHER")
def _gather(node: Node) -> Numbers | None:
    values, indices = node.values(0), node.ints(1)
    shape = _sizes(node.x(0).shape)
    axis = node.options["axis"] % max(len(shape), 1)
    if values is None or indices is None or node.options["batch_dims"] or len(shape) != 1 or axis:
        return None
    return [values[i] if 0 <= i < len(values) else None for i in indices]


@_evaluator("STRIDED_SLICE", "SLICE", "TRANSPOSE", "REVERSE_V2")
def _picked(node: Node) -> Numbers | None:
    values = node.values(0)
    if values is None:
        return None
    shape = _sizes(node.x(0).shape)
    if node.code == "TRANSPOSE":
        perm = node.ints(1)
        if perm is None:
            return None
        steps = strides(shape)
        turned = [steps[p] for p in perm]
        places = product(*(range(shape[p]) for p in perm))
        return [values[sum(i * s for i, s in zip(place, turned, strict=True))] for place in places]
    if node.code == "REVERSE_V2":
        axes = node.ints(1)
        if axes is None:
            return None
        turned_axes = {a % len(shape) for a in axes}
        return take(values, shape, [range(d)[::-1] if i in turned_axes else range(d) for i, d in enumerate(shape)])
    picks = slice_ranges(node) if node.code == "SLICE" else strided_ranges(node)
    return None if picks is None or any(p is None for p in picks) else take(values, shape, picks)  # type: ignore[arg-type]  # no None is left


@_evaluator("RANGE")
def _range(node: Node) -> Numbers | None:
    found = [node.ints(i) for i in range(3)]
    if any(f is None for f in found):
        return None
    start, limit, delta = (f[0] for f in found if f is not None)
    return range(start, limit, delta) if delta else None


@_evaluator("FILL")
def _fill(node: Node) -> Numbers | None:
    value = node.values(1)
    return None if value is None else value * prod(_y(node))


@_evaluator("ZEROS_LIKE")
def _zeros(node: Node) -> Numbers:
    return (0,) * prod(_y(node))


@_evaluator("BROADCAST_TO", "TILE")
def _repeat(node: Node) -> Numbers | None:
    values = node.values(0)
    if values is None:
        return None
    shape, target = _sizes(node.x(0).shape), _y(node)
    if node.code == "BROADCAST_TO":
        return _expand(values, shape, target)
    return take(values, shape, [[i % s for i in range(t)] for s, t in zip(shape, target, strict=True)])


@_evaluator("BROADCAST_ARGS")
def _broadcast_args(node: Node) -> Numbers | None:
    a, b = node.ints(0), node.ints(1)
    if a is None or b is None:
        return None
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    return [y if x == 1 else x for x, y in zip(a, b, strict=True)]


@_evaluator("REDUCE_PROD", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL", "REDUCE_ANY")
def _reduce(node: Node) -> Numbers | None:
    values = node.values(0)
    if values is None or None in values or prod(_y(node)) != 1 or not values:
        return None
    functions: dict[str, Callable[[Any], Any]] = {
        "REDUCE_PROD": prod, "SUM": sum, "REDUCE_MAX": max, "REDUCE_MIN": min, "REDUCE_ALL": all, "REDUCE_ANY": any,
    }  # fmt: skip
    return (functions[node.code](values),)


def pieces(node: Node) -> list[Numbers] | None:
    """The numbers in every output of an operator that cuts a tensor, or ``None``."""
    number = 1 if node.code == "SPLIT" else 0
    values = node.values(number)
    shape = node.x(number).shape
    if values is None or len(shape) > 3:
        return None
    sizes = _sizes(shape)
    made = [_sizes(node.frame.specs[index].shape) for index in node.operator.outputs]
    if node.code == "UNPACK":
        axis = node.options["axis"] % len(sizes)
        lengths = [1] * len(made)
    else:
        given = node.ints(0 if node.code == "SPLIT" else 2)
        if not given:
            return None
        axis = given[0] % len(sizes)
        lengths = [piece[axis] for piece in made]
    found: list[Numbers] = []
    start = 0
    for length in lengths:
        picks: list[Iterable[int]] = [range(d) for d in sizes]
        picks[axis] = range(start, start + length)
        found.append(take(values, sizes, picks))
        start += length
    return found


CUTS = frozenset(("SPLIT", "SPLIT_V", "UNPACK"))

__all__ = ["CUTS", "EVALUATORS", "pieces", "strides", "take"]
