"""Every kind of callable as a `Program`: functions, partial applications, callable pytrees, Flax modules."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

import jax

from multiprof.adapters.jax.flax_linen import linen_program
from multiprof.adapters.jax.flax_nnx import nnx_program
from multiprof.adapters.jax.program import Argument, Program, arguments, build, is_leaf, parameter_names
from multiprof.errors import InputsError, ModelError
from multiprof.inputs import Inputs


def program_of(model: Any, inputs: Inputs | None) -> Program:
    """The program of calling ``model`` on ``inputs``; raises `InputsError` where there are none and some are needed."""
    if _is_instance(model, "flax.linen", "Module"):
        return linen_program(model, _given(model, inputs))
    if _is_instance(model, "flax.nnx", "Module"):
        return nnx_program(model, _given(model, inputs))
    if not callable(model):
        raise ModelError(
            f"a {type(model).__name__} is no callable: give a function of arrays, a Flax module, or a ClosedJaxpr"
        )
    function, before, keywords = _unbound(model)
    name = _name(function)
    given = _given(function, inputs, len(before), keywords)
    found = arguments(function, [*before, *given.args], given.kwargs, len(before))
    found += [Argument(key, key, value, bound=True) for key, value in keywords.items() if key not in given.kwargs]
    if _is_pytree(function):
        # the leaves of a callable pytree are its parameters: the tree itself is the first argument
        shifted = [Argument(a.key + 1 if isinstance(a.key, int) else a.key, a.name, a.value, a.bound) for a in found]
        tree = Argument(0, "", function, bound=True)
        return build(name, lambda itself, *args, **kwargs: itself(*args, **kwargs), [tree, *shifted])
    owner = getattr(function, "__self__", None)
    return build(name, function, found, type(owner).__name__ if _is_flax(owner) else "")


def _unbound(model: Any) -> tuple[Any, list[Any], dict[str, Any]]:
    """The function behind partial applications, with the arguments that they bind."""
    args: list[Any] = []
    keywords: dict[str, Any] = {}
    while isinstance(model, functools.partial):  # jax.tree_util.Partial is one too
        args = [*model.args, *args]
        keywords = {**model.keywords, **keywords}
        model = model.func
    return model, args, keywords


def _given(model: Any, inputs: Inputs | None, bound: int = 0, keywords: Mapping[str, Any] | None = None) -> Inputs:
    """The caller's inputs; none are needed by a function without arguments."""
    if inputs is not None:
        return inputs
    names, _ = parameter_names(model)
    if callable(model) and not [n for n in names[bound:] if n not in (keywords or {})] and not _is_flax(model):
        return Inputs()
    raise InputsError(
        "a JAX function does not carry its input shapes: give inputs, e.g. (1, 224, 224, 3) or --input 1x224x224x3"
    )


def _is_flax(model: Any) -> bool:
    return _is_instance(model, "flax.linen", "Module") or _is_instance(model, "flax.nnx", "Module")


def _is_instance(model: Any, module: str, name: str) -> bool:
    """Whether it is of a class of a library that may not even be loaded, and then it is not."""
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(model, cls)


def _is_pytree(model: Any) -> bool:
    """Whether a callable is a registered container of arrays rather than a leaf."""
    leaves = jax.tree_util.tree_leaves(model, is_leaf=lambda value: value is not model and is_leaf(value))
    return not (len(leaves) == 1 and leaves[0] is model) and any(is_leaf(leaf) for leaf in leaves)


def _name(function: Any) -> str:
    name = getattr(function, "__name__", "") or type(function).__name__
    owner = getattr(function, "__self__", None)
    if name in ("apply", "__call__") and owner is not None and not isinstance(owner, type):
        return type(owner).__name__
    return "function" if name == "<lambda>" else str(name)


__all__ = ["program_of"]
