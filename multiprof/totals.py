"""Sums over layers: the groups a Report is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from multiprof.ir import LOOP, PARAMETER, PREPARED, Graph, Parameter
from multiprof.layer_report import LayerReport, Total
from multiprof.ops import CONTRACTION_FAMILIES
from multiprof.structure import enclosing


def first_use(rows: Iterable[LayerReport], parameters: Mapping[str, Parameter]) -> dict[str, list[Parameter]]:
    """Layer name -> the learned weights that it is the first to use, itself or through layers that only prepare them.

    Every weight that is used stands once; one that only preparing layers read stands at the first of them.
    """
    weights: dict[str, tuple[str, ...]] = {name: (name,) for name, p in parameters.items() if p.kind == PARAMETER}
    using: dict[str, str] = {}
    preparing: dict[str, str] = {}
    for row in rows:
        found = dict.fromkeys(
            name for spec in row.layer.inputs.values() if spec.name in weights for name in weights[spec.name]
        )
        if not found:
            continue
        if row.state == PREPARED:
            for spec in row.layer.outputs.values():
                weights[spec.name] = tuple(found)
        for name in found:
            (preparing if row.state == PREPARED else using).setdefault(name, row.name)
    first: dict[str, list[Parameter]] = {}
    for name, layer in (preparing | using).items():
        first.setdefault(layer, []).append(parameters[name])
    return first


def family(graph: Graph, row: LayerReport) -> str:
    """The family of a layer's op, or ``recurrent`` for a contraction in a loop that carries state from trip to trip."""
    found = row.family
    if row.layer.region is None or found not in CONTRACTION_FAMILIES:
        return found
    loops = (region for region in enclosing(graph, row.layer.region) if region.kind == LOOP)
    return "recurrent" if any(region.stateful for region in loops) else found


def group(
    rows: Iterable[LayerReport], key: Callable[[LayerReport], str], params: Mapping[str, int]
) -> dict[str, Total]:
    """Totals by key, in the order of first appearance; ``params`` gives the elements counted at a layer, by name."""
    totals: dict[str, Total] = {}
    for row in rows:
        name = key(row)
        if name not in totals:
            totals[name] = Total()
        totals[name].add(row, params.get(row.name, 0))
    return totals


def modules(rows: Iterable[LayerReport], params: Mapping[str, int]) -> dict[str, Total]:
    """Every module path, ``""`` the whole, each with all that is under it; outer before inner."""
    totals = {"": Total()}
    for row in rows:
        own = params.get(row.name, 0)
        totals[""].add(row, own)
        end = 0
        while end < len(row.scope):
            end = row.scope.find(".", end + 1)
            end = len(row.scope) if end < 0 else end
            path = row.scope[:end]
            if path not in totals:
                totals[path] = Total()
            totals[path].add(row, own)
    return totals


def dtype(row: LayerReport) -> str:
    """The operand types of a layer's dot products (``float16×int4`` where they differ), else its output's type."""
    if row.cost is not None and row.cost.dot_dtypes is not None:
        return "×".join(dict.fromkeys(row.cost.dot_dtypes[:2]))
    return next((spec.dtype for spec in row.layer.outputs.values()), "")


__all__ = ["dtype", "family", "first_use", "group", "modules"]
