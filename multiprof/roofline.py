"""The roofline: for every kernel its arithmetic intensity, what bounds it on a device, and how long it takes at least.

A kernel takes the longer of computing (operations over the peak rate) and moving data (bytes over the bandwidth), plus
what starting it takes (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009). It is a prediction, and with peak
rates of a data sheet a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence

from multiprof.cost import Counts
from multiprof.device import Device
from multiprof.fusion import Kernel, kernels
from multiprof.ir import BITS, Graph
from multiprof.layer_report import LayerReport
from multiprof.ops import CONTRACTION_FAMILIES
from multiprof.prediction import COMPUTE, MEMORY, OVERHEAD, UNKNOWN, Bound, Prediction

PICO = 1e-12


def predict(graph: Graph, rows: Sequence[LayerReport], device: Device) -> Prediction:
    """Every kernel of a priced graph on a device, in order; layers without a cost are not in it."""
    found = kernels(graph, rows)
    bounds = tuple(bound(kernel, device) for kernel in found)
    joules = None
    if device.energy is not None:
        spent = [energy(kernel, device) for kernel in found]
        joules = None if None in spent else sum(j for j in spent if j is not None)
    return Prediction(
        device.name,
        device.title or device.name,
        device.source,
        bounds,
        joules,
        "" if device.energy is None else device.energy.source,
    )


def bound(kernel: Kernel, device: Device) -> Bound:
    """One kernel on a device."""
    subject = tuple(row.name for row in kernel.rows)
    computing: float | None = 0.0
    operations = 0
    trips = 1
    for row in kernel.rows:
        work = _work(row)
        operations += work.flops + work.ints + work.casts
        trips = max(trips, row.trips or 1)
        seconds = _compute_seconds(row, work, device)
        computing = None if computing is None or seconds is None else computing + seconds
    if computing is None or kernel.bytes is None:
        return Bound(subject, operations, kernel.bytes, UNKNOWN, None)
    moving = kernel.bytes / device.bandwidth_of(kernel.bytes // trips)
    starting = device.overhead * trips
    longest = max(computing, moving)
    limit = OVERHEAD if starting > longest else MEMORY if moving >= computing else COMPUTE
    return Bound(subject, operations, kernel.bytes, limit, longest + starting)


def energy(kernel: Kernel, device: Device) -> float | None:
    """Joules of a kernel's arithmetic and traffic; ``None`` where its bytes, or its dtype's energy, are unknown."""
    table = device.energy
    if table is None or kernel.bytes is None:
        return None
    spent = kernel.bytes * table.byte
    for row in kernel.rows:
        work = _work(row)
        if work.macs:
            price = table.operations.get(_rated(operand_dtype(row)))
            if price is None:
                return None
            spent += 2 * work.macs * price
        rest = work.flops - 2 * work.macs + work.ints
        price = table.operations.get(_rated(_element_dtype(row)), table.operations.get("float32"))
        if rest and price is None:
            return None
        spent += rest * (price or 0.0)
    return spent * PICO


def operand_dtype(row: LayerReport) -> str:
    """The dtype a layer's products are formed in: of float and integer operands the float, else the wider."""
    dtypes = row.cost.dot_dtypes if row.cost is not None else None
    if dtypes is None:
        return "float32"
    left, right = dtypes[:2]
    floats = [dtype for dtype in (left, right) if "float" in dtype]
    return max(floats or (left, right), key=lambda dtype: BITS.get(dtype, 0))


def _element_dtype(row: LayerReport) -> str:
    return next((spec.dtype for spec in row.layer.outputs.values()), "float32")


def _work(row: LayerReport) -> Counts:
    return row.cost.counts if row.cost is not None else Counts()


def _compute_seconds(row: LayerReport, work: Counts, device: Device) -> float | None:
    seconds = 0.0
    if work.macs:
        rate = device.rate(_rated(operand_dtype(row)), kernel_kind(row))
        if rate is None:
            return None
        seconds = 2 * work.macs / rate
    rest = work.flops - 2 * work.macs + work.ints + work.casts
    if rest:
        rate = device.elementwise or device.rate("float32")
        if rate is None:
            return None
        seconds += rest / rate
    return seconds


def _rated(dtype: str) -> str:
    """The name under which devices hold figures: unsigned and signed integers take the same."""
    return "int8" if dtype == "uint8" else dtype


def kernel_kind(row: LayerReport) -> str:
    """The name under which a device may hold a rate of its own for such layers: the op family; ``depthwise`` for a
    convolution whose groups have one input channel each, which no machine computes at its peak.
    """
    attrs = row.layer.attrs
    if row.op == "conv" and attrs.get("groups", 1) > 1 and attrs.get("groups") == attrs.get("in_channels"):
        return "depthwise"
    return row.family if row.family in CONTRACTION_FAMILIES else ""


__all__ = ["bound", "energy", "kernel_kind", "operand_dtype", "predict"]
