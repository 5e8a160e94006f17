"""Flax nnx modules: split into structure and state, and put together again inside the trace.

The module itself is never called: a copy made of its structure is, so that its state and its random streams stay as
they were. Nothing here imports Flax: a module that was given has loaded it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock
from typing import Any

import jax

from multiprof.adapters.jax.compat import flat_state, from_flat_state, variable_class
from multiprof.adapters.jax.flax_linen import set_inference
from multiprof.adapters.jax.program import INPUT, Leaf, Program, arguments, build
from multiprof.inputs import Inputs
from multiprof.ir import BUFFER, CONSTANT, PARAMETER

# While a module is traced, the classes of its parts have another __call__: one at a time.
_one_at_a_time = RLock()


def nnx_program(module: Any, inputs: Inputs) -> Program:
    nnx = sys.modules["flax.nnx"]
    structure, state = nnx.split(module)
    variables = flat_state(nnx, state)
    kwargs = dict(inputs.kwargs)
    notes = set_inference(module, kwargs, len(inputs.args))
    call = build(type(module).__name__, lambda *args, **kw: (args, kw), arguments(module.__call__, inputs.args, kwargs))
    for leaf in call.leaves:
        leaf.kind = INPUT
    leaves = [_leaf(nnx, path, variable) for path, variable in variables]
    modules = {
        ".".join(str(part) for part in path): f"{type(part_).__module__}.{type(part_).__qualname__}"
        for path, part_ in _parts(nnx, module)
        if path
    }

    def run(arrays: list[Any]) -> Any:
        pairs = [(path, variable.replace(array)) for (path, variable), array in zip(variables, arrays, strict=False)]
        copy = nnx.merge(structure, from_flat_state(nnx, pairs))
        before = str(nnx.graphdef(copy))
        copy.eval()
        if str(nnx.graphdef(copy)) != before and not program.notes:
            program.notes.append("the model is in training mode; it was analysed as for inference")
        args, kw = call.function(arrays[len(variables) :])
        with _scopes(nnx, copy):
            return copy(*args, **kw)

    program = Program(type(module).__name__, run, [*leaves, *call.leaves], notes, modules=modules)
    return program


def _leaf(nnx: Any, path: tuple[Any, ...], variable: Any) -> Leaf:
    value = variable.get_value() if hasattr(variable, "get_value") else variable.value
    name = "/".join(str(part) for part in path)
    kind_of = variable_class(variable)
    random = any(cls.__name__ in ("RngState", "RngKey", "RngCount") for cls in kind_of.__mro__)
    learned = issubclass(kind_of, nnx.Param) and "float" in str(value.dtype)
    kind = CONSTANT if random else PARAMETER if learned else BUFFER
    return Leaf(name, kind, tuple(value.shape), value.dtype, True if learned else None, id(value), name)


def _parts(nnx: Any, module: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Every module in a module, itself included, with its path."""
    return [(path, part) for path, part in nnx.iter_graph(module) if isinstance(part, nnx.Module)]


@contextmanager
def _scopes(nnx: Any, copy: Any) -> Iterator[None]:
    """Every call of a part of ``copy`` opens a scope of the part's path."""
    paths = {id(part): ".".join(str(p) for p in path) for path, part in _parts(nnx, copy)}
    open_: list[str] = [""]

    def scoped(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def scoped_call(self: Any, *args: Any, **kwargs: Any) -> Any:
            path, outer = paths.get(id(self)), open_[-1]
            if not path or path == outer:
                return call(self, *args, **kwargs)
            inner = path[len(outer) + 1 :] if outer and path.startswith(f"{outer}.") else path
            open_.append(path)
            try:
                with jax.named_scope(inner.replace(".", "/")):
                    return call(self, *args, **kwargs)
            finally:
                open_.pop()

        return scoped_call

    classes = {cls for _, part in _parts(nnx, copy) for cls in type(part).__mro__ if "__call__" in cls.__dict__} - {
        object
    }
    with _one_at_a_time:
        saved: list[tuple[Any, Any]] = [(cls, cls.__dict__["__call__"]) for cls in classes]
        try:
            for cls, call in saved:
                cls.__call__ = scoped(call)
            yield
        finally:
            for cls, call in saved:
                cls.__call__ = call


__all__ = ["nnx_program"]
