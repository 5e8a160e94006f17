"""What a measurement may depend on besides the model: the machine, how busy it is, and the versions at work."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _line(path: Path) -> str:
    return _text(path).strip()


__all__ = ["machine", "peak_rss", "processor", "usable_cores", "versions"]
