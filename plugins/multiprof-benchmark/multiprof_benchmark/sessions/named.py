"""Steps joined to layers where names are paths: a step goes to the layer of its name, else to one near it.

Runtimes that rewrite graphs name the result of a merge after the last node of it, and what they add (reading a
variable, a rewritten sum) after the place where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiprof import Report
from multiprof_benchmark.join import Join
from multiprof_benchmark.runners.base import Part

OTHERS = "other steps"
ITSELF = "the model itself, between its layers"
SMALL = 0.001  # the share of all time below which steps without a layer are not listed one by one


def by_path(report: Report, runs: Sequence[Mapping[str, float]]) -> list[Part]:
    """A group of layers for the steps of every run, which are named by paths with slashes."""
    join = Join(report)
    first: dict[str, str] = {}  # a path -> the first layer below it
    for name in join.layers:
        for path in _around(name):
            first.setdefault(path, name)
    owner = {}
    for step in dict.fromkeys(step for run in runs for step in run):
        found = step if step in join.layers else join.maker.get(step) or join.maker.get(f"{step}:0")
        owner[step] = found or next((first[path] for path in _around(step) if path and path in first), None)
    members = join.members({layer: True for layer in owner.values() if layer is not None})
    return grouped(runs, {step: tuple(members[layer]) if layer else () for step, layer in owner.items()}, join)


def by_scope(report: Report, runs: Sequence[Mapping[str, float]], separator: str = ".") -> list[Part]:
    """A group of layers for every scope that has a time of its own: those of the scope, and of the scopes below it that
    have none. The time of a scope that no layer stands in is that of the one around it.
    """
    join = Join(report)
    known = {path for layer in join.layers.values() for path in _around(f"{layer.scope}{separator}", separator) if path}
    runs = [_summed(run, known, separator) for run in runs]
    timed = set().union(*runs)
    members: dict[str, list[str]] = {scope: [] for scope in timed}
    for name, layer in join.layers.items():
        scope = layer.scope.partition("#")[0]
        around = [path for path in _around(scope, separator) if path]  # what runs between layers is none of them
        home = next((path for path in (scope, *around) if path in timed), None)
        if home is not None:
            members[home].append(name)
    return grouped(runs, {scope: tuple(found) for scope, found in members.items()}, join)


def _summed(run: Mapping[str, float], known: set[str], separator: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for scope, spent in run.items():
        home = next((path for path in (scope, *_around(scope, separator)) if path in known), scope)
        found[home] = found.get(home, 0.0) + spent
    return found


def by_merged_scopes(
    report: Report, runs: Sequence[Mapping[str, float]], made_of: Mapping[str, tuple[str, ...]]
) -> list[Part]:
    """The same where a step may have merged several scopes: it counts for the first of its own, which then stands for
    those that no other step begins with.
    """
    own = {step: scopes[0] for step, scopes in made_of.items() if scopes}
    heads = set(own.values())
    hosts = {scope: own[step] for step, scopes in made_of.items() for scope in scopes[1:] if scope not in heads}
    join = Join(report)
    members: dict[str, list[str]] = {scope: [] for scope in heads}
    for name, layer in join.layers.items():
        scope = layer.scope.partition("#")[0]
        around = (scope, *_around(scope, "."))
        home = next((hosts.get(path, path) for path in around if path in hosts or path in heads), "")
        if home:
            members[home].append(name)
    return grouped(runs, {step: tuple(members[own[step]]) if step in own else () for step in made_of}, join)


def grouped(runs: Sequence[Mapping[str, float]], subjects: Mapping[str, tuple[str, ...]], join: Join) -> list[Part]:
    """One part for all steps of a subject, in the order of the layers; steps without layers by their names."""
    times: dict[tuple[str, ...], list[float]] = {}
    alone: dict[str, list[float]] = {}
    for step, subject in subjects.items():
        own = times.setdefault(subject, [0.0] * len(runs)) if subject else alone.setdefault(step, [0.0] * len(runs))
        for at, run in enumerate(runs):
            own[at] += run.get(step, 0.0)
    order = {name: number for number, name in enumerate(join.layers)}
    parts = [Part(subject, tuple(times[subject])) for subject in sorted(times, key=lambda s: order[s[0]])]
    total = sum(map(sum, (*times.values(), *alone.values())))
    rest = [0.0] * len(runs)
    for step, own in alone.items():
        if sum(own) >= SMALL * total:
            parts.append(Part((), tuple(own), step or ITSELF))
        else:
            rest = [a + b for a, b in zip(rest, own, strict=True)]
    return [*parts, Part((), tuple(rest), OTHERS)] if any(rest) else parts


def _around(path: str, separator: str = "/") -> list[str]:
    """The paths that a path stands in, the nearest first, the empty one last."""
    parts = path.split(separator)
    return [separator.join(parts[:end]) for end in range(len(parts) - 1, -1, -1)]


__all__ = ["by_merged_scopes", "by_path", "by_scope"]
