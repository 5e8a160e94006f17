"""Which plugins are installed: the entry points of group ``multiprof``. Light to import, because help needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "multiprof"
DISABLE = "MULTIPROF_DISABLE_PLUGINS"

# The scan of installed distributions costs milliseconds and cannot change within a process; what the entry points
# load, and the manager they are registered with, is made anew each time.
_scanned: list[EntryPoint] | None = None
_NONE: list[EntryPoint] = []


def installed_plugins() -> list[EntryPoint]:
    """The entry points of installed plugins; none where the environment variable `DISABLE` is set."""
    global _scanned
    if os.environ.get(DISABLE, "") not in ("", "0"):
        return _NONE
    if _scanned is None:
        _scanned = _ask() if _may_be_any() else []
    return _scanned


def _ask() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


def _may_be_any() -> bool:
    """Whether importlib.metadata is worth asking: importing it takes longer than all the rest of a start.

    It is not where every distribution it would find lies in a plain folder and none names the group.
    """
    own = {"PathFinder", "BuiltinImporter", "FrozenImporter"}
    for finder in sys.meta_path:
        if hasattr(finder, "find_distributions") and getattr(finder, "__name__", "") not in own:
            return True
    section = f"[{GROUP}]".encode()
    for folder in dict.fromkeys(sys.path):
        folder = folder or os.curdir
        if not os.path.isdir(folder):
            if os.path.exists(folder):
                return True  # an archive, which may hold distributions
            continue
        for file in _entry_point_files(folder):
            try:
                with open(file, "rb") as stream:
                    if section in stream.read():
                        return True
            except OSError:
                continue
    return False


def _entry_point_files(folder: str) -> Iterator[str]:
    """Where the distributions of a folder on the path would name their entry points."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.lower().endswith((".dist-info", ".egg-info")) or name.lower() == "egg-info":
            yield os.path.join(folder, name, "entry_points.txt")
