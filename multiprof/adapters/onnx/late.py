"""Layers and declarations that are written once something reads them, since only then their role is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.onnx.call import Deferred
from multiprof.ir import STRING, Layer, TensorSpec

# Roles in which a tensor made out of nothing is a weight that the exporter left out.
WEIGHT_ROLES = frozenset(("weight", "weight_ih", "weight_hh", "weight_hr", "bias", "bias_ih", "bias_hh", "peephole"))
STATISTICS = frozenset((("batch_norm", "mean"), ("batch_norm", "var")))


class Waiting:
    """Tensors that wait for a reader, by name; `merge` or drop what was changed in an attempt at something.

    An attempt sees what waits outside, and keeps its own changes to itself: copies would make many attempts dear.
    """

    def __init__(self, outer: Waiting | None = None) -> None:
        self.outer = outer
        self.own: dict[str, Deferred] = {}
        self.gone: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.own) or bool(self.outer)

    def __setitem__(self, name: str, waiting: Deferred) -> None:
        self.own[name] = waiting
        self.gone.discard(name)

    def get(self, name: str) -> Deferred | None:
        layer: Waiting | None = self
        while layer is not None:
            found = layer.own.get(name)
            if found is not None or name in layer.gone:
                return found
            layer = layer.outer
        return None

    def pop(self, name: str) -> Deferred | None:
        found = self.get(name)
        if found is not None:
            self.own.pop(name, None)
            if self.outer is not None:
                self.gone.add(name)
        return found

    def merge(self) -> Waiting:
        """Make the changes outside; what waits there then."""
        assert self.outer is not None
        for name in self.gone:
            self.outer.pop(name)
        for name, waiting in self.own.items():
            self.outer[name] = waiting
        return self.outer


class LateWriter:
    """Holds the writer, and the tensors whose layer or declaration waits for a reader."""

    def __init__(self, writer: GraphWriter) -> None:
        self.writer = writer
        self.deferred = Waiting()
        self.looked_up: set[str] = set()  # declared tensors that a node reads
        self.trials = 0  # how many first looks at loops are under way

    def adopt(self, start: int) -> None:
        """Settle what the layers written from ``start`` on read of the tensors that were left for later."""
        if not self.deferred:
            return
        layers = self.writer.layers
        wanted: list[tuple[Layer, str, Deferred]] = []
        for layer in layers[start:]:
            for role, spec in layer.inputs.items():
                found = self.deferred.get(spec.name)
                if found is not None:
                    wanted.append((layer, role, found))
        for layer, role, found in wanted:
            if self.deferred.pop(found.spec.name) is not None:
                self.settle(found, start, role in WEIGHT_ROLES or (layer.op, role) in STATISTICS)

    def settle(self, found: Deferred, place: int, is_weight: bool) -> None:
        """Declare a tensor that was left for later, or write its layer at ``place``."""
        if found.write is None or (found.learned and is_weight):
            spec = found.spec if found.spec.dtype != STRING else TensorSpec((found.nbytes,), "uint8", found.spec.name)
            self.writer.declare(spec, None if found.learned else found.kind, source=found.source)
            return
        before = len(self.writer.layers)
        found.write()
        self.adopt(before)
        made = self.writer.layers[before:]
        del self.writer.layers[before:]
        for layer in made:
            layer.region = found.region
        self.writer.layers[place:place] = made

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Where what is inside fails, the layers and regions written are taken back; what was declared stays."""
        layers, regions = len(self.writer.layers), len(self.writer.regions)
        outer = self.deferred
        self.deferred = Waiting(outer)
        try:
            yield
        except BaseException:
            self.deferred = outer
            del self.writer.layers[layers:]
            while len(self.writer.regions) > regions:
                self.writer.regions.popitem()
            raise
        self.deferred = self.deferred.merge()

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is written inside is forgotten: a first look at a loop's body."""
        kept = self.writer, self.deferred, self.looked_up
        self.writer = GraphWriter(self.writer.name, self.writer.framework)
        self.writer.file = kept[0].file
        self.deferred, self.looked_up = Waiting(self.deferred), set()
        self.trials += 1
        try:
            yield
        finally:
            self.trials -= 1
            self.writer, self.deferred, self.looked_up = kept


__all__ = ["LateWriter"]
