"""Descriptions of machines, as data: the TOML files of this folder, and those of a user.

A file holds one table per device, named as ``--device`` names it; its keys are the fields of `Device`. ``energy`` is
the name of a table of ``energy.toml``, or a table of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from multiprof.device import Device, Energy
from multiprof.errors import MultiprofError, UsageError
from multiprof.hookspecs import hookimpl

HERE = Path(__file__).parent
FILES = ("cpus.toml", "gpus.toml", "edge.toml")
SUFFIX = ".toml"
LARGEST = 1 << 20  # bytes of a file that somebody wrote by hand
_FIELDS = frozenset(Device.__dataclass_fields__) - {"name"}


@hookimpl
def multiprof_devices() -> Iterable[Device]:
    return [device for name in FILES for device in read(HERE / name)]


def read(path: Path) -> Iterator[Device]:
    """The devices that a TOML file describes; `UsageError` names the file, the device and what is wrong with it."""
    energies = _tables(HERE / "energy.toml")
    tables = _tables(path)
    if not tables:
        raise UsageError(f"{path}: describes no device; write [name] above its rates, bandwidth and source")
    for name, table in tables.items():
        try:
            yield _device(name, table, energies)
        except (MultiprofError, AttributeError, OverflowError, TypeError, ValueError) as error:
            raise UsageError(f"{path}: {_said(name, error)}") from error


def _said(name: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, MultiprofError) else f"device {name}: {text}"


def _device(name: str, table: Any, energies: Mapping[str, Any]) -> Device:
    if not isinstance(table, dict):
        raise ValueError("is no table; write [name] above its rates, bandwidth and source")
    unknown = sorted(table.keys() - _FIELDS)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no field; they are {', '.join(sorted(_FIELDS))}")
    missing = [key for key in ("rates", "bandwidth", "source") if key not in table]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    values = dict(table)
    energy = values.pop("energy", None)
    if isinstance(energy, str):
        if energy not in energies:
            raise ValueError(f"energy {energy!r} is no table; one of {', '.join(energies)}")
        energy = energies[energy]
    if energy is not None:
        values["energy"] = Energy(**energy)
    for key in ("caches", "reads"):
        values[key] = tuple((int(size), float(speed)) for size, speed in values.get(key, ()))
    if "memory" in values:
        values["memory"] = int(values["memory"])
    return Device(name, **values)


def _tables(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path}: a file of more than {LARGEST:,} bytes describes no devices")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    toml = _parser()
    try:
        return dict(toml.loads(text))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError, as is an integer of 5,000 digits
        raise UsageError(f"{path}: is no TOML: {error}") from error


def _parser() -> Any:
    """tomllib, which is tomli on Python 3.10; loaded when a device is asked for."""
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib
    import tomli

    return tomli


__all__ = ["FILES", "SUFFIX", "multiprof_devices", "read"]
