"""What a measurement may depend on besides the model: the machine, how busy it is, and the versions at work."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
TASKS = Path("/proc/self/task")
CLEAR = Path("/proc/self/clear_refs")
MEMORY = Path("/proc/meminfo")
PROCESSES = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
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
    found = _status("VmHWM")
    if found is not None:
        return found
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def start_of_peak() -> int | None:
    """Forget the most memory this process has held, where the system lets it; returns what `peak_rss` grows from."""
    with contextlib.suppress(OSError):
        CLEAR.write_text("5", encoding="utf-8")
        return _status("VmRSS")
    return peak_rss()


def available_memory() -> int | None:
    """Bytes that a new process may take: what the system has, within what a control group leaves of it."""
    found = [size for line in _text(MEMORY).split("\n") if (size := _kilobytes(line, "MemAvailable")) is not None]
    limit, used = _line(CGROUP / "memory.max"), _line(CGROUP / "memory.current")
    if limit.isdecimal() and used.isdecimal():
        found.append(max(int(limit) - int(used), 0))
    return min(found, default=None)


def rss_of(process: int) -> int:
    """Bytes that a process and its children hold; 0 where the system does not tell."""
    root = PROCESSES / str(process)
    held = next((n for line in _text(root / "status").split("\n") if (n := _kilobytes(line, "VmRSS")) is not None), 0)
    children = _line(root / "task" / str(process) / "children").split()
    return held + sum(rss_of(int(child)) for child in children)


def thread_count() -> int | None:
    """The threads of this process, of its runtimes' pools too; ``None`` where the system does not tell."""
    found = [line.split()[1] for line in _text(STATUS).split("\n") if line.startswith("Threads:")]
    return int(found[0]) if found else None


def _status(key: str) -> int | None:
    return next((n for line in _text(STATUS).split("\n") if (n := _kilobytes(line, key)) is not None), None)


def _kilobytes(line: str, key: str) -> int | None:
    return int(line.split()[1]) * 1024 if line.startswith(f"{key}:") else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _line(path: Path) -> str:
    return _text(path).strip()


__all__ = [
    "available_memory", "machine", "peak_rss", "processor", "rss_of", "start_of_peak", "thread_count", "usable_cores",
    "versions",
]  # fmt: skip
