"""Control flow as regions: If shows both branches, Loop and Scan their body once with the number of trips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.onnx import skipped
from multiprof.adapters.onnx.call import Call, Deferred
from multiprof.adapters.onnx.infer import ShapeError
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.scopes import joined, node_scope
from multiprof.adapters.onnx.types import UNRANKED, Value, from_proto
from multiprof.adapters.onnx.types import Sequence as SequenceValue
from multiprof.errors import ModelError
from multiprof.ir import BRANCH, LOOP, Shape, TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.onnx.walk import Walker

# More trips than this mean "until the condition fails": exporters write the largest number there is.
ENDLESS = 1 << 31


def conditional(walker: Walker, call: Call) -> None:
    """If: both branches, unless the shapes decide which one is taken."""
    then, other = _body(call, "then_branch"), _body(call, "else_branch")
    condition = call.tensor(0)
    known = condition.value if condition is not None and condition.weight else None
    if known is not None and known.size == 1:
        branches = ((then, "then"), (other, "else"))
        (taken, label), left_out = branches if bool(known.ravel()[0]) else branches[::-1]
        skipped.declare(walker, call, *left_out)
        walker.writer.warnings.append(f"{call.name}: the condition is known beforehand: only its {label} branch counts")
        _give(call, _run(walker, call, taken, [], _outputs_named(walker, call, taken), label))
        return
    first = _branch(walker, call, then, "then", _outputs_named(walker, call, then))
    second = _branch(walker, call, other, "else", {} if first is not None else _outputs_named(walker, call, other))
    if first is None and second is None:
        raise ShapeError(f"{call.where}: neither branch can run: {walker.writer.warnings[-1]}")
    if first is None or second is None:
        _give(call, [_loosened(value) for value in first or second or ()])
        return
    if len(first) != len(second):
        raise ModelError(f"{call.where}: its branches have {len(first)} and {len(second)} outputs")
    _give(call, [_loosened(_merged(a, b)) for a, b in zip(first, second, strict=True)])


def _branch(walker: Walker, call: Call, body: GraphProto, label: str, names: dict[str, str]) -> list[Value] | None:
    """One branch in its region; ``None`` where it cannot run on these shapes, which the other one is there for."""
    declared = walker.writer.parameters
    before = len(declared)
    try:
        with walker.attempt(), walker.writer.region(f"{call.name}/{label}", BRANCH, group=call.name):
            return _run(walker, call, body, [], names, label)
    except ShapeError as error:
        while len(declared) > before:
            declared.popitem()  # what was met up to the failure
        skipped.declare(walker, call, body, label)
        walker.writer.warnings.append(f"{call.name}: its {label} branch cannot run on these shapes: {error}")
        return None


def loop(walker: Walker, call: Call) -> None:
    """Loop: the body once, with as many trips as are known; what it gathers comes out stacked."""
    body = _body(call, "body")
    state = list(call.inputs[2:])
    if len(body.input) != len(state) + 2 or len(body.output) < len(state) + 1:
        raise ModelError(
            f"{call.where}: {len(state)} carried values, but its body has {len(body.input)} inputs and "
            f"{len(body.output)} outputs"
        )
    names = _outputs_named(walker, call, body, 1, len(state))

    def run(carried: Sequence[Value | None]) -> list[Value]:
        return _run(walker, call, body, [_number(walker, call, body), _true(walker, call), *carried], names, "")

    entering, results = _settled(walker, state, names, body, 1, run)
    unconditional = _is_true(results[0])
    trips = _trips(walker, call, unconditional)
    stateful = any(a is not b for a, b in zip(entering, results[1 : len(state) + 1], strict=True))
    if not walker.trials:  # within a first look at a loop around, this first look will do
        with walker.writer.region(call.name, LOOP, trips, stateful=stateful):
            results = run(entering)
    finals = results[1 : len(state) + 1]
    made: list[Value] = []
    for initial, before, after in zip(state, entering, finals, strict=True):
        if trips == 0 and initial is not None:
            made.append(initial)
        else:
            made.append(after if after is before else _loosened(after))
    length = trips if trips is not None else walker.trips.get(call.name)
    for number, value in enumerate(results[len(state) + 1 :], len(state)):
        made.append(_stacked(walker, call, value, number, length, 0))
    _give(call, made)


def scan(walker: Walker, call: Call) -> None:
    """Scan: the body once per slice of the scanned operands."""
    body = _body(call, "body")
    scanned = call.attrs.get("num_scan_inputs", 0)
    batched = call.version < 9  # the first form: with a batch in front, and lengths as its first operand
    inputs = list(call.inputs[1:] if batched else call.inputs)
    carried = len(inputs) - scanned
    if carried < 0 or scanned < 1 or len(body.input) != len(inputs) or len(body.output) < carried:
        raise ModelError(f"{call.where}: {len(inputs)} operands, {scanned} of them scanned, do not fit its body")
    axes = call.attrs.get("scan_input_axes") or [0] * scanned
    states, rows = inputs[:carried], inputs[carried:]
    batch: int | None = 1
    if batched:
        batch = next((v.shape[0] for v in rows if isinstance(v, Tensor) and v.rank), None)
        axes = [1] * scanned
        states = [_without(v, 0) for v in states]
    length: int | None = None
    for value, axis in zip(rows, axes, strict=False):
        if isinstance(value, Tensor) and value.ranked:
            size = value.shape[normal_axis(axis, value.rank, where=call.where)]
            length = size if length is None else length
    names = _outputs_named(walker, call, body, 0, carried)

    def run(entering: Sequence[Value | None]) -> list[Value]:
        slices = [
            _sliced(walker, call, body.input[carried + number].name, value, axis, batched)
            for number, (value, axis) in enumerate(zip(rows, axes, strict=False))
        ]
        return _run(walker, call, body, [*entering, *slices], names, "")

    entering, results = _settled(walker, states, names, body, 0, run)
    trips = None if length is None or batch is None else length * batch
    if not walker.trials:
        with walker.writer.region(call.name, LOOP, trips, stateful=carried > 0):
            results = run(entering)
    made: list[Value] = [_loosened(value) for value in results[:carried]]
    if batched:
        made = [_widened(value, batch, 0) for value in made]
    places = call.attrs.get("scan_output_axes") or []
    for number, value in enumerate(results[carried:], carried):
        axis = places[number - carried] if number - carried < len(places) else 0
        if batched:
            value = _widened(_stacked(walker, call, value, number, length, 0), batch, 0)
        else:
            value = _stacked(walker, call, value, number, length, axis)
        made.append(value)
    _give(call, made)


# ------------------------------------------------------------------------------------------------------------- bodies


def _body(call: Call, name: str) -> GraphProto:
    body = call.attrs.get(name)
    if not isinstance(body, GraphProto):
        raise ModelError(f"{call.where} lacks its graph {name}")
    return body


def _run(
    walker: Walker, call: Call, body: GraphProto, inputs: Sequence[Value | None], names: dict[str, str], label: str
) -> list[Value]:
    """Walk a subgraph with these values as its inputs."""
    path = f"{call.name}/{label}/" if label else f"{call.name}/"
    scope = joined(call.frame.scope, node_scope(call.proto))
    frame = call.frame.inside(path=path, names=dict(names), scope=scope)
    for info, value in zip(body.input, inputs, strict=False):
        if value is not None:
            frame.values[info.name] = value
    return walker.graph(body, frame)


def _outputs_named(
    walker: Walker, call: Call, body: GraphProto, first: int = 0, count: int | None = None
) -> dict[str, str]:
    """Outputs of a body that its nodes make are called as the outputs of the node are."""
    makes = {name for node in body.node for name in node.output}
    inner = [output.name for output in body.output][first:][:count]
    names: dict[str, str] = {}
    for inside, outside in zip(inner, call.outputs, strict=False):
        if outside and inside in makes and inside not in names:
            names[inside] = walker.named(outside, call.frame)
    return names


def _settled(
    walker: Walker, state: Sequence[Value | None], names: dict[str, str], body: GraphProto, first: int,
    run: Callable[[Sequence[Value | None]], list[Value]],
) -> tuple[list[Value | None], list[Value]]:  # fmt: skip
    """The state as it enters any trip, not the first alone: a size that changes from trip to trip is unknown.

    Also what the body makes of it, at a first look.
    """
    entering: list[Value | None] = []
    for number, value in enumerate(state):
        entering.append(_entering(value, names.get(body.output[first + number].name)))
    results: list[Value] = []
    for _ in range(4):
        with walker.trial():
            results = run(entering)
        changed = False
        for number, before in enumerate(entering):
            after = results[first + number]
            if before is None or after is before:
                if after is before and state[number] is not None:
                    original = state[number]
                    changed = changed or entering[number] is not original
                    entering[number] = original  # handed on unchanged: a weight stays one
                continue
            merged = _merged(before, after)
            if _differs(before, merged):
                entering[number] = _loosened(merged)
                changed = True
        if not changed:
            break
    return entering, results


def _entering(value: Value | None, made: str | None) -> Value | None:
    """A carried value in the body. A weight there is read under the name of what the trip before made of it, since
    what is computed from it is no weight."""
    if not isinstance(value, Tensor):
        return _loosened(value) if value is not None else None
    spec = replace(value.spec, name=made) if value.weight and made else replace(value.spec)
    return Tensor(spec, ranked=value.ranked)


def _loosened(value: Value) -> Value:
    """The value without contents: it differs from trip to trip, or from branch to branch."""
    if isinstance(value, Tensor):
        return Tensor(value.spec, ranked=value.ranked)
    return replace(value, items=None)


def _merged(a: Value, b: Value) -> Value:
    """What two values have in common; the name of the first."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if not a.ranked or not b.ranked or a.rank != b.rank:
            return Tensor(replace(a.spec, shape=UNRANKED), ranked=False)
        shape = tuple(x if x == y else None for x, y in zip(a.shape, b.shape, strict=True))
        return a if shape == a.shape else Tensor(replace(a.spec, shape=shape))
    if isinstance(a, SequenceValue):
        return replace(a, items=None)
    return a


def _differs(a: Value, b: Value) -> bool:
    return isinstance(a, Tensor) and isinstance(b, Tensor) and (a.shape, a.ranked) != (b.shape, b.ranked)


def _give(call: Call, values: Sequence[Value]) -> None:
    """The results of the node."""
    for output, value in zip(call.outputs, values, strict=False):
        if output:
            call.frame.values[output] = value


# -------------------------------------------------------------------------------------------------------------- loops


def _number(walker: Walker, call: Call, body: GraphProto) -> Tensor:
    """The number of the trip, an integer that a layer of the loop makes if anything reads it."""
    info = body.input[0]
    declared = from_proto(info.type, call.where)
    shape: Shape = (1,) if declared.shape is not None and len(declared.shape) == 1 else ()
    spec = TensorSpec(shape, "int64", walker.writer.taken(f"{call.name}/{info.name or 'iteration'}"))
    region = walker.writer.open_region

    def write() -> None:
        walker.writer.layer(f"{call.name}/iteration", "arange", {}, {"y": spec}, source=call.source)

    walker.deferred[spec.name] = Deferred(spec, None, call.name, write, region)
    return Tensor(spec)


def _true(walker: Walker, call: Call) -> Tensor:
    """The condition as the body sees it: it runs only where that holds."""
    spec = TensorSpec((), "bool", walker.writer.taken(f"{call.name}/condition"))
    walker.deferred[spec.name] = Deferred(spec, source=call.name)
    return Tensor(spec, np.array(True), True, True)


def _is_true(value: Value) -> bool:
    return isinstance(value, Tensor) and value.value is not None and bool(value.value.all())


def _trips(walker: Walker, call: Call, unconditional: bool) -> int | None:
    """How often the body of a Loop runs, where that is known."""
    condition = call.tensor(1)
    if condition is not None and condition.value is not None and not condition.value.all():
        return 0
    count = call.tensor(0)
    contents = count.value if count is not None and count.weight else None
    if contents is None or contents.size != 1:
        return None
    trips = max(0, int(contents.ravel()[0]))
    if trips >= ENDLESS:
        return None
    if not unconditional:
        walker.writer.warnings.append(f"{call.name}: the loop may stop before its {trips} trips; all are counted")
    return trips


def _sliced(walker: Walker, call: Call, name: str, value: Value | None, axis: int, batched: bool) -> Value:
    """One slice of a scanned operand, made by a layer inside the loop."""
    if not isinstance(value, Tensor):
        raise ModelError(f"{call.where}: a scanned operand is missing, or no tensor")
    if value.ranked:
        gone = {normal_axis(axis, value.rank, where=call.where)} | ({0} if batched else set())
        shape: Shape = tuple(size for place, size in enumerate(value.shape) if place not in gone)
    else:
        shape = UNRANKED
    spec = TensorSpec(shape, value.dtype, walker.writer.taken(f"{call.name}/{name}"))
    start = len(walker.writer.layers)
    walker.writer.layer(
        f"{call.name}/slice", "slice", {"x": value.spec}, {"y": spec}, {"index": f"one slice along axis {axis} a trip"},
        source=call.source,
    )  # fmt: skip
    walker.adopt(start)
    return Tensor(spec, weight=value.weight, ranked=value.ranked)


def _stacked(walker: Walker, call: Call, value: Value, number: int, length: int | None, axis: int) -> Value:
    """What a loop gathers trip by trip, as one tensor with an axis more."""
    output = call.outputs[number] if number < len(call.outputs) else ""
    if not output or not isinstance(value, Tensor):
        return value
    place = normal_axis(axis, value.rank + 1, where=call.where)
    shape: Shape = (*value.shape[:place], length, *value.shape[place:]) if value.ranked else UNRANKED
    spec = TensorSpec(shape, value.dtype, walker.named(output, call.frame))
    start = len(walker.writer.layers)
    walker.writer.layer(
        f"{call.name}/stack", "stack", {"x0": value.spec}, {"y": spec}, {"axis": place},
        scope=joined(call.frame.scope, node_scope(call.proto)), source=call.source,
    )  # fmt: skip
    walker.adopt(start)
    return Tensor(spec, ranked=value.ranked)


def _without(value: Value | None, axis: int) -> Value | None:
    if isinstance(value, Tensor) and value.ranked and value.rank:
        shape = (*value.shape[:axis], *value.shape[axis + 1 :])
        return Tensor(replace(value.spec, shape=shape))
    return value


def _widened(value: Value, size: int | None, axis: int) -> Value:
    if isinstance(value, Tensor) and value.ranked:
        shape = (*value.shape[:axis], size, *value.shape[axis:])
        return Tensor(replace(value.spec, shape=shape))
    return value


OPERATORS: dict[str, Callable[[Walker, Call], Any]] = {"If": conditional, "Loop": loop, "Scan": scan}

__all__ = ["OPERATORS"]
