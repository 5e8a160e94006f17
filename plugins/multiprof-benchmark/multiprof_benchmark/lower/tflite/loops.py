"""Loops as WHILE: a graph that says whether there is another trip, and one that makes a trip.

What a loop carries goes from trip to trip, beginning with zeros, for no layer says with what: a number of the trip,
what the trip before has made, what is read from outside, and results that are read afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.plan import Loop
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, straight
from multiprof_benchmark.lower.tflite.writer import Writer

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

TRIP = "the number of the trip"


def layers_of(loop: Loop) -> Iterator[Layer]:
    """Every layer of a loop and of those inside it, in order."""
    for item in loop.body:
        if isinstance(item, Loop):
            yield from layers_of(item)
        else:
            yield item


def made_by(loop: Loop) -> set[str]:
    """The names of all that a loop's layers make."""
    return {spec.name for layer in layers_of(loop) for spec in layer.outputs.values()}


def write_loop(b: Builder, loop: Loop) -> None:
    """The operators of a loop; its layers are refused as others are."""
    carried = _carried(b, loop)
    outer, found, owners, trip = b.writer, b.found, b.owners, b.trip
    before = [_first(b, spec) for spec in carried]
    number = b.constant(np.array(0, np.int32))
    body = Writer(loop.region, outer)
    b.writer, b.found, b.owners = body, {}, []
    b.trip = b.temporary((), "int32", TRIP)
    entered = [b.temporary(value.shape, value.dtype, spec.name) for spec, value in zip(carried, before, strict=True)]
    b.found.update({spec.name: value for spec, value in zip(carried, entered, strict=True)})
    for item in loop.body:
        if isinstance(item, Loop):
            write_loop(b, item)
            continue
        for spec in item.outputs.values():
            if b.found.get(spec.name) in entered:  # of the trip before; this trip makes it again
                del b.found[spec.name]
        b.write(item)
    after = [b.temporary((), "int32", "the next")]
    b.emit("ADD", [b.trip, b.constant(np.array(1, np.int32))], after[0], "AddOptions")
    for spec, value in zip(carried, entered, strict=True):
        made = b.plain(b.found[spec.name])
        # a graph's result is no operand of the same graph
        after.append(b.reshaped_anew(made) if made in (value, *after) or b.is_constant(made) else made)
    body.ends([b.trip.number, *(value.number for value in entered)], [value.number for value in after])
    first = b.trip
    b.writer, b.found, b.owners, b.trip = outer, found, owners, trip
    _write_while(b, loop, body, [number, *before], [first, *entered], carried)


def _write_while(
    b: Builder, loop: Loop, body: Writer, before: list[Value], entered: list[Value], carried: list[TensorSpec]
) -> None:
    condition = Writer(f"{loop.region}/condition", b.writer)
    read = [condition.tensor(value.shape, value.dtype, "carried") for value in entered]
    again = condition.tensor((), "bool", "again")
    trips = condition.constant(np.array(loop.trips, np.int32), "trips")
    condition.operator("LESS", [read[0], trips], [again], "LessOptions")
    condition.ends(read, [again])
    made = [b.temporary(value.shape, value.dtype, f"{loop.region}/{at}") for at, value in enumerate(before)]
    numbers = {"condSubgraphIndex": b.writer.part(condition), "bodySubgraphIndex": b.writer.part(body)}
    b.writer.operator(
        "WHILE", [value.number for value in before], [value.number for value in made], "WhileOptions", **numbers
    )
    for spec, value in zip(carried, made[1:], strict=True):
        b.found[spec.name] = value


def _carried(b: Builder, loop: Loop) -> list[TensorSpec]:
    """What goes in and out: read before a trip makes it, read from outside, or read afterwards."""
    layers = list(layers_of(loop))
    inside = {layer.name for layer in layers}
    made = made_by(loop)
    later = {spec.name for spec in b.graph.outputs}
    for layer in b.plan.layers():
        if layer.name not in inside:
            later.update(spec.name for spec in layer.inputs.values())
    found: dict[str, TensorSpec] = {}
    known: set[str] = set()
    for layer in layers:
        if not b.is_asked_for(layer):
            continue
        for spec in layer.inputs.values():
            if spec.name not in known and not b.is_weight(spec):
                found.setdefault(spec.name, spec)
        known.update(spec.name for spec in layer.outputs.values())
        for spec in layer.outputs.values():
            if spec.name in later:
                found.setdefault(spec.name, spec)
    return [spec for spec in found.values() if spec.name in made or spec.name in b.found]


def _first(b: Builder, spec: TensorSpec) -> Value:
    """What a loop begins with: the tensor from outside, or zeros."""
    if spec.name in b.found:
        return b.plain(b.found[spec.name])
    return b.constant(np.zeros(shape_of(spec), b.dtype(spec)), f"{spec.name}/first")


def of_step(b: Builder, layer: Layer) -> None:
    """The element of a sequence whose number is that of the trip."""
    if b.trip is None:
        raise NotLoweredError("a step of a sequence outside of a loop")
    x, shape = b.plain(b.value(layer.x)), shape_of(layer.y)
    y = b.temporary(x.shape[1:], x.dtype, b.name(layer))
    b.emit("GATHER", [x, b.trip], y, "GatherOptions", axis=0)
    b.result(layer, b.reshaped(y, shape, None, b.name(layer)))


@rule("index_put")
def into_step(b: Builder, layer: Layer) -> None:
    """A sequence with the element of this trip replaced."""
    if b.trip is None or layer.attrs.get("index") != "step":
        raise NotLoweredError("a write into places that are not those of a loop's step")
    x, part = b.plain(b.value(layer.x)), b.plain(b.value(layer.inputs["src"]))
    part = b.reshaped(part, (1, *x.shape[1:]))
    first = b.reshaped(b.trip, (1,))
    start = first
    if x.rank > 1:
        start = b.temporary((x.rank,), "int32", "start")
        rest = b.integers((0,) * (x.rank - 1))
        b.emit("CONCATENATION", [first, rest], start, "ConcatenationOptions", axis=0)
    y = b.temporary(x.shape, x.dtype, b.name(layer), straight(x.rank))
    b.result(layer, b.emit("DYNAMIC_UPDATE_SLICE", [x, part, start], y))


__all__ = ["layers_of", "made_by", "of_step", "write_loop"]
