"""Models named in Python: ``file.py:callable`` and ``package.module:callable``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

from multiprof.errors import ModelError, MultiprofError

# Package -> what it is too old for, and the line that imports it all the same.
_REMEDIES = {
    "mxnet": ("numpy", "from multiprof.adapters.mxnet.compat import import_mxnet; mx = import_mxnet()"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A model and, where its callable supplies them, the inputs to read it with."""

    model: Any
    inputs: Any = None


def is_python_target(text: str) -> bool:
    """Whether ``text`` names a Python object: something before a colon, a dotted name after it, and no such file."""
    place, colon, name = text.rpartition(":")
    return bool(colon and place) and all(p.isidentifier() for p in name.split(".")) and not os.path.exists(text)


def load_target(text: str, is_model: Callable[[Any], bool]) -> Target:
    """Import what ``text`` names; unless it already is a model, call it without arguments.

    The callable returns the model, or the model and its inputs. Raises `ModelError`, saying which part of the name is
    wrong or what the code raised and where.
    """
    place, _, name = text.rpartition(":")
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module_by_name(place)
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ModelError(_no_such_name(place, name, part, found)) from None
    if is_model(found):
        return Target(found)
    if not callable(found):
        raise ModelError(f"{text} is a {type(found).__name__}: neither a model nor a function that returns one")
    made = _call(found, text)
    if isinstance(made, tuple) and len(made) == 2:
        return Target(*made)
    if made is None:
        raise ModelError(f"{text} returned None; it must return the model, or the model and its inputs")
    return Target(made)


def _call(function: Callable[[], Any], text: str) -> Any:
    try:
        needed = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # a callable without a signature: the call itself will tell
        needed = []
    if needed:
        raise ModelError(
            f"{text} needs arguments ({', '.join(needed)}); name a function without arguments that returns the model"
        )
    with _blaming(f"{text} raised"):
        return function()


def _module_of_file(path: Path) -> ModuleType:
    """Run a file as a module, its folder first on the path, as ``python file.py`` does."""
    if not path.is_file():
        raise ModelError(f"no such file: {path}")
    path = path.resolve()
    name = path.stem if path.stem not in sys.modules else f"_multiprof_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} cannot be imported as Python")
    module = module_from_spec(spec)
    _first_on_path(str(path.parent))
    sys.modules[name] = module  # dataclasses and pickles look their module up by name
    try:
        with _blaming(f"{path.name} raised while it was imported:"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_by_name(name: str) -> ModuleType:
    """Import a module; the current folder counts, as with ``python -m``."""
    if Path(name).exists():
        raise ModelError(f"{name} is not Python: only file.py or package.module can be followed by :callable")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ModelError(f"{name!r} is neither a Python file (it would end in .py) nor a module name (package.module)")
    _first_on_path(os.getcwd())
    with _blaming(f"{name} raised while it was imported:"):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise ModelError(f"no module named {error.name!r} here; a file is given as file.py:callable") from None
            raise


@contextmanager
def _blaming(prefix: str) -> Iterator[None]:
    """Turn what the user's code raises into one line that says what and where."""
    try:
        yield
    except MultiprofError:
        raise
    except Exception as error:
        from multiprof.blame import describe  # what it needs takes milliseconds to import

        raise ModelError(f"{prefix} {describe(error)}{_remedy(error)}") from error
    except SystemExit as error:
        raise ModelError(
            f"{prefix} SystemExit({error.code!r}): it runs as a script; put that part under if __name__ == '__main__'"
        ) from error


def _remedy(error: BaseException) -> str:
    """What to write where a package cannot be imported for what another one has removed since, which is known."""
    if not isinstance(error, (AttributeError, ImportError)):
        return ""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    importing = {str(f.f_globals.get("__name__")).partition(".")[0] for f in frames if f.f_code.co_name == "<module>"}
    for package, (blamed, line) in _REMEDIES.items():
        if package in importing and blamed in f"{error} {getattr(error, 'name', '')}".lower():
            return f"; {package} is older than this {blamed}: write {line}"
    return ""


def _first_on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _no_such_name(place: str, name: str, part: str, found: Any) -> str:
    from difflib import get_close_matches  # needed only to say what is wrong

    names = [n for n in dir(found) if not n.startswith("_")]
    close = get_close_matches(part, names, 3)
    home = getattr(found, "__name__", "")
    defined = [n for n in names if getattr(getattr(found, n, None), "__module__", None) == home]
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif defined:
        hint = f"it has {', '.join(defined[:8])}"
    else:
        hint = "it defines nothing of its own"
    return f"{place} has no {name!r}; {hint}"
