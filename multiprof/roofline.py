"""The roofline: for every kernel its arithmetic intensity, what bounds it on a device, and how long it takes.

On a device with peak rates alone, a kernel takes the longer of computing and moving data, and what starting it takes
(Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009)::

    seconds = max(2·macs / rate + other operations / elementwise, bytes / bandwidth) + overhead

with rates in operations per second, bandwidth in bytes per second, overhead in seconds. With rates of a data sheet it
is a lower bound.

A device that was calibrated says besides at how many bytes per second kernels of a kind take each operand in or put it
out, on top of the arithmetic (``Device.operands``)::

    computing = 2·macs / rate + |x| / s_x + |weight| / s_weight + |y| / s_y

That is a rate that saturates: a product of M×K and K×N has 2·M·N·K operations, and reaches half of ``rate`` by its
inner size alone where K = b·rate / (2·s_y) (b bytes an element); likewise by M with the weight, and by N with x. It is
linear in what was measured, as models of the time of blocked matrix products are (K. Goto, R. van de Geijn: Anatomy of
High-Performance Matrix Multiplication, ACM TOMS 34(3), 2008: each block of an operand is packed once and then used from
the cache). Weights come from where they still lie since the last run, which is a whole model ago (``Device.reads``)::

    moving = (bytes − weights) / bandwidth(bytes) + weights / reads(weights of the model)

and a recurrent layer, whose steps follow one another, reads its weights again at each step, at ``reads`` of its own
weights, and is started as often. Whatever the device, it is a prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from multiprof.cost import Counts
from multiprof.device import Device
from multiprof.fusion import Kernel, kernels
from multiprof.ir import Graph
from multiprof.layer_report import LayerReport
from multiprof.prediction import COMPUTE, MEMORY, OVERHEAD, UNKNOWN, Bound, Prediction
from multiprof.work import Work, kinds, operand_dtype, sequential_steps, weights, works

PICO = 1e-12
NONE: Mapping[str, object] = {}


def predict(graph: Graph, rows: Sequence[LayerReport], device: Device) -> Prediction:
    """Every kernel of a priced graph on a device, in order; layers without a cost are not in it."""
    found = kernels(graph, rows)
    parameters = graph.parameters
    resident = sum(weights(row, parameters) for kernel in found for row in kernel.rows)
    bounds = tuple(bound(kernel, device, parameters, resident) for kernel in found)
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
        tuple(_assumed(found, device)),
    )


def _assumed(found: Iterable[Kernel], device: Device) -> Iterable[str]:
    """What the prediction takes for granted where the device has no figure of its own."""
    instead: dict[str, str] = {}
    unpriced: set[str] = set()
    for kernel in found:
        for row in kernel.rows:
            if not _work(row).macs:
                continue
            dtype = _rated(operand_dtype(row))
            served = device.rated(dtype, *kinds(row))
            if served is not None and served != dtype:
                instead[dtype] = served
            if device.energy is not None and dtype not in device.energy.operations:
                unpriced.add(dtype)
    for dtype, served in instead.items():
        yield f"products in {dtype} are taken to run as fast as in {served}: the device has no rate for {dtype}"
    for dtype in sorted(unpriced):
        yield f"no energy is estimated: the device has no figure for {dtype}"


def bound(kernel: Kernel, device: Device, parameters: Mapping[str, object] = NONE, resident: int = 0) -> Bound:
    """One kernel on a device; ``parameters`` are the names of a model's weights, ``resident`` the bytes of them all."""
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
    moving, steps = _moving_seconds(kernel, kernel.bytes, trips, device, parameters, resident)
    starting = device.overhead * trips * steps
    longest = max(computing, moving)
    limit = OVERHEAD if starting > longest else MEMORY if moving >= computing else COMPUTE
    return Bound(subject, operations, kernel.bytes, limit, longest + starting)


def _moving_seconds(
    kernel: Kernel, moved: int, trips: int, device: Device, parameters: Mapping[str, object], resident: int
) -> tuple[float, int]:
    """Seconds that data takes to move, and how many steps of the kernel follow one another."""
    speed = device.bandwidth_of(moved // trips)
    if not device.reads:
        return moved / speed, 1
    held = min(sum(weights(row, parameters) for row in kernel.rows), moved // trips)
    steps = max(sequential_steps(row) for row in kernel.rows)
    again = held * (trips * steps - 1) / device.read_bandwidth_of(held)
    return (moved - held * trips) / speed + held / device.read_bandwidth_of(resident) + again, steps


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


def _element_dtype(row: LayerReport) -> str:
    return next((spec.dtype for spec in row.layer.outputs.values()), "float32")


def _work(row: LayerReport) -> Counts:
    return row.cost.counts if row.cost is not None else Counts()


def _compute_seconds(row: LayerReport, work: Counts, device: Device) -> float | None:
    """Arithmetic, and taking operands in where the device was measured at it: then all but products is part of that."""
    seconds, measured = 0.0, False
    found = works(row) or (Work(kinds(row), operand_dtype(row), work.macs),)
    for part in found:
        dtype = _rated(part.dtype)
        if part.macs:
            rate = device.rate(dtype, *part.kinds)
            if rate is None:
                return None
            seconds += 2 * part.macs / rate
        handling = device.handling(dtype, part.kinds, part.operands)
        if handling is not None:
            seconds, measured = seconds + handling, True
    rest = work.flops - 2 * work.macs + work.ints + work.casts
    if rest and not measured:
        rate = device.elementwise or device.rate("float32")
        if rate is None:
            return None
        seconds += rest / rate
    return seconds


def _rated(dtype: str) -> str:
    """The name under which devices hold figures: unsigned and signed integers take the same."""
    return "int8" if dtype == "uint8" else dtype


__all__ = ["bound", "energy", "operand_dtype", "predict"]
