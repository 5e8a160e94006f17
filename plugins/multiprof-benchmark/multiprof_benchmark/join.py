"""Times of a runtime's own steps, joined to the layers of the Graph by name and order.

A step that stands for several layers is one group: its time is never split. A runtime that merges layers names the
result after the first of them, or after the tensor that comes out of the last; which of the two a name is decides on
which side the merged layers are looked for. A step whose name fits nothing (a change of layout) goes to the step before
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiprof import Report
from multiprof_benchmark.runners.base import Part

NOTHING: Mapping[str, str] = {}


class Join:
    """The layers of a report by every name that a runtime may give them: their own, and those of their outputs.

    With ``outputs`` all names are those of outputs, which may be the same as a layer's.
    """

    def __init__(self, report: Report, outputs: bool = False) -> None:
        self.outputs = outputs
        self.layers = {row.name: row.layer for row in report.layers if row.trips != 0 and row.state != "prepared"}
        self.maker = {spec.name: name for name, layer in self.layers.items() for spec in layer.outputs.values()}

    def find(self, step: str) -> tuple[str, bool] | None:
        """The layer that a step is named after, and whether by its output; runtimes append words of their own."""
        while step:
            if step in self.layers and not self.outputs:
                return step, False
            if step in self.maker:
                return self.maker[step], True
            step = step.rpartition("_")[0]
        return None

    def parts(self, runs: Sequence[Sequence[tuple[str, float]]], merged: Mapping[str, str] = NOTHING) -> list[Part]:
        """A group for every layer that a step is named after, with its seconds in each run.

        Runs whose steps are not those of the last one are left out. A step without a name is beside all layers.
        ``merged`` maps the names of steps that ran in another one to the name of that, or to an empty name where they
        were not timed: their layers are in no group then.
        """
        if not runs:
            return []
        shape = [step for step, _ in runs[-1]]
        alike = [run for run in runs if [step for step, _ in run] == shape]
        owner: str | None = None
        times: dict[str | None, list[float]] = {}
        by_output: dict[str, bool] = {}
        for position, step in enumerate(shape):
            found = self.find(step)
            if found is not None:
                owner = found[0]
                by_output[owner] = by_output.get(owner, True) and found[1]
            spent = times.setdefault(owner if step else None, [0.0] * len(alike))
            for at, run in enumerate(alike):
                spent[at] += run[position][1]
        members = self.members(by_output, merged)
        return [Part(tuple(members[name]) if name else (), tuple(spent)) for name, spent in times.items()]

    def members(self, found: Mapping[str, bool], merged: Mapping[str, str] = NOTHING) -> dict[str, list[str]]:
        """The layers that ran with each found one: those before it, if it goes by its output, then those behind."""
        claimed: dict[str, str | None] = {name: name for name in found}
        reached = [name for name, by_output in found.items() if by_output]
        for step, other in merged.items():
            layer, host = self.find(step), self.find(other)
            if layer is not None and layer[0] not in claimed and (host is not None or not other):
                claimed[layer[0]] = host[0] if host is not None else None
                if layer[1]:
                    reached.append(layer[0])
        for name in reached:
            self._claim_before(name, claimed)
        order = {name: number for number, name in enumerate(self.layers)}
        newest_host = next(iter(found), None)
        members: dict[str, list[str]] = {name: [] for name in found}
        for name, made in self.layers.items():
            if name not in claimed:
                makers = [self.maker[spec.name] for spec in made.inputs.values() if spec.name in self.maker]
                newest = max((maker for maker in makers if maker in claimed), key=order.__getitem__, default=None)
                claimed[name] = newest_host if newest is None else claimed[newest]
            owner = claimed[name]
            if owner is not None:
                newest_host = owner
                members[owner].append(name)
        return members

    def _claim_before(self, name: str, claimed: dict[str, str | None]) -> None:
        """Give the owner of a layer everything that leads to it and has none."""
        waiting = [name]
        while waiting:
            for spec in self.layers[waiting.pop()].inputs.values():
                maker = self.maker.get(spec.name)
                if maker is not None and maker not in claimed:
                    claimed[maker] = claimed[name]
                    waiting.append(maker)


__all__ = ["Join"]
