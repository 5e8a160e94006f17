"""How often a loop runs, where its condition compares a counter with a number that is known.

Converted recurrent layers count from 0 to the number of steps, and compare twice: the counter with the most trips
allowed, and the time with the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiprof.adapters.tflite.model import Model, Operator, SubGraph

if TYPE_CHECKING:
    from multiprof.adapters.tflite.walk import Given

# Operators that change the shape or the type of a number and not the number.
_SAME = frozenset(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"))
_MIRRORED = {"GREATER": "LESS", "GREATER_EQUAL": "LESS_EQUAL", "LESS": "GREATER", "LESS_EQUAL": "GREATER_EQUAL"}
# Conditions joined by "and", one inside the other
_MAX_JOINED = 16


def trips_of(model: Model, condition: SubGraph, body: SubGraph, given: Sequence[Given]) -> int | None:
    """The trips of a loop whose states begin as ``given``, or ``None``."""
    search = _Search(model, condition, body, given)
    return search.bound(condition.outputs[0], 0)


class _Search:
    def __init__(self, model: Model, condition: SubGraph, body: SubGraph, given: Sequence[Given]) -> None:
        self.model = model
        self.condition = condition
        self.body = body
        self.given = given
        self.makers = {index: operator for operator in condition.operators for index in operator.outputs}
        self.body_makers = {index: operator for operator in body.operators for index in operator.outputs}

    def bound(self, index: int, depth: int) -> int | None:
        """The trips after which the tensor of the condition is no longer true."""
        operator = self.makers.get(index)
        if operator is None or depth > _MAX_JOINED:
            return None
        if operator.code in _SAME:
            return self.bound(operator.inputs[0], depth + 1)
        if operator.code == "LOGICAL_AND":
            bounds = [self.bound(i, depth + 1) for i in operator.inputs]
            return None if None in bounds else min(b for b in bounds if b is not None)
        if operator.code not in _MIRRORED or len(operator.inputs) != 2:
            return None
        left, right = operator.inputs
        found = self.compare(operator.code, left, right)
        return found if found is not None else self.compare(_MIRRORED[operator.code], right, left)

    def compare(self, code: str, counter: int, limit: int) -> int | None:
        """Trips while ``counter code limit``, the counter a state that grows by a constant."""
        number = self.state(counter)
        most = self.constant(limit)
        if number is None or most is None:
            return None
        start, step = _single(self.given[number].values), self.step(number)
        if start is None or not step:
            return None
        if code.startswith("GREATER"):
            start, most, step = -start, -most, -step
        if step < 0:
            return None
        room = most - start + (1 if code.endswith("EQUAL") else 0)
        return max(0, -(-room // step))

    def state(self, index: int) -> int | None:
        """The number of the state that a tensor of the condition is."""
        index = _through(index, self.makers)
        return self.condition.inputs.index(index) if index in self.condition.inputs else None

    def constant(self, index: int) -> int | None:
        """The number in a tensor of the condition that no trip changes."""
        index = _through(index, self.makers)
        if index in self.condition.inputs:
            number = self.condition.inputs.index(index)
            unchanged = self.body.inputs[number] == self.body.outputs[number]
            return _single(self.given[number].values) if unchanged else None
        return _single(self.model.numbers(self.condition.tensors[index]))

    def step(self, number: int) -> int | None:
        """What a trip adds to a state."""
        operator = self.body_makers.get(_through(self.body.outputs[number], self.body_makers))
        if operator is None or operator.code not in ("ADD", "SUB") or len(operator.inputs) != 2:
            return None
        a, b = (_through(i, self.body_makers) for i in operator.inputs)
        own = self.body.inputs[number]
        if b == own and operator.code == "ADD":
            a, b = b, a
        if a != own:
            return None
        added = self.added(b)
        return None if added is None else -added if operator.code == "SUB" else added

    def added(self, index: int) -> int | None:
        """The number in a tensor of the body: a constant, or a state that no trip changes."""
        if index in self.body.inputs:
            number = self.body.inputs.index(index)
            unchanged = self.body.outputs[number] == index
            return _single(self.given[number].values) if unchanged else None
        return _single(self.model.numbers(self.body.tensors[index])) if index >= 0 else None


def _through(index: int, makers: dict[int, Operator]) -> int:
    """The tensor that holds the same number, behind changes of shape and type."""
    for _ in range(_MAX_JOINED):
        operator = makers.get(index)
        if operator is None or operator.code not in _SAME or not operator.inputs:
            break
        index = operator.inputs[0]
    return index


def _single(values: Sequence[object] | None) -> int | None:
    if values is None or len(values) != 1:
        return None
    value = values[0]
    return int(value) if isinstance(value, (int, float)) and value == int(value) else None


__all__ = ["trips_of"]
