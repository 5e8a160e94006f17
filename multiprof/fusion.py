"""Which layers a good runtime runs as one kernel, and what such a kernel reads and writes.

What works element by element (activations, sums, folded norms, quantisation) joins the layer that makes its newest
operand, where nothing else reads that operand: then it is neither written to memory nor read again. Everything else is
a kernel of its own, and views are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multiprof.errors import UnknownDimensionError
from multiprof.ir import FOLDED, VIEW, Graph
from multiprof.layer_report import LayerReport
from multiprof.ops import family

POINTWISE = ("activation", "elementwise", "quantization")
# A recurrent layer is a loop of its own, and nothing can be joined to its inside.
CLOSED = ("recurrent",)


@dataclass(slots=True)
class Kernel:
    """Layers that run as one, in order; ``bytes`` is what it reads and writes, ``None`` where a size is unknown."""

    rows: list[LayerReport]
    bytes: int | None


def kernels(graph: Graph, rows: Sequence[LayerReport]) -> list[Kernel]:
    """The kernels of the layers that count and have a cost, in order.

    ``rows`` are those of the graph's layers, in their order.
    """
    same = _same_value(rows)
    readers = _readers(graph, rows, same)
    made: dict[str, tuple[int, Kernel]] = {}  # value -> its maker's number, and the kernel that stands there
    found: list[Kernel] = []
    for number, row in enumerate(rows):
        if not row.counted or row.cost is None or row.trips == 0 or _moves_nothing(row):
            continue
        kernel = None
        if _is_pointwise(row):
            kernel = _host(row, rows, same, readers, made)
        if kernel is None:
            kernel = Kernel([row], row.bytes)
            found.append(kernel)
        else:
            _join(kernel, row, same)
        for spec in row.layer.outputs.values():
            made[same.get(spec.name, spec.name)] = (number, kernel)
    return found


def _host(
    row: LayerReport,
    rows: Sequence[LayerReport],
    same: Mapping[str, str],
    readers: Mapping[str, set[str]],
    made: Mapping[str, tuple[int, Kernel]],
) -> Kernel | None:
    """The kernel that a pointwise layer joins: that of its newest operand, if it alone reads it."""
    values = {same.get(spec.name, spec.name) for spec in row.layer.inputs.values()}
    newest = max((value for value in values if value in made), key=lambda value: made[value][0], default=None)
    if newest is None or readers[newest] != {row.name}:
        return None
    number, kernel = made[newest]
    maker = rows[number]
    if maker is not kernel.rows[-1] or maker.layer.region != row.layer.region or family(maker.op) in CLOSED:
        return None
    return kernel


def _join(kernel: Kernel, row: LayerReport, same: Mapping[str, str]) -> None:
    """Add a layer to a kernel: what passes between the two stays in registers."""
    last = kernel.rows[-1]
    kernel.rows.append(row)
    if kernel.bytes is None or row.bytes is None:
        kernel.bytes = None
        return
    between = {same.get(spec.name, spec.name): spec for spec in last.layer.outputs.values()}
    try:
        written = sum(spec.nbytes for spec in between.values()) * (last.trips or 1)
        reads = [spec for spec in row.layer.inputs.values() if same.get(spec.name, spec.name) in between]
        read = sum(spec.nbytes for spec in reads) * (row.trips or 1)
    except UnknownDimensionError:
        kernel.bytes = None
        return
    kernel.bytes = max(kernel.bytes - written, 0) + max(row.bytes - read, 0)


def _is_pointwise(row: LayerReport) -> bool:
    return row.state == FOLDED or row.op == "batch_norm" or family(row.op) in POINTWISE


def _moves_nothing(row: LayerReport) -> bool:
    return row.bytes == 0 and not row.flops and row.cost is not None and not any(row.cost.terms.values())


def _same_value(rows: Iterable[LayerReport]) -> dict[str, str]:
    """The tensor whose elements a view, or a layer that moves nothing, hands on under another name."""
    same: dict[str, str] = {}
    for row in rows:
        layer = row.layer
        for out, source, kind in layer.aliases:
            if kind == VIEW and out in layer.outputs and source in layer.inputs:
                name = layer.inputs[source].name
                same[layer.outputs[out].name] = same.get(name, name)
    return same


def _readers(graph: Graph, rows: Iterable[LayerReport], same: Mapping[str, str]) -> dict[str, set[str]]:
    """Value -> names of the layers that read it; a graph output is read by whoever asked for it, whose name is ""."""
    readers: dict[str, set[str]] = {}
    for row in rows:
        if row.trips == 0 or all(spec.name in same for spec in row.layer.outputs.values()):
            continue
        for spec in row.layer.inputs.values():
            readers.setdefault(same.get(spec.name, spec.name), set()).add(row.name)
    for spec in graph.outputs:
        readers.setdefault(same.get(spec.name, spec.name), set()).add("")
    return readers


__all__ = ["Kernel", "kernels"]
