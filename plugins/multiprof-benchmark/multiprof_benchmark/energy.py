"""Joules that the machine itself counts: the processor's own counters, or those of an NVIDIA GPU's driver.

They count everything that the package or the board spends, not this process alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
MICRO, MILLI = 1e-6, 1e-3
ABSENT = "energy is not measured: no RAPL counter can be read here (/sys/class/powercap), nor an NVIDIA GPU's"


class Meter:
    """Every counter that can be read here; `joules` is what they have grown by since it was made."""

    def __init__(self, powercap: Path = POWERCAP, gpu: bool = False) -> None:
        self.zones = {_name(zone): zone for zone in sorted(powercap.glob("intel-rapl:*")) if _is_package(zone)}
        self.gpu = _Nvml() if gpu else None
        self.before = self._read()

    def _read(self) -> dict[str, float]:
        found = {name: value * MICRO for name, zone in self.zones.items() if (value := _number(zone / "energy_uj"))}
        if self.gpu is not None and (total := self.gpu.joules()) is not None:
            found["gpu"] = total
        return found

    def joules(self) -> Mapping[str, float]:
        """Joules by counter; one that has begun again from 0 is taken on from its limit."""
        found = {}
        for name, after in self._read().items():
            if name not in self.before:
                continue
            spent = after - self.before[name]
            if spent < 0 and name in self.zones:
                spent += (_number(self.zones[name] / "max_energy_range_uj") or 0) * MICRO
            if spent >= 0:
                found[name] = spent
        return found


def _is_package(zone: Path) -> bool:
    """Cores and memory within a package have zones of their own, which the package's counts."""
    return zone.name.count(":") == 1 and _number(zone / "energy_uj") is not None


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="utf-8").strip() or zone.name
    except OSError:
        return zone.name


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class _Nvml:
    """The first GPU, by the driver's library."""

    def __init__(self) -> None:
        self.library: ctypes.CDLL | None = None
        self.device = ctypes.c_void_p()
        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        if library.nvmlInit_v2() == 0 and library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.device)) == 0:
            self.library = library

    def joules(self) -> float | None:
        total = ctypes.c_ulonglong()
        if self.library is None or self.library.nvmlDeviceGetTotalEnergyConsumption(self.device, ctypes.byref(total)):
            return None
        return total.value * MILLI


__all__ = ["ABSENT", "Meter"]
