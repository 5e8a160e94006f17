"""Running a module of this plugin in a process of its own, which finds modules where this process does."""

from __future__ import annotations

import os
import signal
import sys

LONGEST = 300  # characters of a process's last line

# `python -m` would look for modules in the current folder first, where a file may be called torch.py.
_START = (
    "import sys; sys.path[:] = sys.argv.pop(1).split(sys.argv.pop(1)); "
    "from importlib import import_module; sys.exit(import_module(sys.argv.pop(1)).main(sys.argv[1:]))"
)


def command(module: str, *arguments: str) -> list[str]:
    """The command that calls ``module.main(arguments)``."""
    places = os.pathsep.join(place for place in sys.path if isinstance(place, str))
    return [sys.executable, "-c", _START, places, os.pathsep, module, *arguments]


def ended(code: int, said: str) -> str:
    """Why a process ended without a result: the signal that killed it, or the last line of what it ``said``."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ": perhaps for want of memory" if name == "SIGKILL" else ""
        return f"was killed by {name}{hint}"
    return f"ended with code {code}: {said.strip().split(chr(10))[-1][-LONGEST:] or 'it wrote nothing'}"


__all__ = ["command", "ended"]
