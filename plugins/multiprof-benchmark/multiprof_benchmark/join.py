"""Times of a runtime's own steps, joined to the layers of the Graph by name and order.

A step that stands for several layers is one group: its time is never split. A step that fits no layer goes to the
group before it, as runtimes put what they add (layout changes, fused activations) behind what it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from multiprof import Report
from multiprof_benchmark.runners.base import Part

FREE = ("free",)


class Join:
    """The layers of a report by every name that a runtime may give them: their own, and those of their outputs."""

    def __init__(self, report: Report) -> None:
        self.names: dict[str, str] = {}
        self.order = [row.name for row in report.layers if row.trips != 0 and row.state != "prepared"]
        self.number = {name: at for at, name in enumerate(self.order)}
        for row in report.layers:
            self.names.setdefault(row.name, row.name)
            for spec in row.layer.outputs.values():
                self.names.setdefault(spec.name, row.name)

    def layer(self, step: str) -> str | None:
        """The layer a step is named after; runtimes append their own words to a name."""
        if step in self.names:
            return self.names[step]
        cut = step
        while "_" in cut:
            cut = cut.rpartition("_")[0]
            if cut in self.names:
                return self.names[cut]
        return None

    def parts(self, runs: Sequence[Sequence[tuple[str, float]]]) -> list[Part]:
        """A group for every step found, with its seconds in each run.

        A layer without a step of its own was merged into the step before it in the Graph's order, if that step's layer
        makes its input; it joins that group.
        """
        if not runs:
            return []
        shape = [step for step, _ in runs[-1]]
        alike = [run for run in runs if [step for step, _ in run] == shape]
        owners: list[str | None] = []
        last: str | None = None
        for step in shape:
            last = self.layer(step) or last
            owners.append(last)
        groups: dict[str | None, list[float]] = {}
        for position, owner in enumerate(owners):
            times = groups.setdefault(owner, [0.0] * len(alike))
            for at, run in enumerate(alike):
                times[at] += run[position][1]
        members = self._members([owner for owner in groups if owner is not None])
        return [
            Part(tuple(members[owner]) if owner is not None else (), tuple(times)) for owner, times in groups.items()
        ]

    def _members(self, found: Sequence[str]) -> dict[str, list[str]]:
        """Every layer by the found one that it ran with: itself, or the nearest found one before it."""
        known = set(found)
        members: dict[str, list[str]] = {name: [] for name in found}
        host = found[0] if found else None
        for name in self.order:
            if name in known:
                host = name
            if host is not None:
                members[host].append(name)
        return members


__all__ = ["Join"]
