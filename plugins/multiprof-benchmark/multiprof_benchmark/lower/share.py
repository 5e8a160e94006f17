"""How much of a model a lowering covers. Nothing is replaced in silence: what is missing is named and weighed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiprof import Report, UnsupportedOpError

# The least share of the multiply-adds that must be lowered, unless the caller says otherwise.
LEAST = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """Multiply-adds and layers that are lowered, of all that run; loops count with their trips.

    ``missing`` maps an op to why it is not lowered and the layers concerned. Layers that only prepare weights are in
    neither number.
    """

    macs: int
    all_macs: int
    layers: int
    all_layers: int
    missing: Mapping[str, tuple[str, tuple[str, ...]]]

    @property
    def of_macs(self) -> float:
        return self.macs / self.all_macs if self.all_macs else 1.0

    @property
    def of_layers(self) -> float:
        return self.layers / self.all_layers if self.all_layers else 1.0

    @property
    def complete(self) -> bool:
        return not self.missing

    def __str__(self) -> str:
        text = f"{self.of_macs:.1%} of the MACs, {self.layers} of {self.all_layers} layers"
        if self.missing:
            text += f"; not lowered: {'; '.join(_named(op, *found) for op, found in self.missing.items())}"
        return text

    def refuse_below(self, least: float, target: str) -> None:
        """Raise `UnsupportedOpError` where less than the share ``least`` of the macs is lowered."""
        if self.of_macs < least:
            raise UnsupportedOpError(
                f"{target}: only {self}; at least {least:.0%} of the MACs are wanted (least=… takes less)"
            )


def share_of(report: Report, missing: Mapping[str, str]) -> Share:
    """The share that remains of a report without the layers ``missing`` (layer name → reason)."""
    macs = all_macs = layers = all_layers = 0
    named: dict[str, tuple[str, list[str]]] = {}
    for row in report.layers:
        if row.trips == 0 or row.state == "prepared":
            continue
        times = row.trips or 1
        all_layers += times
        all_macs += row.macs or 0
        if row.name in missing:
            named.setdefault(row.op, (missing[row.name], []))[1].append(row.name)
        else:
            layers += times
            macs += row.macs or 0
    return Share(macs, all_macs, layers, all_layers, {op: (why, tuple(names)) for op, (why, names) in named.items()})


def _named(op: str, reason: str, layers: tuple[str, ...]) -> str:
    more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
    return f"{op} ({reason}; {layers[0]}{more})"


__all__ = ["LEAST", "Share", "share_of"]
