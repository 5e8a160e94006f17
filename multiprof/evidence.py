"""Which framework a plain callable is written for, where several are loaded: its inputs tell, else its code.

Nothing is imported and nothing is called: values at hand are looked at for the package that their class comes from.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from multiprof.inputs import Inputs

_LEVELS = 4  # how far helper functions are followed
_MOST = 2000  # values that are looked at on one level


def written_for(function: Callable[..., Any], inputs: Inputs | None, packages: Mapping[str, str]) -> set[str]:
    """The frameworks that a callable shows; ``packages`` gives the framework of each top-level package.

    The classes of the inputs decide. Where they are of no framework (shapes, numpy's arrays), what the callable is,
    holds and names does: modules, classes, arrays, the models it closes over. Its helpers are followed only as far as
    nothing nearer told. Empty where nothing does.
    """
    given = [] if inputs is None else [*inputs.args, *inputs.kwargs.values()]
    found = _frameworks(_flat(given), packages)
    level: list[Any] = [function]
    seen: set[int] = set()
    for _ in range(_LEVELS):
        if found:
            break
        level = [value for value in _flat(level) if id(value) not in seen]
        seen.update(map(id, level))
        found = _frameworks(level, packages)
        level = [inner for value in level for inner in _held(value)]
    return found


def _frameworks(values: list[Any], packages: Mapping[str, str]) -> set[str]:
    return {packages[name] for value in values for name in _packages_of(value) if name in packages}


def _packages_of(value: Any) -> set[str]:
    """The top-level packages that a value comes from: a module's own, a function's, those of an object's classes."""
    if isinstance(value, ModuleType):
        return {value.__name__.partition(".")[0]}
    homes: list[Any] = [cls.__module__ for cls in (value if isinstance(value, type) else type(value)).__mro__]
    if isinstance(value, FunctionType):  # a decorated one calls itself by the name of what it wraps
        homes += [value.__module__, value.__globals__.get("__name__")]
    elif callable(value) and not isinstance(value, type):  # written in C
        homes += [getattr(value, "__module__", None), getattr(type(getattr(value, "__self__", None)), "__module__", "")]
    return {home.partition(".")[0] for home in homes if isinstance(home, str)}


def _held(value: Any) -> Iterator[Any]:
    """What a callable is made of: its code's names, what it closes over, what it binds; an object's attributes."""
    if isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, FunctionType):
        yield from _named(value.__code__, value.__globals__)
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not assigned yet
                continue
    elif callable(value) and not isinstance(value, (type, ModuleType)):
        yield from getattr(value, "__dict__", {}).values()
        yield type(value).__call__


def _named(code: CodeType, names: Mapping[str, Any]) -> Iterator[Any]:
    """The globals that code reads, the attributes of modules among them, and what it imports; inner functions too."""
    current: Any = None
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            current = names.get(step.argval)
        elif step.opname == "IMPORT_NAME":
            current = sys.modules.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(current, ModuleType):
            current = vars(current).get(step.argval)
        else:
            continue
        yield current
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, names)


def _flat(values: list[Any]) -> list[Any]:
    """Values with lists, tuples and dicts among them opened."""
    found: list[Any] = []
    waiting = [*reversed(values)]
    while waiting and len(found) < _MOST:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.values()][:_MOST]
        elif isinstance(value, (list, tuple)):
            waiting += value[:_MOST]
        if value is not None:
            found.append(value)
    return found


__all__ = ["written_for"]
