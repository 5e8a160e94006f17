"""What the forward pass keeps for the backward: autograd's saved tensors, each storage once, parameters not counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multiprof.backward.gradients import Gradients
from multiprof.backward.rule import Rule
from multiprof.errors import UnknownDimensionError
from multiprof.ir import ALIAS_ROLE, WRITE, Layer
from multiprof.memory import Storage, rooted
from multiprof.report import Report

Saved = tuple[tuple[str, int], ...]


class Kept:
    """Saved storages and extras of every layer that a gradient reaches.

    ``roots`` maps tensors to storages; ``until`` gives a storage (by id) the numbers of the layers whose backward pass
    reads it, within the segment that keeps it: -1 outside every checkpointed one. ``reached`` are the names of tensors
    that have a gradient.
    """

    def __init__(
        self, report: Report, rules: Mapping[str, Rule], found: Gradients, segments: Mapping[int, int]
    ) -> None:
        graph = report.graph
        self.storages, self.roots = rooted(graph, frozenset(row.name for row in report.layers if row.trips == 0))
        self.trips = [row.trips for row in report.layers]
        self.readers: dict[int, list[int]] = {}  # id of a storage -> layers that keep it
        self.extras: dict[int, list[tuple[str, int | None]]] = {}
        self.reached = {graph.layers[n].inputs[role].name for n, needs in found.needs.items() for role in needs}
        self._first: dict[int, list[Storage]] = {}
        self._segments = segments
        counted: set[int] = set()
        for number, layer in enumerate(graph.layers):
            inside = segments.get(number)
            needs = found.wanted(number, layer)
            if inside is None and not needs:
                continue
            own = list(self._saved(layer, rules.get(layer.op), needs))
            if inside is not None:  # what a checkpointed segment reads from outside is kept, to run it again
                read = [root for spec in layer.inputs.values() if (root := self.roots.get(spec.name)) is not None]
                own += [root for root in read if segments.get(root.first) != inside]
            for root in own:
                self.readers.setdefault(id(root), []).append(number)
                made_inside = inside is not None and segments.get(root.first) == inside
                if id(root) not in counted and not made_inside:
                    counted.add(id(root))
                    self._first.setdefault(number, []).append(root)
            if needs:
                rule = rules.get(layer.op)
                self.extras[number] = list(_extras(layer, rule, needs, self.trips[number]))

    def _saved(self, layer: Layer, rule: Rule | None, needs: frozenset[str]) -> Iterable[Storage]:
        if rule is None or not needs:
            return
        overwritten = _overwritten(layer)
        for role in rule.keeps(layer, needs):
            if role in overwritten:
                continue
            spec = layer.inputs.get(role) or layer.outputs.get(role)
            root = self.roots.get(spec.name) if spec is not None else None
            if root is not None:
                yield root

    def size(self, root: Storage, number: int) -> int | None:
        """Bytes of a storage as layer ``number`` keeps it: of every trip of the loop that it is made in."""
        try:
            size = root.tensor.nbytes
        except UnknownDimensionError:
            return None
        trips = self.trips[root.first] if root.first >= 0 else 1
        return None if trips is None else size * trips

    def of(self, number: int) -> Saved | None:
        """What layer ``number`` is the first to keep: (tensor, bytes)."""
        kept: list[tuple[str, int]] = []
        for root in self._first.get(number, ()):
            size = self.size(root, number)
            if size is None:
                return None
            kept.append((root.tensor.name, size))
        if number not in self._segments:
            for name, extra in self.extras.get(number, ()):
                if extra is None:
                    return None
                kept.append((name, extra))
        return tuple(kept)


# Ops that, in place, follow the gradient back from their result (derivatives.yaml of PyTorch).
_FROM_RESULT = frozenset(("leaky_relu", "rrelu", "elu", "celu", "selu"))


def _overwritten(layer: Layer) -> frozenset[str]:
    """Roles that the layer writes over: autograd keeps a copy of what stood there."""
    if not layer.aliases or layer.op in _FROM_RESULT:
        return frozenset()
    return frozenset(read for _, read, kind in layer.aliases if kind == WRITE and not read.startswith(ALIAS_ROLE))


def _extras(
    layer: Layer, rule: Rule | None, needs: frozenset[str], trips: int | None
) -> Iterable[tuple[str, int | None]]:
    if rule is None:
        return
    try:
        made = list(rule.extra(layer, needs))
        copied = _overwritten(layer)
        made += [(f"{role} before", layer.inputs[role].nbytes) for role in rule.keeps(layer, needs) if role in copied]
        for name, size in made:
            yield f"{layer.name}:{name}", None if trips is None else size * trips
    except (UnknownDimensionError, TypeError):
        yield f"{layer.name}:extra", None
