"""Whether a measured time can be true: no machine computes above its peak.

What comes out faster was not all computed (a result thrown away by a compiler, a device that was not waited for), or
its multiply-adds are counted too high.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from multiprof import Device, Measurement, Report
from multiprof.devices import multiprof_devices
from multiprof.work import operand_dtype
from multiprof_benchmark.environment import CPUINFO

# No processor sustains a faster clock (hertz), whatever it has cores.
FASTEST_CLOCK = 6.5e9
# Operations on float32 in a cycle, by what /proc/cpuinfo calls the instructions: lanes × 2 × two units.
CYCLE = (("avx512f", 64), ("avx2", 32), ("avx", 32), ("sve", 64), ("asimd", 32))
OTHERWISE = 64
# Narrower numbers are computed so much faster at most, with dot products or matrix units (Intel AMX: 16 times).
NARROWER = 16


def processor_peak(threads: int, cpuinfo: Path = CPUINFO) -> float:
    """Float32 operations per second that so many threads cannot exceed on this machine's processor: an upper bound."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    flags = next((set(line.split()) for line in lines if line.lower().startswith(("flags", "features"))), set())
    cycle = next((operations for flag, operations in CYCLE if flag in flags), OTHERWISE)
    return threads * FASTEST_CLOCK * cycle


def too_fast(report: Report, measurements: Iterable[Measurement], cpuinfo: Path = CPUINFO) -> Iterator[str]:
    """A warning for each measurement of the whole model whose rate is above the peak of the machine it was made on."""
    operations = 2 * report.macs
    if not operations:
        return
    narrow = any(row.macs and operand_dtype(row) not in ("float32", "float64") for row in report.layers)
    for m in measurements:
        if m.kind != "whole" or not m.times:
            continue
        batches = m.batch / report.batch if m.batch and report.batch else 1.0
        rate = operations * batches / m.median
        peak, where = _peak(m, narrow or m.precision not in ("", "fp32", "float32"), cpuinfo)
        if peak is not None and rate > peak:
            yield (
                f"{m.runner} ({m.route}): {rate:.3g} operations per second, above the {peak:.3g} that {where} can do: "
                f"not all was computed, or it was not waited for"
            )


def _peak(m: Measurement, narrow: bool, cpuinfo: Path) -> tuple[float | None, str]:
    gpu = m.environment.get("gpu")
    if gpu:
        known = _known(str(gpu))
        return (None, "") if known is None else (max(known.rates.values()), known.title)
    if not m.device.startswith("cpu") or m.threads is None:
        return None, ""
    plural = "thread" if m.threads == 1 else "threads"
    return processor_peak(m.threads, cpuinfo) * (NARROWER if narrow else 1), f"{m.threads} {plural} of this processor"


def _known(gpu: str) -> Device | None:
    """The device whose title's words are all in the name that the driver gives (NVIDIA H200)."""
    have = set(gpu.lower().replace("-", " ").split())
    for device in multiprof_devices():
        words = device.title.lower().partition(",")[0].replace("-", " ").split()
        if device.kind == "gpu" and {word for word in words if word not in ("sxm", "sxm2")} <= have:
            return device
    return None


__all__ = ["processor_peak", "too_fast"]
