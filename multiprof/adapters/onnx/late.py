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


class LateWriter:
    """Holds the writer, and the tensors whose layer or declaration waits for a reader."""

    def __init__(self, writer: GraphWriter) -> None:
        self.writer = writer
        self.deferred: dict[str, Deferred] = {}
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
            if self.deferred.pop(found.spec.name, None) is not None:
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

    def mark(self) -> tuple[int, set[str], dict[str, Deferred]]:
        """Where the writing stands, for `undo`."""
        return len(self.writer.layers), set(self.writer.regions), dict(self.deferred)

    def undo(self, mark: tuple[int, set[str], dict[str, Deferred]]) -> None:
        """Take back the layers and regions written since; what was declared stays declared."""
        layers, regions, self.deferred = mark
        del self.writer.layers[layers:]
        for id in set(self.writer.regions) - regions:
            del self.writer.regions[id]

    @contextmanager
    def trial(self) -> Iterator[None]:
        """What is written inside is forgotten: a first look at a loop's body."""
        kept = self.writer, self.deferred, self.looked_up
        self.writer = GraphWriter(self.writer.name, self.writer.framework)
        self.deferred, self.looked_up = dict(self.deferred), set(self.looked_up)
        self.trials += 1
        try:
            yield
        finally:
            self.trials -= 1
            self.writer, self.deferred, self.looked_up = kept


__all__ = ["LateWriter"]
