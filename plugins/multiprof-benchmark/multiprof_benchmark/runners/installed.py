"""What is installed, found out without importing it."""

from __future__ import annotations

from importlib.util import find_spec


def installed(module: str) -> bool:
    """Whether a module is there."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def missing(module: str, extra: str) -> str | None:
    """Which module is missing and how to install it, or ``None``."""
    if installed(module):
        return None
    return f"{module} is not installed: pip install 'multiprof-benchmark[{extra}]'"


__all__ = ["installed", "missing"]
