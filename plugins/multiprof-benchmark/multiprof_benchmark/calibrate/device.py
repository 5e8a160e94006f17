"""From times of kernels to a device: rates and what operands cost by kind, bandwidths by size, what starting takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multiprof import Device
from multiprof_benchmark.calibrate.fit import non_negative
from multiprof_benchmark.calibrate.kernels import COPY, GEMM, READ, START, Kernel

Levels = tuple[tuple[int, float], ...]
ROLES = ("x", "weight", "y")
# A rate beyond so many times that of matrix products is no rate: the operands took all the time.
FASTEST = 4.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A kernel and the seconds it took."""

    kernel: Kernel
    seconds: float


def device_of(name: str, samples: Iterable[Sample], source: str, title: str = "") -> Device:
    """The device that these samples describe.

    ``gemm`` is the peak, the best of its samples by dtype. The kinds of kernel are fitted each on its own
    (`multiprof_benchmark.calibrate.fit`). A copy of a size says how fast memory of that size moves, and a product with
    one row how fast weights of a size are read; the largest is main memory.
    """
    found = list(samples)
    start = min((s.seconds for s in found if s.kernel.family == START), default=0.0)
    rates: dict[str, float] = {}
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in found:
        kernel = sample.kernel
        if kernel.family == GEMM:
            rates[kernel.dtype] = max(rates.get(kernel.dtype, 0.0), 2 * kernel.work.macs / sample.seconds)
        elif kernel.family not in (COPY, READ, START):
            groups.setdefault((kernel.kind, kernel.dtype), []).append(sample)
    kernels: dict[str, dict[str, float]] = {}
    operands: dict[str, dict[str, dict[str, float]]] = {}
    for (kind, dtype), some in groups.items():
        rate, speeds = _fitted(some, start, rates[dtype])
        if rate is not None:
            kernels.setdefault(kind, {})[dtype] = rate
        operands.setdefault(kind, {})[dtype] = speeds
    copies = _levels(s for s in found if s.kernel.family == COPY)
    reads = _levels(s for s in found if s.kernel.family == READ)
    return Device(
        name, rates, copies[-1][1], source, title or name, "cpu", caches=copies[:-1], kernels=kernels, overhead=start,
        operands=operands, reads=(*reads[:-1], (_BEYOND, reads[-1][1])) if reads else (),
    )  # fmt: skip


_BEYOND = 1 << 50  # bytes: whatever is larger than all that was measured


def _fitted(samples: Sequence[Sample], start: float, peak: float) -> tuple[float | None, dict[str, float]]:
    """The rate of a kind of kernel, ``None`` where it has no products, and bytes per second by role."""
    works = [sample.kernel.work for sample in samples]
    seconds = [max(sample.seconds - start, sample.seconds / 2) for sample in samples]
    if not any(work.macs for work in works):
        (slow,) = non_negative([[work.x + work.weight + work.y] for work in works], seconds)
        return None, {"x": 1 / slow, "y": 1 / slow}
    rows = [[2.0 * work.macs, *(float(work.operands[role]) for role in ROLES)] for work in works]
    slowness, *others = non_negative(rows, seconds)
    if slowness * peak * FASTEST < 1:  # the products are hidden behind the operands, but not free
        slowness = 1 / peak
        rest = [max(t - row[0] / peak, t / 10) for row, t in zip(rows, seconds, strict=True)]
        others = non_negative([row[1:] for row in rows], rest)
    return 1 / slowness, {role: 1 / slow for role, slow in zip(ROLES, others, strict=True) if slow}


def _levels(samples: Iterable[Sample]) -> Levels:
    """Bytes and bytes per second from small to large, none slower than what lies beyond it."""
    found: list[tuple[int, float]] = []
    for size, seconds in sorted(((_moved(s.kernel), s.seconds) for s in samples), reverse=True):
        found.append((size, max(size / seconds, found[-1][1] if found else 0.0)))
    return tuple(reversed(found))


def _moved(kernel: Kernel) -> int:
    """What a copy reads and writes, and what a product with one row reads."""
    if kernel.family == READ:
        return kernel.work.weight
    return 2 * 4 * kernel.sizes[0]


def described(device: Device) -> str:
    """The device as a table of TOML."""

    def numbers(table: Mapping[str, float]) -> str:
        return "{ " + ", ".join(f"{key} = {value:.6g}" for key, value in table.items()) + " }"

    def pairs(levels: Levels) -> str:
        return f"[{', '.join(f'[{size}, {speed:.6g}]' for size, speed in levels)}]"

    def table(name: str, lines: Mapping[str, str]) -> list[str]:
        return [f"[{device.name}.{name}]", *(f"{key} = {value}" for key, value in lines.items())] if lines else []

    lines = [
        f"[{device.name}]",
        f"title = {_quoted(device.title)}",
        f"kind = {_quoted(device.kind)}",
        f"rates = {numbers(device.rates)}",
        f"bandwidth = {device.bandwidth:.6g}",
        f"caches = {pairs(device.caches)}",
        f"reads = {pairs(device.reads)}",
        f"overhead = {device.overhead:.6g}",
        f"source = {_quoted(device.source)}",
        *table("kernels", {kind: numbers(rates) for kind, rates in device.kernels.items()}),
    ]
    for kind, by_dtype in device.operands.items():
        lines += table(f"operands.{kind}", {dtype: numbers(speeds) for dtype, speeds in by_dtype.items()})
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


__all__ = ["Sample", "described", "device_of"]
