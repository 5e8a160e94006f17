"""Names for arrays that a function closes over: those under which its code knows them."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import jax
import numpy as np

from multiprof.adapters.jax.program import is_leaf, path_text

_DEPTH = 4  # functions in functions


def closed_over(function: Any) -> dict[int, str]:
    """Array, by identity or (numpy) by minus its address, -> ``variable/path``."""
    found: dict[int, str] = {}
    _search(function, found, set(), 0)
    return found


def _search(function: Any, found: dict[int, str], seen: set[int], depth: int) -> None:
    if depth > _DEPTH or id(function) in seen:
        return
    seen.add(id(function))
    function = inspect.unwrap(function) if callable(function) else function
    if isinstance(function, functools.partial):
        _search(function.func, found, seen, depth + 1)
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, type):
        _collect("", owner, found)
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return
    variables: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            variables[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    variables |= {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
    for name, value in variables.items():
        if callable(value) and not is_leaf(value):
            _search(value, found, seen, depth + 1)
        if not inspect.ismodule(value) and not isinstance(value, type):
            _collect(name, value, found)


def _collect(name: str, value: Any, found: dict[int, str]) -> None:
    """The arrays in a value: a pytree, or an object with attributes."""
    try:
        flat = jax.tree_util.tree_flatten_with_path(value)[0]
    except Exception:  # a container that cannot be ordered: its arrays stay without names
        return
    if len(flat) == 1 and flat[0][1] is value and not is_leaf(value):
        attributes = getattr(value, "__dict__", {})
        flat = jax.tree_util.tree_flatten_with_path({k: v for k, v in attributes.items() if is_leaf(v)})[0]
    for path, leaf in flat:
        if not is_leaf(leaf):
            continue
        text = "/".join(part for part in (name, path_text(path, "/")) if part)
        found.setdefault(id(leaf), text)
        if isinstance(leaf, np.ndarray):
            found.setdefault(-int(leaf.__array_interface__["data"][0]), text)


__all__ = ["closed_over"]
