"""Control flow of TensorFlow 1: Enter, Merge, Switch, NextIteration, Exit. Frames are loops, switches branches.

Such a graph does not say where a loop or a branch ends; it follows from the edges. `regions` finds for each node in
which frames and branches it stands before the nodes are walked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from multiprof.adapters.tensorflow.body import EXITS, MERGES, NEXT, Body, Ref
from multiprof.adapters.tensorflow.control import carried, hand_on, joined, operands
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import structure
from multiprof.adapters.tensorflow.trips import behind, comparisons, count, literal, mirrored
from multiprof.adapters.tensorflow.values import Value
from multiprof.adapters.tensorflow.walker import Frame, Walker
from multiprof.ir import BRANCH, LOOP, Region

ENTERS = frozenset(("Enter", "RefEnter"))
SWITCHES = frozenset(("Switch", "RefSwitch"))
# What holds whole numbers that count, and is no state of a network.
_FLOATS = frozenset((1, 2, 14, 19))  # DT_FLOAT, DT_DOUBLE, DT_BFLOAT16, DT_HALF


def has_control(body: Body) -> bool:
    return any(node.op in MERGES or node.op in ENTERS for node in body.nodes.values())


class Regions:
    """Frames and branches of a body, and the region of each node."""

    def __init__(self, walker: Walker, body: Body, order: Iterable[str]) -> None:
        self.walker = walker
        self.body = body
        self.made: dict[tuple[str, ...], str] = {}
        self.merges: dict[str, str] = {}
        self.conditions: dict[str, tuple[str, ...]] = {}  # LoopCond -> the frame it is of
        found: dict[str, tuple[str, ...]] = {}
        self.loops: set[str] = set()
        names = list(order)
        for name in names:
            node = body.nodes[name]
            if node.op in MERGES:
                for ref in body.inputs[name]:
                    if ref.node in body.nodes and body.nodes[ref.node].op in NEXT:
                        self.merges[ref.node] = name
        backed = set(self.merges.values())
        for name in names:
            found[name] = self._chain(name, found, backed)
        self.chains = found
        self.regions: dict[str, str] = {}
        self.stateful = self._stateful(backed)
        for name, chain in found.items():
            if body.nodes[name].op == "LoopCond" and chain:
                self.conditions[name] = chain
        for name, chain in found.items():
            if chain:
                self.regions[name] = self._region(chain)

    def _chain(self, name: str, found: Mapping[str, tuple[str, ...]], backed: set[str]) -> tuple[str, ...]:
        """The frames and branches a node stands in, outermost first; ``>`` marks a frame."""
        node = self.body.nodes[name]
        sources = [
            self._leaves(ref, found)
            for ref in self.body.inputs[name]
            if ref.node in found or ref.node in self.body.nodes
        ]
        sources += [found[before] for before in self.body.before[name] if before in found]
        chain = max(sources, key=len, default=())
        if node.op in ENTERS:
            frame = node.attr["frame_name"].s.decode("utf-8", "replace") or name
            return (*chain, ">" + frame)
        if node.op in MERGES and name not in backed and chain and not chain[-1].startswith(">"):
            return chain[:-1]
        return chain

    def _leaves(self, ref: Ref, found: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The chain of a tensor, which may differ from that of the node that makes it."""
        chain = found.get(ref.node, ())
        op = self.body.nodes[ref.node].op
        if op in EXITS:
            while chain and not chain[-1].startswith(">"):
                chain = chain[:-1]
            return chain[:-1]
        if op in SWITCHES:
            predicate = behind(self.body, self.body.inputs[ref.node][1])
            if self.body.nodes.get(predicate.node) is None or self._of_loop(ref.node):
                return chain
            return (*chain, f"{predicate.node}/{'then' if ref.number else 'else'}")
        return chain

    def _of_loop(self, switch: str) -> bool:
        ref = self.body.inputs[switch][1]
        while ref.node in self.body.nodes and self.body.nodes[ref.node].op == "Identity":
            ref = self.body.inputs[ref.node][0]
        return ref.node in self.body.nodes and self.body.nodes[ref.node].op == "LoopCond"

    def _stateful(self, backed: set[str]) -> set[str]:
        """Frames that carry real numbers from trip to trip."""
        return {
            self.chains[merge][-1]
            for merge in backed
            if self.chains[merge]
            and self.body.nodes[merge].attr["T"].type in _FLOATS
            and before_loop(self.body, merge) is None
        }

    def _region(self, chain: tuple[str, ...]) -> str:
        known = self.made.get(chain)
        if known is not None:
            return known
        parent = self._region(chain[:-1]) if len(chain) > 1 else self.walker.region or self.walker.writer.open_region
        last = chain[-1]
        regions = self.walker.writer.regions
        if last.startswith(">"):
            name = last[1:]
            id = unused(name.rpartition("/")[0] or name, regions)
            regions[id] = Region(id, parent, LOOP, None, "", last in self.stateful)
        else:
            id = unused(last, regions)
            regions[id] = Region(id, parent, BRANCH, 1, last.rpartition("/")[0])
        self.made[chain] = id
        return id


class Count:
    """How often the loop of a LoopCond runs, told from the body and from what its nodes have made so far."""

    def __init__(self, frame: Frame, condition: str) -> None:
        self.frame = frame
        self.body = frame.body
        self.condition = condition

    def trips(self) -> int | None:
        """Trips of a loop whose condition compares a counter with a number; the fewest where several must hold."""
        body = self.body
        found = []
        for test in comparisons(body, behind(body, body.inputs[self.condition][0])):
            left, right = (behind(body, ref) for ref in body.inputs[test][:2])
            op = body.nodes[test].op
            if self._number(left) is not None:
                left, right, op = right, left, mirrored(op)
            n = self._counted(op, left, self._number(right))
            if n is not None:
                found.append(n)
        return min(found) if found else None

    def _counted(self, op: str, counter: Ref, end: int | None) -> int | None:
        body = self.body
        merge = body.nodes.get(counter.node)
        if merge is None or merge.op not in MERGES or end is None:
            return None
        start = by = None
        for ref in body.inputs[counter.node]:
            if ref.node in body.nodes and body.nodes[ref.node].op in NEXT:
                step = behind(body, body.inputs[ref.node][0])
                node = body.nodes.get(step.node)
                if node is not None and node.op in ("Add", "AddV2"):
                    numbers = [self._number(behind(body, r)) for r in body.inputs[step.node]]
                    by = next((n for n in numbers if n is not None), None)
            else:
                start = self._number(behind(body, ref))
        return count(op, start, end, by)

    def _number(self, ref: Ref) -> int | None:
        """A whole number that is the same in every trip."""
        made = self.frame.made.get(ref.node, ())
        const = made[ref.number].const if ref.number < len(made) else None
        node = self.body.nodes.get(ref.node)
        found = const.item() if const is not None and const.size == 1 else None if node is None else literal(node)
        return found if isinstance(found, int) else None


def before_loop(body: Body, merge: str) -> Ref | None:
    """What a loop hands on from trip to trip as it came in, such as a weight or an end; ``None`` where it changes."""
    initial = None
    for ref in body.inputs[merge]:
        if ref.node not in body.nodes or body.nodes[ref.node].op not in NEXT:
            initial = ref
            continue
        back = behind(body, body.inputs[ref.node][0])
        if body.nodes.get(back.node) is not None and body.nodes[back.node].op in SWITCHES:
            back = behind(body, body.inputs[back.node][0])
        if back.node != merge:
            return None
    return initial


def unused(id: str, regions: Mapping[str, Region]) -> str:
    number = 0
    made = id
    while made in regions:
        number += 1
        made = f"{id}_{number}"
    return made


def prepare(walker: Walker, frame: Frame, wanted: list[str]) -> list[str]:
    """Find the regions of a body that has such control flow; what goes back to a loop's beginning is wanted too."""
    body = frame.body
    if not has_control(body):
        return wanted
    while True:  # a loop found in the body of a loop found leads to further ones
        order = body.order(wanted, walker.writer.name)
        more = [
            ref.node
            for name in order
            if body.nodes[name].op in MERGES
            for ref in body.inputs[name]
            if ref.node in body.nodes and body.nodes[ref.node].op in NEXT and ref.node not in wanted
        ]
        if not more:
            break
        wanted = [*wanted, *dict.fromkeys(more)]
    found = Regions(walker, body, order)
    frame.regions, frame.merges = found.regions, found.merges
    frame.loops = {name: found.made[chain] for name, chain in found.conditions.items()}
    return wanted


@structure("Enter", "RefEnter", "Exit", "RefExit", "LoopCond")
def handed(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    values = operands(walker, frame, node)
    region = frame.loops.get(node.proto.name)
    if region is not None:  # what the condition compares is known by now
        walker.writer.regions[region].trips = Count(frame, node.proto.name).trips()
    return values


@structure("Switch", "RefSwitch")
def switch(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    value = operands(walker, frame, node)[0]
    return [value, value]


@structure("Merge", "RefMerge")
def merge(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """The beginning of a loop, or the end of a choice."""
    name = node.proto.name
    index = np.asarray(0, np.int32)
    second = Value(walker.scratch.constant(index), name=f"{node.name}/value_index")
    refs = frame.body.inputs[name]
    first = [ref for ref in refs if ref.node not in frame.merges]
    values = [walker.read(frame, ref) for ref in first]
    if len(first) == len(refs):
        return [joined(walker, node, values), second]
    if before_loop(frame.body, name) is not None:
        return [values[0], second]
    frame.carried[name] = value = carried(walker, node, values[0])
    return [value, second]


@structure("NextIteration", "RefNextIteration")
def next_iteration(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    (result,) = operands(walker, frame, node)
    value = frame.carried.get(frame.merges.get(node.proto.name, ""))
    if value is not None:
        hand_on(walker, node, value, result)
    return [result]


__all__ = ["prepare"]
