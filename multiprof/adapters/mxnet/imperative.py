"""Functions on arrays, as a plain ``Block`` calls them, answer symbols with symbols while a block is traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mxnet as mx

_MODULES = ("", "op", "contrib", "linalg", "random", "image", "sparse")
# These make constants, which symbols cannot be mixed with as long as they are arrays.
_CONSTANTS = ("zeros", "ones", "full", "arange", "eye", "linspace")
_BEGIN_STATE: tuple[Any, ...] = (
    mx.gluon.rnn.rnn_layer._RNNLayer.begin_state,
    mx.gluon.rnn.rnn_cell.RecurrentCell.begin_state,
)


@contextmanager
def symbols_for_arrays() -> Iterator[None]:
    """``mx.nd.relu(symbol)`` is ``mx.sym.relu(symbol)`` meanwhile, and ``mx.nd.zeros(shape)`` a symbol; what is called
    with arrays alone is what it was. Code that has imported a function by its own name is not reached."""
    kept: list[tuple[Any, str, Any]] = []
    zeros = mx.nd.zeros
    try:
        for name in _MODULES:
            arrays = getattr(mx.nd, name, None) if name else mx.nd
            symbols = getattr(mx.sym, name, None) if name else mx.sym
            if arrays is None or symbols is None:
                continue
            for key, function in list(vars(arrays).items()):
                twin = vars(symbols).get(key)
                if key.startswith("__") or not _is_function(function) or not _is_function(twin):
                    continue
                kept.append((arrays, key, function))
                setattr(arrays, key, _either(function, twin, always=not name and key in _CONSTANTS))
        for begin in _BEGIN_STATE:  # holds ``zeros`` of arrays as a default
            kept.append((begin, "__defaults__", begin.__defaults__))
            begin.__defaults__ = tuple(mx.sym.zeros if d is zeros else d for d in begin.__defaults__ or ())
        yield
    finally:
        for owner, key, function in kept:
            setattr(owner, key, function)


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _either(function: Callable[..., Any], twin: Callable[..., Any], *, always: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def chosen(*args: Any, **kwargs: Any) -> Any:
        if always:
            kwargs.pop("ctx", None)  # the device of an array
        return (twin if always or _holds_symbols((args, kwargs)) else function)(*args, **kwargs)

    return chosen


def _holds_symbols(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_symbols, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_symbols, value))
    return isinstance(value, mx.sym.Symbol)


__all__ = ["symbols_for_arrays"]
