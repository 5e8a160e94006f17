"""How often layers run: the trips of loops, and which branch of a choice is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from multiprof.errors import UsageError
from multiprof.ir import BRANCH, LOOP, Graph, Region
from multiprof.layer_report import UNSUPPORTED, LayerReport
from multiprof.structure import enclosing


def give_trips(graph: Graph, trips: Mapping[str, int]) -> Graph:
    """The graph with the trips of some loops set; `UsageError` for a loop there is not or a number that is none."""
    loops = [id for id, region in graph.regions.items() if region.kind == LOOP]
    regions = dict(graph.regions)
    for id, number in trips.items():
        if id not in loops:
            have = f"its loops are {', '.join(loops)}" if loops else "it has no loops"
            raise UsageError(f"trips: {graph.name} has no loop {id!r}; {have}")
        if type(number) is not int or number < 0:
            raise UsageError(f"trips: {number!r} for the loop {id!r} is no whole number from 0 on")
        regions[id] = replace(regions[id], trips=number)
    return replace(graph, regions=regions)


def multiplicities(graph: Graph) -> dict[str, tuple[int | None, str]]:
    """Region -> how often its layers run, loops around it included, and the reason where that is unknown."""
    found: dict[str, tuple[int | None, str]] = {}
    for id in graph.regions:
        times: int | None = 1
        reason = ""
        for region in enclosing(graph, id):
            if region.kind != LOOP:
                continue
            if region.trips is None:
                reason = reason or (
                    f'the loop "{region.id}" runs an unknown number of times: give trips={{"{region.id}": n}} '
                    f"or --trips {region.id}=n"
                )
            elif times is not None:
                times *= region.trips
        found[id] = (None, reason) if reason and times != 0 else (times, "")
    return found


def choose_branches(graph: Graph, rows: Sequence[LayerReport]) -> list[str]:
    """Keep the dearest (in flops) of branches that exclude one another, set the others to no runs; a note per choice.

    Branches exclude one another when they have the same parent and the same group, which is not empty.
    """
    if not any(region.kind == BRANCH and region.group for region in graph.regions.values()):
        return []
    chains = {id: enclosing(graph, id) for id in graph.regions}
    flops = dict.fromkeys(graph.regions, 0)
    unknown: set[str] = set()  # regions that hold, at any depth, a layer without a cost
    for row in rows:
        if row.layer.region is None:
            continue
        if row.state == UNSUPPORTED:
            unknown.update(region.id for region in chains[row.layer.region])
        elif row.counted:
            flops[row.layer.region] += row.flops or 0
    inside: dict[str | None, list[Region]] = {}
    for region in graph.regions.values():
        inside.setdefault(region.parent, []).append(region)
    dearer: dict[str, str] = {}  # branch not counted -> the one that is
    notes = []
    # innermost first: what a branch costs depends on the choices inside it
    for parent in (*sorted(graph.regions, key=lambda id: -len(chains[id])), None):
        groups: dict[str, list[Region]] = {}
        for region in inside.get(parent, ()):
            groups.setdefault(region.group if region.kind == BRANCH else "", []).append(region)
        counted = groups.pop("", [])
        for group, members in groups.items():
            dearest = max(members, key=lambda region: flops[region.id])
            counted.append(dearest)
            others = [region.id for region in members if region is not dearest]
            if others:
                dearer.update(dict.fromkeys(others, dearest.id))
                notes.append(_note(group, dearest.id, others, flops, unknown))
        if parent is not None:
            flops[parent] += sum(flops[region.id] for region in counted)
    for row in rows:
        if row.layer.region is not None:
            for region in chains[row.layer.region]:
                if region.id in dearer:
                    reason = f'not counted: the branch "{dearer[region.id]}" is taken instead of "{region.id}"'
                    row.reason = f"{row.reason}; {reason}" if row.reason else reason
                    row.trips = 0
                    row.scale(0)
                    break
    return notes


def _note(group: str, dearest: str, others: Sequence[str], flops: Mapping[str, int], unknown: Set[str]) -> str:
    rest = ", ".join(f'"{id}" ({flops[id]} FLOPs)' for id in others)
    note = f'of the branches of {group} only the dearest is counted, "{dearest}" ({flops[dearest]} FLOPs), not {rest}'
    missing = [f'"{id}"' for id in (dearest, *others) if id in unknown]
    if missing:
        note += f"; there are layers without a cost in {', '.join(missing)}, so another may be dearer"
    return note


__all__ = ["choose_branches", "give_trips", "multiplicities"]
