"""The times of a .tflite file's operators, joined to the layers of a report: from the profiler, or from slices."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from multiprof import Report
from multiprof_benchmark.join import Join
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.sessions.litert_c import ProfilerError
from multiprof_benchmark.sessions.litert_file import Operator, operators
from multiprof_benchmark.sessions.litert_profiler import Profile, profiled
from multiprof_benchmark.sessions.litert_slices import Sliced, timed
from multiprof_benchmark.subject import Options

PROFILED = "layers are timed by LiteRT's own profiler, in runs of their own: operators take {:.0%} of such a run"
ALONE = "what runs another graph (a loop, a branch) is timed alone, cut out of the file"
SLICED = "each operation's time is that of the operation alone, cut out of the file: the profiler cannot be used ({})"


def parts(
    report: Report, path: str, values: Mapping[int, Any], shapes: dict[int, tuple[int, ...]], options: Options
) -> tuple[list[Part], tuple[str, ...]]:
    """Each layer's times, and sentences on how they were taken.

    ``values`` are the arrays of the file's inputs, ``shapes`` those of all its tensors, by their numbers.
    """
    found = operators(path)
    calling = {item.number for item in found if item.calls}
    try:
        profile = profiled(path, values, options.threads, options.rules)
        if calling:  # the profiler notes every operator of every trip, which takes longer than the trips
            alone = timed(path, shapes, options.threads, options.rules, only=calling)
            profile = profile.put({part.number: times for part, times in alone.timed})
            profile = profile.without({part.number for part, _ in alone.untimed})
        else:
            alone = Sliced([], [])
        profile.check(*((0.0,) if alone.untimed else ()))
    except ProfilerError as why:
        sliced = timed(path, shapes, options.threads, options.rules)
        return of_slices(report, found, sliced), (SLICED.format(why), *sliced.notes)
    notes = (PROFILED.format(profile.share), *((ALONE,) if alone.timed else ()), *alone.notes, profile.note(found))
    untimed = {part.number for part, _ in alone.untimed}
    return of_profile(report, found, profile, untimed), tuple(note for note in notes if note)


def of_profile(report: Report, found: Sequence[Operator], profile: Profile, untimed: Container[int] = ()) -> list[Part]:
    """Groups of layers from the times of operators; what was merged into an operator is in its group, and the layers of
    an ``untimed`` one are in none.
    """
    join = Join(report, outputs=True)
    steps, merged = names(join, report, found)
    merged = _left_out(merged, {steps[item.number] for item in found if item.number in untimed})
    for number, host in profile.merged.items():
        if steps[number] and steps[host]:
            merged[steps[number]] = steps[host]
    runs = [[(steps[number], time) for number, time in zip(profile.steps, run, strict=True)] for run in profile.runs]
    return join.parts(runs, merged)


def of_slices(report: Report, found: Sequence[Operator], sliced: Sliced) -> list[Part]:
    """Groups of layers from operators timed alone; the layers of those that were not are in none."""
    join = Join(report, outputs=True)
    steps, merged = names(join, report, found)
    absent = {steps[part.number] for part, _ in sliced.untimed}
    merged = _left_out(merged, absent)
    count = min((len(times) for _, times in sliced.timed), default=0)
    runs = [[(steps[part.number], times[at]) for part, times in sliced.timed] for at in range(count)]
    return join.parts(runs, merged)


def _left_out(merged: Mapping[str, str], absent: set[str]) -> dict[str, str]:
    """What ran in a step that was not timed was not timed either, nor was the step."""
    return {name: "" if host in absent else host for name, host in merged.items()} | dict.fromkeys(absent - {""}, "")


def names(join: Join, report: Report, found: Sequence[Operator]) -> tuple[list[str], dict[str, str]]:
    """The name by which each operator is joined (its first result's), and what else ran in the operator of a name.

    An operator that runs another graph is all the layers of that: the file's and the report's calls stand in the same
    order. Where there are not as many of the one as of the other, such an operator is beside all layers.
    """
    steps = [item.names[0] if item.names else "" for item in found]
    inside = list(_called(join, report).values())
    calling = [item.number for item in found if item.calls]
    merged: dict[str, str] = {}
    for number, layers in zip(calling, inside, strict=False):
        steps[number] = layers[0] if len(calling) == len(inside) else ""
        merged.update(dict.fromkeys(layers[1:] if steps[number] else layers, steps[number]))
    for number in calling[len(inside) :]:
        steps[number] = ""
    return steps, merged


def _called(join: Join, report: Report) -> dict[str, list[str]]:
    """By the outermost region, the first results of its layers; the branches of one choice are one."""
    regions = report.graph.regions
    found: dict[str, list[str]] = {}
    for layer in join.layers.values():
        if layer.region is None or not layer.outputs:
            continue
        region = regions[layer.region]
        while region.parent is not None:
            region = regions[region.parent]
        found.setdefault(region.group or region.id, []).append(next(iter(layer.outputs.values())).name)
    return found


__all__ = ["names", "of_profile", "of_slices", "parts"]
