"""How often a loop runs, where it counts: from a known start, by a known step, while less than a known end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorflow.python.framework import tensor_util

from multiprof.adapters.tensorflow.body import Body, Ref, parse
from multiprof.adapters.tensorflow.values import Value

_SAME = frozenset(("Identity", "StopGradient", "Snapshot", "EnsureShape", "LoopCond", "Enter", "RefEnter", "Cast"))
COMPARISONS = frozenset(("Less", "LessEqual", "Greater", "GreaterEqual"))


@dataclass(slots=True)
class Counting:
    """A loop of functions: its condition, its body and what it starts from."""

    condition: Body
    body: Body
    initial: Sequence[Value]
    made: Mapping[str, Mapping[str, list[Value]]] = field(default_factory=dict)  # body -> what its nodes made

    def start(self, body: Body, ref: Ref) -> tuple[int, Any] | None:
        """The part of the state that an argument is, and the number it starts from."""
        if ref.node not in body.arguments:
            return None
        place = body.arguments.index(ref.node)
        const = self.initial[place].const
        return place, None if const is None or const.size != 1 else const.item()

    def _made(self, body: Body, ref: Ref) -> Any:
        """A number that is the same whatever the state is: it was followed while the body was walked."""
        values = self.made.get(body.name, {}).get(ref.node)
        if values is None or ref.number >= len(values):
            return literal(body.nodes[ref.node])
        const = values[ref.number].const
        return None if const is None or const.size != 1 else const.item()

    def number(self, body: Body, ref: Ref) -> Any:
        """A number that is the same in every trip, or ``None``."""
        ref = behind(body, ref)
        if ref.node in body.nodes:
            return self._made(body, ref)
        found = self.start(body, ref)
        if found is None:
            return None
        place, value = found
        same = behind(self.body, parse(self.body.results[place]))
        return value if same.node == self.body.arguments[place] else None


def trips_of(loop: Counting) -> int | None:
    """The trips of a loop, ``None`` where they do not follow; of several conditions that all must hold, the fewest."""
    condition = loop.condition
    tests = comparisons(condition, behind(condition, parse(condition.results[0])))
    found = [n for test in tests if (n := _trips(loop, test)) is not None]
    return min(found) if found else None


def _trips(loop: Counting, test: str) -> int | None:
    op = loop.condition.nodes[test].op
    left, right = (behind(loop.condition, ref) for ref in loop.condition.inputs[test][:2])
    if loop.number(loop.condition, left) is not None:
        left, right, op = right, left, mirrored(op)
    found = loop.start(loop.condition, left)
    end = loop.number(loop.condition, right)
    if found is None or end is None or found[1] is None:
        return None
    place, start = found
    step = behind(loop.body, parse(loop.body.results[place]))
    node = loop.body.nodes.get(step.node)
    if node is None or node.op not in ("Add", "AddV2", "Sub"):
        return None
    a, b = (behind(loop.body, ref) for ref in loop.body.inputs[step.node])
    if a.node != loop.body.arguments[place] and node.op != "Sub":
        a, b = b, a
    by = loop.number(loop.body, b)
    if a.node != loop.body.arguments[place] or by is None:
        return None
    return count(op, start, end, -by if node.op == "Sub" else by)


def comparisons(body: Body, ref: Ref) -> list[str]:
    """The comparisons that must all hold."""
    found: list[str] = []
    waiting = [ref]
    while waiting and len(found) < 100:
        node = body.nodes.get(waiting[0].node)
        ref = waiting.pop(0)
        if node is None:
            continue
        if node.op == "LogicalAnd":
            waiting += [behind(body, r) for r in body.inputs[ref.node]]
        elif node.op in COMPARISONS:
            found.append(ref.node)
    return found


def behind(body: Body, ref: Ref) -> Ref:
    """Where a tensor comes from, behind what hands it on."""
    for _ in range(len(body.nodes)):
        if ref.node not in body.nodes or body.nodes[ref.node].op not in _SAME or not body.inputs[ref.node]:
            break
        ref = body.inputs[ref.node][0]
    return ref


def literal(node: Any) -> Any:
    """The number in a Const node."""
    if node.op != "Const":
        return None
    try:
        value = tensor_util.MakeNdarray(node.attr["value"].tensor)
    except (ValueError, TypeError):
        return None
    return value.item() if value.size == 1 and value.dtype.kind in "iu" else None


def mirrored(op: str) -> str:
    return op.replace("Less", "Greater") if op.startswith("Less") else op.replace("Greater", "Less")


def count(op: str, start: object, end: object, by: object) -> int | None:
    """Trips of ``while start < end: start += by``, with whole numbers."""
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(by, int)):
        return None
    if not by or op.startswith("Less") != (by > 0):
        return None
    distance = (end - start) * (1 if by > 0 else -1) + op.endswith("Equal")
    return max(0, -(-distance // abs(by)))


__all__ = ["COMPARISONS", "Counting", "behind", "comparisons", "count", "literal", "mirrored", "trips_of"]
