"""What the engine found out about one layer, and the sum over several."""

from __future__ import annotations

from dataclasses import dataclass

from multiprof.cost import Cost
from multiprof.ir import FOLDED, PREPARED, Layer
from multiprof.ops import family

PRICED, FREE, UNSUPPORTED = "priced", "free", "unsupported"
STATES = (PRICED, FOLDED, PREPARED, FREE, UNSUPPORTED)
# What stands in the totals: prepared layers run ahead of time, unsupported ones have no cost.
COUNTED = frozenset((PRICED, FOLDED, FREE))


@dataclass(slots=True)
class LayerReport:
    """A layer with its cost, its state, and the reason where the state needs one.

    ``cost`` and the bytes are those of all ``trips`` together (how often the enclosing loops run the layer; 0 in the
    branch that is not counted; ``None`` when unknown). ``cost`` is ``None`` exactly when the state is ``unsupported``.
    ``unfolded`` is what a folded layer would cost on its own. ``provider`` names the plugin whose formula was used.
    """

    layer: Layer
    state: str
    reason: str = ""
    cost: Cost | None = None
    unfolded: Cost | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    trips: int | None = 1
    provider: str = ""

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def op(self) -> str:
        return self.layer.op

    @property
    def scope(self) -> str:
        return self.layer.scope

    @property
    def family(self) -> str:
        return family(self.layer.op)

    @property
    def counted(self) -> bool:
        """Whether the cost stands in the totals."""
        return self.state in COUNTED

    @property
    def macs(self) -> int | None:
        return None if self.cost is None else self.cost.macs

    @property
    def flops(self) -> int | None:
        return None if self.cost is None else self.cost.flops

    @property
    def bytes(self) -> int | None:
        """Traffic: bytes read and written; ``None`` if either is unknown."""
        if self.bytes_read is None or self.bytes_written is None:
            return None
        return self.bytes_read + self.bytes_written

    def scale(self, factor: int) -> None:
        """Multiply cost and bytes; for the engine alone, while the report is being made."""
        if self.cost is not None:
            self.cost = self.cost * factor
        if self.unfolded is not None:
            self.unfolded = self.unfolded * factor
        if self.bytes_read is not None:
            self.bytes_read *= factor
        if self.bytes_written is not None:
            self.bytes_written *= factor


@dataclass(slots=True)
class Total:
    """A sum over layers. ``layers`` counts all of them, ``unsupported`` those without a cost; ``macs``, ``flops`` and
    the bytes (as far as they are known) are those of the layers that stand in the report's totals.

    ``params`` are elements of learned weights, each weight counted where it is first used, so that groups add up.
    """

    layers: int = 0
    unsupported: int = 0
    params: int = 0
    macs: int = 0
    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def bytes(self) -> int:
        """Traffic: bytes read and written."""
        return self.bytes_read + self.bytes_written

    def add(self, row: LayerReport, params: int = 0) -> None:
        self.layers += 1
        self.params += params
        if row.state == UNSUPPORTED:
            self.unsupported += 1
        elif row.counted and row.cost is not None:
            for counts in row.cost.terms.values():
                self.macs += counts.macs
                self.flops += counts.flops
            self.bytes_read += row.bytes_read or 0
            self.bytes_written += row.bytes_written or 0


__all__ = ["COUNTED", "FREE", "PRICED", "STATES", "UNSUPPORTED", "LayerReport", "Total"]
