"""What a measurement may depend on besides the model: the machine, how busy it is, and the versions at work."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
TASKS = Path("/proc/self/task")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def machine() -> dict[str, Any]:
    """The machine as it is now: processor, cores, clock governor, load, system, Python."""
    found: dict[str, Any] = {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": sys.version.split()[0],
    }
    if hasattr(os, "getloadavg"):
        found["load"] = round(os.getloadavg()[0], 2)
    governor = _line(GOVERNOR)
    if governor:
        found["governor"] = governor
    return found


def processor(cpuinfo: Path = CPUINFO) -> str:
    """The processor's own name where the system tells it."""
    for line in _text(cpuinfo).split("\n"):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions(*distributions: str) -> dict[str, str]:
    """The installed versions of those distributions that are there."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_rss() -> int | None:
    """The most memory this process has held so far, in bytes; ``None`` where the system does not tell.

    Linux's own figure is that of the program that runs now; getrusage's begins with what its parent held.
    """
    for line in _text(STATUS).split("\n"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


class _Mallinfo2(ctypes.Structure):
    """struct mallinfo2 of malloc.h (glibc 2.33 and later): bytes, but for the numbers of blocks."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def heap() -> int | None:
    """Bytes of the C heap in use, in all threads; ``None`` where the C library does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _Mallinfo2
    found = function()
    return int(found.uordblks + found.hblkhd)  # of the heap itself, and of the large blocks beside it


def tasks() -> int | None:
    """The threads of this process; ``None`` where the system does not tell."""
    try:
        return sum(1 for _ in TASKS.iterdir())
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _line(path: Path) -> str:
    return _text(path).strip()


__all__ = ["heap", "machine", "peak_rss", "processor", "tasks", "usable_cores", "versions"]
