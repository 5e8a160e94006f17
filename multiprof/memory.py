"""Memory of activations: what layers allocate, and the largest amount alive at once.

Figures describe the graph as it stands, batch norms that fold included. Parameters, buffers, constants and what is
prepared from them stand apart; no workspace is counted; the body of a loop is counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from multiprof.errors import UnknownDimensionError
from multiprof.ir import LOOP, PREPARED, Graph, Layer, Shape, TensorSpec
from multiprof.structure import enclosing

BEFORE = -1  # born before the first layer: a graph input


@dataclass(slots=True)
class Storage:
    """Memory under one or more tensors: allocated with ``tensor`` by layer number ``first``, last used by ``last``.

    ``made`` says that a layer allocates it: not so a graph input, nor the value that a loop's first layers still read
    from the trip before.
    """

    tensor: TensorSpec
    first: int
    last: int
    made: bool = True


@dataclass(slots=True)
class Peak:
    """The most bytes alive at once, the first layer at which they are, and the tensors: (name, bytes, shape)."""

    bytes: int
    layer: str
    tensors: tuple[tuple[str, int, Shape], ...]


def storages(graph: Graph, skip: Set[str] = frozenset()) -> list[Storage]:
    """Every activation storage of the graph with its life: the first part of `rooted`."""
    return rooted(graph, skip)[0]


def rooted(graph: Graph, skip: Set[str] = frozenset()) -> tuple[list[Storage], dict[str, Storage | None]]:
    """Every activation storage of the graph with its life, in the order of allocation.

    A storage lives from the layer that makes it to the last use of any tensor that shares it (views, in-place
    writes); graph inputs live from the start, graph outputs to the end (layer number ``len(graph.layers)``). What a
    loop reads from outside lives as long as the loop. ``skip`` names the layers that do not run: those of the branch
    not taken. With them comes the storage under each tensor by name, ``None`` for what is held apart.
    """
    roots: dict[str, Storage | None] = dict.fromkeys(graph.parameters)  # tensor name -> storage; None: held apart
    found: list[Storage] = []
    for spec in graph.inputs:
        if spec.name not in roots:
            roots[spec.name] = storage = Storage(spec, BEFORE, BEFORE, made=False)
            found.append(storage)
    marks = graph.marks
    carried: list[tuple[str, int]] = []  # read before it is made: a loop's value from the trip before
    loops = _Loops(graph)
    for number, layer in enumerate(graph.layers):
        if layer.name in skip:
            continue
        for spec in layer.inputs.values():
            if spec.name not in roots:
                carried.append((spec.name, number))
                continue
            used = roots[spec.name]
            if used is not None:
                used.last = max(used.last, loops.last_use(used.first, number, layer) if loops else number)
        shared = {made: read for made, read, _ in layer.aliases}
        apart = layer.name in marks and marks[layer.name].state == PREPARED
        for role, spec in layer.outputs.items():
            if role in shared:
                roots[spec.name] = roots.get(layer.inputs[shared[role]].name)
            elif apart:
                roots[spec.name] = None
            else:
                roots[spec.name] = storage = Storage(spec, number, number)
                found.append(storage)
    if carried:
        found += _carry(graph, carried, roots, loops)
    for spec in graph.outputs:
        kept = roots.get(spec.name)
        if kept is not None:
            kept.last = len(graph.layers)
    return found, roots


def _carry(
    graph: Graph, reads: list[tuple[str, int]], roots: Mapping[str, Storage | None], loops: _Loops
) -> list[Storage]:
    """Lives of values that a loop reads (tensor, layer number) before it makes them: those of the trip before.

    Such a value lives to the end of its trip, and what is returned is its life from the start of the next.
    """
    makers = {spec.name: number for number, layer in enumerate(graph.layers) for spec in layer.outputs.values()}
    before: dict[tuple[int, int], Storage] = {}
    for name, number in reads:
        storage = roots.get(name)
        if storage is None:
            continue
        layer = graph.layers[number]
        first, last = loops.around(makers[name], layer) or (number, number)
        until = loops.last_use(storage.first, number, layer)
        if first <= storage.first <= last:
            storage.last = max(storage.last, last)
            kept = before.setdefault((id(storage), first), Storage(storage.tensor, first, until, made=False))
            kept.last = max(kept.last, until)
        else:  # memory from outside the loop, under a name made in it
            storage.last = max(storage.last, until)
    return list(before.values())


class _Loops:
    """First and last layer number of every loop that repeats; false when there is none."""

    def __init__(self, graph: Graph) -> None:
        self.chains: dict[str, tuple[tuple[int, int], ...]] = {}  # region -> spans of its loops, outermost first
        if not any(region.kind == LOOP and region.trips != 1 for region in graph.regions.values()):
            return
        outer = {
            id: [region.id for region in reversed(enclosing(graph, id)) if region.kind == LOOP and region.trips != 1]
            for id in graph.regions
        }
        spans: dict[str, tuple[int, int]] = {}
        for number, layer in enumerate(graph.layers):
            for loop in outer[layer.region] if layer.region is not None else ():
                spans[loop] = (spans[loop][0] if loop in spans else number, number)
        self.chains = {id: tuple(spans[loop] for loop in chain if loop in spans) for id, chain in outer.items()}

    def __bool__(self) -> bool:
        return bool(self.chains)

    def last_use(self, born: int, number: int, layer: Layer) -> int:
        """The end of the outermost loop around the layer that does not contain the tensor's birth, or the layer."""
        for first, last in self.chains.get(layer.region or "", ()):
            if born < first or born > last:
                return last
        return number

    def around(self, maker: int, layer: Layer) -> tuple[int, int] | None:
        """First and last layer number of the innermost loop around both the layer and the layer number ``maker``."""
        spans = reversed(self.chains.get(layer.region or "", ()))
        return next((span for span in spans if span[0] <= maker <= span[1]), None)


def peak(graph: Graph, live: Sequence[Storage], skip: Set[str] = frozenset()) -> Peak | None:
    """The largest sum over the layers, in order, of the storages alive; ``None`` when a size is unknown.

    At a layer its inputs and outputs coexist. Layers that are prepared or skipped do not run. A graph of which no
    layer runs has the peak of its inputs, and no layer's name.
    """
    count = len(graph.layers)
    change = [0] * (count + 3)  # bytes that come alive at layer number i stand at i + 1
    try:
        for storage in live:
            if storage.last != BEFORE:
                size = storage.tensor.nbytes
                change[storage.first + 1] += size
                change[storage.last + 2] -= size
    except UnknownDimensionError:
        return None
    marks = graph.marks
    alive = start = change[0]
    most, at = BEFORE, BEFORE
    for number, layer in enumerate(graph.layers):
        alive += change[number + 1]
        mark = marks.get(layer.name)
        runs = layer.name not in skip and (mark is None or mark.state != PREPARED)
        if runs and alive > most:
            most, at = alive, number
    if at == BEFORE:
        most = start
    tensors = tuple(
        (storage.tensor.name, storage.tensor.nbytes, storage.tensor.shape)
        for storage in live
        if storage.last != BEFORE and storage.first <= at <= storage.last
    )
    return Peak(most, "" if at == BEFORE else graph.layers[at].name, tensors)


def activation_bytes(live: Iterable[Storage]) -> int | None:
    """Bytes of all storage that layers newly allocate; ``None`` when a size is unknown."""
    return _total(live, lambda spec: spec.nbytes)


def activation_elements(live: Iterable[Storage]) -> int | None:
    """Elements of all storage that layers newly allocate; ``None`` when a size is unknown."""
    return _total(live, lambda spec: spec.numel)


def _total(live: Iterable[Storage], size: Callable[[TensorSpec], int]) -> int | None:
    try:
        return sum(size(storage.tensor) for storage in live if storage.made)
    except UnknownDimensionError:
        return None


__all__ = ["Peak", "Storage", "activation_bytes", "activation_elements", "peak", "rooted", "storages"]
