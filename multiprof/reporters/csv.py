"""One row per layer as comma-separated values: raw integers, bytes, an empty cell for unknown."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from multiprof.cost import PRIMITIVES
from multiprof.reporters import outline
from multiprof.reporters.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiprof.ir import TensorSpec
    from multiprof.report import LayerReport, Report

HEADER = (
    "name", "scope", "op", "family", "source", "region", "trips", "state", "reason", "provider",
    "inputs", "outputs", "params", "flops", *PRIMITIVES, "bytes_read", "bytes_written",
)  # fmt: skip

# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@")


def render(report: Report, *, sort: str | None = None, top: int | None = None) -> str:
    """The rows in the order of the layers, or of ``sort``; ``top`` leaves the first so many (by macs unless sorted)."""
    nodes = [outline.single(report, row) for row in report.layers]
    if sort or top is not None:
        nodes = outline.order(nodes, sort or "macs")[:top]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([_safe(value) for value in _row(node.layers[0], node.total.params)] for node in nodes)
    return out.getvalue()


def _row(row: LayerReport, params: int) -> list[Any]:
    counts = None if row.cost is None else row.cost.counts
    return [
        row.name,
        row.scope,
        row.op,
        row.family,
        row.layer.source,
        row.layer.region,
        row.trips,
        row.state,
        row.reason,
        row.provider,
        _shapes(row.layer.inputs),
        _shapes(row.layer.outputs),
        params,
        row.flops,
        *(None if counts is None else getattr(counts, primitive) for primitive in PRIMITIVES),
        row.bytes_read,
        row.bytes_written,
    ]


def _shapes(specs: Mapping[str, TensorSpec]) -> str:
    """``x=1x3x224x224:float32 weight=64x3x7x7:float32``."""
    return " ".join(
        f"{role}={'x'.join('?' if d is None else str(d) for d in spec.shape) or 'scalar'}:{spec.dtype}"
        for role, spec in specs.items()
    )


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = clean(value)
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value
