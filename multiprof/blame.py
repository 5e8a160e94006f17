"""Says in one line what somebody else's code raised, and where in that code."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from traceback import extract_tb

_OWN = Path(__file__).resolve().parent


def describe(error: BaseException) -> str:
    """``ValueError: bad width (net.py:12)``: the exception and the last line of the user's own code it passed through.

    Code of the standard library, of installed packages and of multiprof is passed over, as long as other code is left.
    """
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = _place(error)
    return f"{what} ({place})" if place else what


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return ""  # its text names file and line itself
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    paths = sysconfig.get_paths()
    libraries = [Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = [f for f in frames if not _inside(f.filename, [_OWN, *libraries])]
    foreign = own or [f for f in frames if not _inside(f.filename, [_OWN])]
    if not foreign:
        return ""
    return f"{_short(foreign[-1].filename)}:{foreign[-1].lineno}"


def _inside(filename: str, folders: list[Path]) -> bool:
    path = Path(filename).resolve()
    return any(folder in path.parents for folder in folders)


def _short(filename: str) -> str:
    path = Path(filename)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
