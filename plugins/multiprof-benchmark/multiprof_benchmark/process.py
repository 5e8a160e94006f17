"""Commands that run a module of this plugin in a process of its own, which finds modules where this process does."""

from __future__ import annotations

import os
import sys

# `python -m` would look for modules in the current folder first, where a file may be called torch.py.
_START = (
    "import sys; sys.path[:] = sys.argv.pop(1).split(sys.argv.pop(1)); "
    "from importlib import import_module; sys.exit(import_module(sys.argv.pop(1)).main(sys.argv[1:]))"
)


def command(module: str, *arguments: str) -> list[str]:
    """The command that calls ``module.main(arguments)``."""
    places = os.pathsep.join(place for place in sys.path if isinstance(place, str))
    return [sys.executable, "-c", _START, places, os.pathsep, module, *arguments]


__all__ = ["command"]
