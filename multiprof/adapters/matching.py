"""Which adapter reads a model: by suffix, by magic bytes, by class; nothing is imported to find out.

What was never imported cannot be passed in: a class is looked for among the bases of the object at hand, and a
framework counts as loaded when it stands in `sys.modules`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multiprof.errors import MissingDependencyError, ModelError, PluginError, UnknownFrameworkError, UsageError
from multiprof.evidence import written_for
from multiprof.extensions import Adapter, Reader
from multiprof.inputs import Inputs

HEAD = 4096  # bytes of a file that are looked at to tell its format


def find_adapter(
    model: Any, adapters: Sequence[Adapter], framework: str | None = None, inputs: Inputs | None = None
) -> Adapter:
    """The adapter that reads ``model``, a path or a live object; ``framework`` decides where the caller gives it.

    A plain callable goes to the framework that is loaded; among several, to the one that its inputs or its code show.
    Raises `UnknownFrameworkError` when none does, and `UsageError` when several do and the caller must choose.
    """
    if framework is not None:
        adapter = by_framework(framework, adapters)
        _check_kind(model, adapter, adapters)
        return adapter
    why = ""
    if isinstance(model, Path):
        found = match_file(model, adapters)
        if not found:
            raise UnknownFrameworkError(_unknown_file(model, adapters))
    else:
        found = match_type(type(model), adapters)
        if not found:
            found, why = match_callable(model, adapters, inputs), ", and neither its inputs nor its code tell by which"
        if not found:
            raise UnknownFrameworkError(_unknown_object(model, adapters))
    frameworks = sorted({adapter.framework for adapter in found})
    if len(frameworks) > 1:
        raise UsageError(
            f"{_described(model)} could be read by {' or '.join(frameworks)}{why}: say which, with "
            f"framework={frameworks[0]!r} (--framework {frameworks[0]} on the command line)"
        )
    return found[0]


def by_framework(framework: str, adapters: Sequence[Adapter]) -> Adapter:
    """The adapter of a framework by its name."""
    names = sorted({adapter.framework for adapter in adapters})
    for adapter in adapters:
        if adapter.framework == framework:
            return adapter
    from difflib import get_close_matches  # needed only to say what is wrong, as everywhere

    close = get_close_matches(str(framework), names, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
    raise UnknownFrameworkError(f"unknown framework {framework!r}; {hint}")


def match_file(path: Path, adapters: Sequence[Adapter]) -> list[Adapter]:
    """The adapters for a file: those that know its beginning; among several, or with none, the longest suffix decides.

    Raises `ModelError` when it does not exist or cannot be read.
    """
    _check_exists(path)
    known = _by_content(path, adapters)
    if len(known) == 1:
        return known
    return _by_suffix(path, known or adapters) or known


def _by_suffix(path: Path, adapters: Iterable[Adapter]) -> list[Adapter]:
    name = path.name.lower()
    fits = [(len(s), adapter) for adapter in adapters for s in adapter.suffixes if name.endswith(s.lower())]
    longest = max((length for length, _ in fits), default=0)
    return _distinct(adapter for length, adapter in fits if length == longest)


def _by_content(path: Path, adapters: Iterable[Adapter]) -> list[Adapter]:
    if path.is_dir():
        return [adapter for adapter in adapters if adapter.folder and (path / adapter.folder).is_file()]
    if not path.is_file():  # a pipe or a device would wait, or never end
        raise ModelError(f"{path} is neither a file nor a folder")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    return [adapter for adapter in adapters if _begins_like(head, adapter)]


def _begins_like(head: bytes, adapter: Adapter) -> bool:
    if any(head[offset : offset + len(magic)] == magic for offset, magic in adapter.magic):
        return True
    return bool(adapter.pattern) and re.match(adapter.pattern, head) is not None


def match_type(cls: type, adapters: Iterable[Adapter]) -> list[Adapter]:
    """The adapters whose class stands nearest in the method resolution order: a Keras model on torch is Keras's."""
    bases = cls.__mro__
    names = {f"{base.__module__}.{base.__qualname__}": place for place, base in reversed(list(enumerate(bases)))}
    nearest: dict[int, list[Adapter]] = {}
    for adapter in adapters:
        places = [place for name in adapter.types if (place := _place(name, bases, names)) is not None]
        if places:
            nearest.setdefault(min(places), []).append(adapter)
    return nearest[min(nearest)] if nearest else []


def match_callable(model: Any, adapters: Iterable[Adapter], inputs: Inputs | None = None) -> list[Adapter]:
    """For a function or other callable: the adapters that take callables and whose framework is loaded; of several
    those, if any, that the inputs or the code show."""
    if not callable(model) or isinstance(model, type):
        return []
    loaded = [a for a in adapters if a.callables and all(module in sys.modules for module in a.requires)]
    if len(loaded) < 2:
        return loaded
    packages = {package: a.framework for a in loaded for package in (*a.requires, *a.packages)}
    shown = written_for(model, inputs, packages)
    return [a for a in loaded if a.framework in shown] or loaded


def load_reader(adapter: Adapter) -> Reader:
    """Import an adapter's reader; raises `MissingDependencyError` when its framework is not installed."""
    for module in adapter.requires:
        if module not in sys.modules and not is_installed(module):
            raise MissingDependencyError(_missing(adapter, module))
    module_name, _, function = adapter.reader.partition(":")
    try:
        reader: Reader = getattr(import_module(module_name), function)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] in adapter.requires:
            raise MissingDependencyError(f"{_missing(adapter, error.name)} ({error})") from error
        raise PluginError(f"the {adapter.framework} adapter ({adapter.reader}) cannot be imported: {error}") from error
    except AttributeError as error:
        raise PluginError(f"the {adapter.framework} adapter names {adapter.reader}, which does not exist") from error
    return reader


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise ModelError(f"no such file: {path}; give a model file, or file.py:callable or package.module:callable")


def _check_kind(model: Any, adapter: Adapter, adapters: Sequence[Adapter]) -> None:
    """Refuse a file for an adapter that reads live models alone, and the other way round."""
    files, live = bool(adapter.suffixes or adapter.magic or adapter.pattern), bool(adapter.types or adapter.callables)
    if isinstance(model, Path) and not files:
        _check_exists(model)
        if model.suffix == ".py":
            raise UnknownFrameworkError(_unknown_file(model, adapters))
        raise UnknownFrameworkError(f"the {adapter.framework} adapter reads no files; give file.py:callable")
    if not isinstance(model, Path) and not live:
        raise UnknownFrameworkError(f"the {adapter.framework} adapter reads files alone: give the path of one")


def _place(name: str, bases: tuple[type, ...], names: dict[str, int]) -> int | None:
    """Where the class called ``name`` stands among ``bases``, by its own name or by one it is re-exported under."""
    if name in names:
        return names[name]
    module, _, attribute = name.rpartition(".")
    exported = getattr(sys.modules.get(module), attribute, None)
    return bases.index(exported) if exported in bases else None


def _distinct(adapters: Iterable[Adapter]) -> list[Adapter]:
    seen: list[Adapter] = []
    for adapter in adapters:
        if adapter not in seen:
            seen.append(adapter)
    return seen


def is_installed(module: str) -> bool:
    """Whether a module could be imported; it is not."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # the parent package is missing, or half imported
        return False


def _missing(adapter: Adapter, module: str) -> str:
    remedy = f"pip install 'multiprof[{adapter.extra}]'" if adapter.extra else f"install {module}"
    return f"reading {adapter.framework} models needs {module}, which is not installed: {remedy}"


def _described(model: Any) -> str:
    if isinstance(model, Path):
        return str(model)
    name = getattr(model, "__qualname__", "")
    if callable(model) and isinstance(name, str) and name:
        return f"the function {name.rpartition('.<locals>.')[2]}"
    return f"this {type(model).__module__}.{type(model).__qualname__}"


def _unknown_file(path: Path, adapters: Iterable[Adapter]) -> str:
    if path.suffix == ".py":
        return f"{path} is Python: say which model in it, as {path}:callable (a model, or a function that returns one)"
    suffixes = sorted({suffix for adapter in adapters for suffix in adapter.suffixes})
    known = f"known suffixes: {', '.join(suffixes)}" if suffixes else "no adapter here reads files"
    return f"nothing here reads {path}; {known}; a live model is given as file.py:callable or package.module:callable"


def _unknown_object(model: Any, adapters: Iterable[Adapter]) -> str:
    known = ", ".join(sorted({adapter.framework for adapter in adapters}))
    if isinstance(model, type):
        return f"{model.__module__}.{model.__qualname__} is a class, not a model: make an instance of it"
    if callable(model):
        frameworks = sorted({adapter.framework for adapter in adapters if adapter.callables})
        which = " or ".join(f"framework={name!r}" for name in frameworks) or "a model object"
        return f"a plain callable, and no framework that reads callables is loaded: say {which}"
    return f"{_described(model)} is no model of a known framework ({known}), and no path"
