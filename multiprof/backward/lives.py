"""The peak of a training step: the lives of weights, gradients, optimizer states and activations, laid over time.

Time is the layers forward, the layers backward with checkpointed segments run again before theirs, and the update.
Weights and states are there all the time. What the caller holds, inputs and outputs, lives to the end; an activation to
its last use, or to the backward pass of the last layer that keeps it. The gradient of an activation lives from the
first layer that gives it to the backward pass of the layer that made the activation; that of a weight to the end.
Gradients are added in place, and what only passes a gradient on makes none. No workspace is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiprof.backward.gradients import Gradients
from multiprof.backward.kept import Kept
from multiprof.backward.rule import Rule
from multiprof.errors import UnknownDimensionError
from multiprof.ir import ALIAS_ROLE
from multiprof.memory import Storage
from multiprof.report import Report
from multiprof.training import BACKWARD, FORWARD, UPDATE, StepPeak


@dataclass(slots=True)
class _Life:
    """So many bytes from one event to another, both included."""

    size: int
    birth: int
    death: int


class _Time:
    """Events of a step in order: where a layer runs forward, again, and backward."""

    def __init__(self, count: int, idle: frozenset[int], found: Gradients, segments: Mapping[int, int]) -> None:
        self.events: list[tuple[str, int]] = [(FORWARD, n) for n in range(count) if n not in idle]
        self.forward = {n: at for at, (_, n) in enumerate(self.events)}
        self.again: dict[int, int] = {}
        self.backward: dict[int, int] = {}
        self.turn = len(self.events)  # the first event of the backward pass
        done: set[int] = set()
        for number in sorted(found.needs, reverse=True):
            segment = segments.get(number)
            if segment is not None and segment not in done:
                done.add(segment)
                for member in sorted(n for n, inside in segments.items() if inside == segment):
                    self.again[member] = len(self.events)
                    self.events.append((BACKWARD, member))
            self.backward[number] = len(self.events)
            self.events.append((BACKWARD, number))
        self.end = len(self.events)
        self.events.append((UPDATE, -1))


def step_peak(
    report: Report,
    rules: Mapping[str, Rule],
    found: Gradients,
    kept: Kept,
    segments: Mapping[int, int],
    states: int,
    beside: int,
) -> StepPeak | None:
    """The most bytes alive at once; ``None`` where a size is unknown. ``beside`` is what the update needs."""
    graph = report.graph
    idle = frozenset(n for n, row in enumerate(report.layers) if row.trips == 0)
    time = _Time(len(graph.layers), idle, found, segments)
    try:
        activations = [life for storage in kept.storages for life in _lives(storage, time, kept, segments)]
        activations += _extra_lives(time, kept, segments)
        gradients, flowing = _gradient_lives(report, rules, found, time)
    except (UnknownDimensionError, _UnknownSizeError):
        return None
    flowing.append(_Life(beside, time.end, time.end))
    sums = [_sum(lives, len(time.events)) for lives in (activations, gradients, flowing)]
    at = max(range(len(time.events)), key=lambda event: sum(part[event] for part in sums))
    phase, number = time.events[at]
    weights = sum(p.spec.nbytes for p in graph.parameters.values())
    made, own, passing = (part[at] for part in sums)
    return StepPeak(
        weights + states + made + own + passing,
        phase,
        graph.layers[number].name if number >= 0 else "",
        weights,
        own,
        states,
        made,
        passing,
    )


class _UnknownSizeError(Exception):
    """A tensor has no known size."""


def _sum(lives: list[_Life], count: int) -> list[int]:
    change = [0] * (count + 1)
    for life in lives:
        change[life.birth] += life.size
        change[life.death + 1] -= life.size
    total = 0
    sums = []
    for step in change[:count]:
        total += step
        sums.append(total)
    return sums


def _lives(storage: Storage, time: _Time, kept: Kept, segments: Mapping[int, int]) -> list[_Life]:
    """The life of an activation, and its second one where a checkpointed segment makes it again."""
    count = len(kept.trips)
    given = storage.first < 0 or not storage.made
    held = given or storage.last >= count
    birth = 0 if given else time.forward.get(storage.first, 0)
    death = time.end if held else max(time.forward.get(storage.last, birth), birth)
    size = storage.tensor.nbytes
    readers = kept.readers.get(id(storage), ())
    own = segments.get(storage.first)
    inside = [n for n in readers if own is not None and segments.get(n) == own]
    outside = [n for n in readers if n not in inside]
    for number in outside:
        known = kept.size(storage, number)
        if known is None:
            raise _UnknownSizeError
        size = known
        death = max(death, time.backward.get(number, time.again.get(number, 0)), time.again.get(number, 0))
    lives = [_Life(size, birth, death)]
    if own is not None and storage.first in time.again:
        last = max((n for n in time.again if segments[n] == own and n <= storage.last), default=storage.first)
        ends = [time.again[max(last, storage.first)], *(time.backward[n] for n in inside if n in time.backward)]
        lives.append(_Life(storage.tensor.nbytes, time.again[storage.first], max(ends)))
    return lives


def _extra_lives(time: _Time, kept: Kept, segments: Mapping[int, int]) -> list[_Life]:
    """What the forward pass makes for the backward alone: masks, positions, statistics."""
    lives = []
    for number, extras in kept.extras.items():
        for _, size in extras:
            if size is None:
                raise _UnknownSizeError
            birth = time.again[number] if number in time.again else time.forward[number]
            lives.append(_Life(size, birth, time.backward[number]))
    return lives


def _gradient_lives(
    report: Report, rules: Mapping[str, Rule], found: Gradients, time: _Time
) -> tuple[list[_Life], list[_Life]]:
    """Gradients of weights and inputs, which stay, and those of activations, which flow."""
    graph = report.graph
    staying: dict[str, _Life] = {}
    flowing: dict[str, _Life] = {}
    lives: list[_Life] = []
    for spec in graph.outputs:
        if spec.name in found.requires and spec.name not in flowing and time.backward:
            flowing[spec.name] = life = _Life(spec.nbytes, time.turn, time.turn)
            lives.append(life)
    own = found.trained | {spec.name: spec for spec in graph.inputs}
    for number in sorted(found.needs, reverse=True):
        layer, at = graph.layers[number], time.backward[number]
        rule = rules.get(layer.op)
        arriving = [flowing[spec.name] for spec in layer.outputs.values() if spec.name in flowing]
        for life in arriving:
            life.death = max(life.death, at)
        main = next((flowing[s.name] for role, s in layer.outputs.items() if s.name in flowing), None)
        for role in found.needs[number]:
            spec = layer.inputs[role]
            past = number in found.passed or role.startswith(ALIAS_ROLE)
            passed = main is not None and (past or rule is None or rule.passes_on(role))
            if spec.name in own:
                if spec.name not in staying:
                    staying[spec.name] = _Life(own[spec.name].nbytes, at, time.end)
            elif spec.name in flowing:
                if not passed:
                    lives.append(_Life(spec.nbytes, at, at))  # added to the one that is there
            elif passed and main is not None:
                flowing[spec.name] = main
            else:
                flowing[spec.name] = life = _Life(spec.nbytes, at, at)
                lives.append(life)
    return list(staying.values()), lives
