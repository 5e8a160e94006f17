"""Calls, loops and branches of TensorFlow 2: functions walked in place, loops and branches as regions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from multiprof.adapters.tensorflow.body import Body, Ref, parse
from multiprof.adapters.tensorflow.compat import is_subtype
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.scratch import merged_shape
from multiprof.adapters.tensorflow.table import structure
from multiprof.adapters.tensorflow.trips import Counting, trips_of
from multiprof.adapters.tensorflow.values import Elements, Value, dtype_of, shape_of
from multiprof.adapters.tensorflow.walker import Frame, Walker
from multiprof.ir import BRANCH, LOOP

# Names that TensorFlow gives to calls when nobody names them: no part of a path.
_UNNAMED = re.compile(r"(Stateful)?PartitionedCall(_\d+)?$")
_SAME = frozenset(("Identity", "StopGradient", "Snapshot", "EnsureShape"))


def operands(walker: Walker, frame: Frame, node: Node) -> list[Value]:
    return [walker.read(frame, ref) for ref in frame.body.inputs[node.proto.name]]


@structure("PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient", "RemoteCall")
def call(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """The function's own nodes, in the place of its call; a function that a formula claims is one foreign layer."""
    name = node.proto.attr["f"].func.name if "f" in node.proto.attr else node.op
    body = walker.function(name, node.where)
    values = operands(walker, frame, node)
    claimed = next((text for text in body.attrs.values() if f"tensorflow.{text}" in walker.leaves), None)
    scope, _, own = node.name.rpartition("/")
    prefix = scope if _UNNAMED.match(own) else node.name
    if claimed is None:
        return walker.call(body, prefix, values, node.where)
    before = len(walker.writer.layers)
    made = walker.call(body, prefix, values, node.where)  # for the shapes of its results
    del walker.writer.layers[before:]
    node.inputs = values
    node.outputs = [value.flat for value in made]
    node.foreign(claimed)
    return [node.bound[i] for i in range(len(made))]


def origin(body: Body, ref: Ref) -> Ref:
    """Where a tensor comes from, behind what hands it on."""
    while ref.node in body.nodes and body.nodes[ref.node].op in _SAME and body.inputs[ref.node]:
        ref = body.inputs[ref.node][0]
    return ref


class Loop:
    """A loop's state: what the body reads of it, and where its result is handed on to the next trip.

    What the body returns as it got it is what it was before the loop. Of every other part the body reads one tensor,
    which an ``identity`` at the end of the body makes of the body's result.
    """

    def __init__(self, walker: Walker, node: Node, body: Body, initial: Sequence[Value], shapes: Sequence[Any]) -> None:
        self.moving: list[bool] = []
        self.values: list[Value] = []
        for number, value in enumerate(initial):
            source = origin(body, parse(body.results[number]))
            same = source.node == body.arguments[number]
            self.moving.append(not same)
            self.values.append(value if same else carried(walker, node, value, shapes[number]))

    def hand_on(self, walker: Walker, node: Node, results: Sequence[Value]) -> None:
        for value, moving, result in zip(self.values, self.moving, results, strict=True):
            if moving:
                hand_on(walker, node, value, result)


def carried(walker: Walker, node: Node, initial: Value, shape: Any = None) -> Value:
    """What a loop's body reads of a part of the state that changes."""
    flat = walker.scratch.placeholder(initial.flat.dtype, initial.flat.shape if shape is None else shape)
    if initial.elements is not None:
        elements = initial.elements
        made = Elements(elements.dtype, elements.element, elements.length)
        made.spec = walker.writer.between(made.shape, made.dtype, f"{node.name}/list")
        return Value(flat, elements=made)
    return Value(flat, walker.writer.between(shape_of(flat), dtype_of(flat), f"{node.name}/state"))


def hand_on(walker: Walker, node: Node, value: Value, result: Value) -> None:
    """Make the tensor that the body reads of the body's result."""
    target = value.spec
    if value.elements is not None:
        target = value.elements.spec
        if result.elements is not None and target is not None:
            known = result.elements
            value.elements.element = known.element
            target.shape = value.elements.shape
            if known.spec is None:  # nothing was ever put there
                walker.emit(node, "fill", {}, {"y": target}, None, f"{node.name}/carry")
                return
            result = Value(result.flat, known.spec)
    if target is not None:
        source = walker.tensor(result, node.where)
        walker.emit(node, "identity", {"x": source}, {"y": target}, None, f"{node.name}/carry")


@structure("While", "StatelessWhile")
def while_(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """A loop, its body walked once; how often it runs follows where it counts from a known start to a known end."""
    condition = walker.function(node.proto.attr["cond"].func.name, node.where)
    body = walker.function(node.proto.attr["body"].func.name, node.where)
    initial = operands(walker, frame, node)
    if len(initial) != len(body.arguments) or len(initial) != len(body.results):
        raise node.fail(f"it carries {len(initial)} values, its body takes {len(body.arguments)}")
    shapes: list[Any] = [None] * len(initial)
    layers, regions = len(walker.writer.layers), set(walker.writer.regions)
    for attempt in range(3):
        # what comes in as a constant is a tensor of its own once the loop changes it
        loop = Loop(walker, node, body, initial, shapes)
        stateful = any(m and value.flat.dtype.is_floating for m, value in zip(loop.moving, initial, strict=True))
        made: dict[str, Any] = {}
        with walker.inside(node.name, LOOP, None, stateful=stateful) as region:
            walker.call(condition, node.name, loop.values, node.where, made)
            results = walker.call(body, node.name, loop.values, node.where, made)
            loop.hand_on(walker, node, results)
        walker.writer.regions[region].trips = trips_of(Counting(condition, body, initial, made))
        changed = False
        for i, (value, result) in enumerate(zip(loop.values, results, strict=True)):
            if loop.moving[i] and value.elements is None and not is_subtype(result.flat.shape, value.flat.shape):
                shapes[i] = merged_shape([value.flat.shape, result.flat.shape])
                changed = True
        if not changed or attempt == 2:
            return loop.values
        del walker.writer.layers[layers:]  # again, with what keeps its size from trip to trip
        for id in set(walker.writer.regions) - regions:
            del walker.writer.regions[id]
    return loop.values


@structure("If", "StatelessIf")
def if_(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    which, *values = operands(walker, frame, node)
    names = [node.proto.attr[key].func.name for key in ("then_branch", "else_branch")]
    if which.const is not None and which.const.size == 1:
        return choose(walker, node, [names[0] if bool(which.const) else names[1]], ("then",), values)
    return choose(walker, node, names, ("then", "else"), values)


@structure("Case", "StatelessCase")
def case(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    which, *values = operands(walker, frame, node)
    names = [function.name for function in node.proto.attr["branches"].list.func]
    if which.const is not None and which.const.size == 1 and names:
        number = int(which.const)
        names = [names[number if 0 <= number < len(names) else -1]]
    return choose(walker, node, names, [str(i) for i in range(len(names))], values)


def choose(
    walker: Walker, node: Node, names: Sequence[str], labels: Sequence[str], values: Sequence[Value]
) -> Iterable[Value]:
    """One branch region for each function, of which one runs; a single one is simply called."""
    bodies = [walker.function(name, node.where) for name in names]
    if len(bodies) == 1:
        return walker.call(bodies[0], node.name, values, node.where)
    group = walker.group(node.name)
    state = dict(walker.state)
    results: list[list[Value]] = []
    for body, label in zip(bodies, labels, strict=True):
        walker.state = dict(state)
        with walker.inside(f"{group}/{label}", BRANCH, group=group):
            made = walker.call(body, node.name, values, node.where)
            for value in made:
                if value.elements is None:
                    walker.tensor(value, node.where)
            results.append(made)
    return [joined(walker, node, choices) for choices in zip(*results, strict=True)]


def joined(walker: Walker, node: Node, choices: Sequence[Value]) -> Value:
    """What one of several branches makes."""
    first = choices[0]
    if any(choice.elements is not None or choice.variable for choice in choices):
        return next(choice for choice in choices if choice.elements is not None or choice.variable)
    specs = [walker.tensor(choice, node.where) for choice in choices]
    if all(spec.name == specs[0].name for spec in specs):
        return first
    flat = walker.scratch.placeholder(first.flat.dtype, merged_shape([choice.flat.shape for choice in choices]))
    y = walker.writer.between(shape_of(flat), dtype_of(flat), node.name)
    # of one branch; what is computed of the inputs in any of them is no weight
    chosen = next((spec for spec in specs if spec.name not in walker.weights), specs[0])
    walker.emit(node, "identity", {"x": chosen}, {"y": y}, None, f"{node.name}/chosen")
    return Value(flat, y)


__all__ = ["carried", "hand_on", "joined", "operands", "origin"]
