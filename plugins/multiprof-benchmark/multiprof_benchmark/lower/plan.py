"""What of a Graph runs, in which order, how often; what is prepared ahead, and what merges into another layer.

Decided by the report alone: it says which layers are prepared or folded, and which branch is the dearer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from multiprof import Graph, Layer, Report, TensorSpec


@dataclass(slots=True)
class Loop:
    """Layers that run ``trips`` times, one trip after another. ``guessed``: the trips are not known, one is run."""

    region: str
    trips: int
    body: list[Layer | Loop] = field(default_factory=list)
    guessed: bool = False


@dataclass(slots=True)
class Plan:
    """A Graph in the order it runs.

    ``prepared`` compute from weights alone, once. ``body`` is the program. ``merged`` maps a batch norm to the layer
    it merges into, ``aliased`` a folded (de)quantisation to that one. ``states`` are tensors read before anything makes
    them: what a loop carries from trip to trip, and what a branch that is not taken would make. ``notes`` are
    sentences for the reader.
    """

    graph: Graph
    prepared: list[Layer]
    body: list[Layer | Loop]
    merged: dict[str, str]
    aliased: dict[str, str]
    states: dict[str, TensorSpec]
    notes: list[str]

    def layers(self) -> Iterator[Layer]:
        """Every layer that runs, once each, in order."""
        yield from _walk(self.body)

    @property
    def loops(self) -> bool:
        """Whether there are any."""
        return any(isinstance(item, Loop) for item in self.body)

    @property
    def weights(self) -> set[str]:
        """Tensors that do not change from run to run: what is declared, written into the program, or prepared."""
        found = set(self.graph.parameters)
        for layer in self.prepared:
            found.update(spec.name for spec in layer.outputs.values())
        return found


def plan_of(report: Report, *, fold: bool = True) -> Plan:
    """The plan of a report's graph; without ``fold`` every batch norm runs as a layer of its own."""
    graph = report.graph
    prepared: list[Layer] = []
    body: list[Layer | Loop] = []
    loops: dict[str, Loop] = {}
    merged: dict[str, str] = {}
    aliased: dict[str, str] = {}
    notes = []
    weights = set(graph.parameters)
    skipped: dict[str, int] = {}
    for row in report.layers:
        layer = row.layer
        mark = graph.marks.get(layer.name)
        if layer.op == "constant" or (mark is not None and mark.state == "prepared"):
            prepared.append(layer)
            weights.update(spec.name for spec in layer.outputs.values())
            continue
        if row.trips == 0:
            skipped[layer.region or ""] = skipped.get(layer.region or "", 0) + 1
            continue
        if mark is not None and mark.state == "folded":
            if layer.op == "batch_norm":
                if fold:
                    merged[layer.name] = mark.host
            else:
                aliased[layer.name] = mark.host
        _place(graph, layer, body, loops)
    notes += [f"branch {region!r} is not run: another one is dearer ({n} layers)" for region, n in skipped.items()]
    notes += [f"loop {loop.region!r}: its trips are not known, one is run" for loop in loops.values() if loop.guessed]
    plan = Plan(graph, prepared, body, merged, aliased, {}, notes)
    plan.states = _states(plan, weights)
    return plan


def _place(graph: Graph, layer: Layer, body: list[Layer | Loop], loops: dict[str, Loop]) -> None:
    """Append a layer to the innermost loop around it, opening loops as needed; calls and branches are transparent."""
    around = []
    id = layer.region
    while id is not None:
        region = graph.regions[id]
        if region.kind == "loop":
            around.append(region)
        id = region.parent
    target = body
    for region in reversed(around):
        loop = loops.get(region.id)
        if loop is None:
            loop = loops[region.id] = Loop(region.id, 1 if region.trips is None else region.trips)
            loop.guessed = region.trips is None
            target.append(loop)
        target = loop.body
    target.append(layer)


def _states(plan: Plan, weights: set[str]) -> dict[str, TensorSpec]:
    known = weights | {spec.name for spec in plan.graph.inputs}
    found: dict[str, TensorSpec] = {}
    for layer in plan.layers():
        for spec in layer.inputs.values():
            if spec.name not in known:
                found[spec.name] = spec
                known.add(spec.name)
        known.update(spec.name for spec in layer.outputs.values())
    for spec in plan.graph.outputs:
        if spec.name not in known:
            found[spec.name] = spec
    return found


def _walk(items: list[Layer | Loop]) -> Iterator[Layer]:
    for item in items:
        if isinstance(item, Loop):
            yield from _walk(item.body)
        else:
            yield item


__all__ = ["Loop", "Plan", "plan_of"]
