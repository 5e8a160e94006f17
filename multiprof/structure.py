"""What must hold in every Graph whoever built it: unique names, no tensor from nowhere, regions that nest."""

from __future__ import annotations

from multiprof.errors import ModelError
from multiprof.ir import LOOP, VIEW, WRITE, Graph, Layer, Region


def check(graph: Graph) -> None:
    """Raise `ModelError`, naming layer and tensor, where a graph breaks the rules.

    Layer names are unique and every tensor is made once. What a layer reads is a graph input, a declared parameter,
    or made by an earlier layer; inside a loop a later layer of that loop will do, for a value carried over from the
    trip before. Graph outputs come from somewhere too. Aliases name roles of their layer.
    """
    regions = graph.regions
    for id, region in regions.items():
        if region.id != id:
            raise ModelError(f"{graph.name}: the region {region.id!r} stands under the key {id!r}")
        enclosing(graph, id)
    for name, parameter in graph.parameters.items():
        if parameter.spec.name != name:
            raise ModelError(f"{graph.name}: the parameter {parameter.spec.name!r} stands under the key {name!r}")
    known = set(graph.parameters)
    known.update(spec.name for spec in graph.inputs)
    names = set()
    carried = []
    for layer in graph.layers:
        if layer.name in names:
            raise ModelError(f"{graph.name}: two layers have the name {layer.name!r}")
        names.add(layer.name)
        for role, spec in layer.inputs.items():
            if spec.name not in known:
                carried.append((layer, role))
        for spec in layer.outputs.values():
            if spec.name in known:
                raise ModelError(f"{graph.name}: layer {layer.name} makes tensor {spec.name!r}, which there is already")
            known.add(spec.name)
        if layer.aliases:
            _check_aliases(graph, layer)
        if layer.region is not None and layer.region not in regions:
            raise ModelError(f"{graph.name}: layer {layer.name} is in region {layer.region!r}, which is not declared")
    for spec in graph.outputs:
        if spec.name not in known:
            raise ModelError(f"{graph.name}: the output {spec.name!r} comes from nowhere: no layer makes it")
    if carried:
        _check_carried(graph, carried)


def enclosing(graph: Graph, id: str | None) -> list[Region]:
    """The region and those around it, innermost first."""
    found: list[Region] = []
    seen: set[str] = set()
    while id is not None:
        region = graph.regions.get(id)
        if region is None:
            raise ModelError(f"{graph.name}: region {id!r} is not declared")
        if id in seen:
            raise ModelError(f"{graph.name}: region {id!r} contains itself")
        seen.add(id)
        found.append(region)
        id = region.parent
    return found


def _check_aliases(graph: Graph, layer: Layer) -> None:
    for made, read, kind in layer.aliases:
        if made not in layer.outputs or read not in layer.inputs or kind not in (VIEW, WRITE):
            raise ModelError(
                f"{graph.name}: layer {layer.name} has the alias {(made, read, kind)}; "
                f"it takes an output role, an input role, and {VIEW} or {WRITE}"
            )


def _check_carried(graph: Graph, reads: list[tuple[Layer, str]]) -> None:
    """Reads of tensors that no earlier layer makes: allowed only from a later layer of a loop around the reader."""
    loops: dict[str | None, set[str]] = {None: set()}
    for id in graph.regions:
        loops[id] = {region.id for region in enclosing(graph, id) if region.kind == LOOP}
    makers = {spec.name: layer for layer in graph.layers for spec in layer.outputs.values()}
    for layer, role in reads:
        tensor = layer.inputs[role].name
        maker = makers.get(tensor)
        if maker is not None and loops[maker.region] & loops[layer.region]:
            continue
        why = f"layer {maker.name} makes it later" if maker else "it is no input, no parameter, and no layer makes it"
        raise ModelError(
            f"{graph.name}: layer {layer.name} reads {tensor!r} as {role}, which comes from nowhere: {why}"
        )


__all__ = ["check", "enclosing"]
