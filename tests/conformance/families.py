"""What a report says of a network, in the words of `expected`."""

from __future__ import annotations

from multiprof import Report
from multiprof.ir import LOOP

# Two products of activations are an attention that is written out.
JOINED = {"matmul": "attention"}
CONTRACTIONS = ("convolution", "deconvolution", "linear", "attention")


def macs_by_family(report: Report) -> dict[str, int]:
    """Macs of all layers by family, families without any left out.

    A contraction in a loop that carries state is a recurrent layer whose steps are written out.
    """
    found: dict[str, int] = {}
    for row in report.layers:
        if row.counted and row.macs:
            family = JOINED.get(row.family, row.family)
            if family in CONTRACTIONS and _recurs(report, row.layer.region):
                family = "recurrent"
            found[family] = found.get(family, 0) + row.macs
    return found


def _recurs(report: Report, region: str | None) -> bool:
    while region is not None:
        found = report.graph.regions[region]
        if found.kind == LOOP and found.stateful:
            return True
        region = found.parent
    return False


def rest_by_op(report: Report) -> dict[str, int]:
    """FLOPs besides those of the multiply-adds, by op."""
    return {op: total.flops - 2 * total.macs for op, total in report.by_op().items() if total.flops != 2 * total.macs}
