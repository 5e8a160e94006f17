"""Which plugins are installed: the entry points of group ``multiprof``. Light to import, because help needs it."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points

GROUP = "multiprof"
DISABLE = "MULTIPROF_DISABLE_PLUGINS"

# The scan of installed distributions costs milliseconds and cannot change within a process; what the entry points
# load, and the manager they are registered with, is made anew each time.
_scanned: list[EntryPoint] | None = None


def installed_plugins() -> list[EntryPoint]:
    """The entry points of installed plugins; none where the environment variable `DISABLE` is set."""
    global _scanned
    if os.environ.get(DISABLE, "") not in ("", "0"):
        return []
    if _scanned is None:
        _scanned = list(entry_points(group=GROUP))
    return _scanned
