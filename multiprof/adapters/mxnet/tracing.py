"""Tracing a Gluon block: it is called with symbols in place of arrays, and left as it was found."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mxnet as mx

from multiprof.adapters.mxnet.imperative import symbols_for_arrays
from multiprof.blame import describe
from multiprof.errors import InputsError, ModelError, MultiprofError
from multiprof.inputs import Inputs, is_shape
from multiprof.ir import TensorSpec


def trace_block(block: Any, inputs: Inputs, name: str) -> tuple[Any, dict[str, TensorSpec]]:
    """The symbol of a block, and its inputs by the names that ``export`` gives them: ``data``, or ``data0``, ``data1``…

    `InputsError` where the inputs do not fit its arguments, `ModelError` where its code does what symbols cannot.
    """
    arguments = _arguments(block, inputs, name)
    specs = list(_leaves(arguments))
    if not specs:
        raise InputsError(f"{name} needs the shape of an input, such as 1x3x224x224")
    names = iter(["data"] if len(specs) == 1 else [f"data{i}" for i in range(len(specs))])
    given: dict[str, TensorSpec] = {}
    # a scope of its own, so that what has no name is numbered from 0 and the counters outside stay
    with _as_it_was(block), mx.name.NameManager(), symbols_for_arrays():
        symbols = [_symbols(argument, names, given) for argument in arguments]
        try:
            made = block(*symbols)
        except MultiprofError:
            raise
        except Exception as error:
            why = describe(error).partition("Stack trace")[0].strip()[:300]
            raise ModelError(
                f"{name} cannot be traced: it is called with symbols, as hybridize() does, and does what they cannot: "
                f"{why}"
            ) from error
    return mx.sym.Group(list(_results(made, name))), given


def _symbols(argument: Any, names: Iterator[str], given: dict[str, TensorSpec]) -> Any:
    """An argument with a variable for each shape in it, in the style of arrays that is switched on."""
    if isinstance(argument, list):
        return [_symbols(item, names, given) for item in argument]
    spec = _spec(argument)
    if spec is None:
        return argument
    name = next(names)
    given[name] = TensorSpec(spec.shape, spec.dtype, name)
    variable = mx.sym.var(name)
    return variable.as_np_ndarray() if mx.util.is_np_array() else variable


def _results(made: Any, name: str) -> Iterator[Any]:
    if isinstance(made, mx.sym.Symbol):
        yield made
    elif isinstance(made, dict):
        for item in made.values():
            yield from _results(item, name)
    elif isinstance(made, (list, tuple)):
        for item in made:
            yield from _results(item, name)
    elif made is not None:
        raise ModelError(f"{name} cannot be traced: called with symbols it returns a {type(made).__name__}")


# -- arguments --------------------------------------------------------------------------------------------------------


def _spec(value: Any) -> TensorSpec | None:
    if isinstance(value, TensorSpec):
        return value
    return TensorSpec(value, "") if is_shape(value) else None


def _leaves(value: Any) -> Iterator[TensorSpec]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif (spec := _spec(value)) is not None:
        yield spec


def _arguments(block: Any, inputs: Inputs, name: str) -> list[Any]:
    """All arguments by position, for blocks take no others; named ones by their place in the block's code, or by the
    names that an export would give them."""
    arguments = list(inputs.args)
    parameters, open_ended = _parameters(block)
    if len(arguments) > len(parameters) and not open_ended:
        takes = ", ".join(parameter.name for parameter in parameters)
        raise InputsError(f"{len(arguments)} inputs are given; {name} has {len(parameters)}: {takes}")
    places = {parameter.name: place for place, parameter in enumerate(parameters)}
    total = len(arguments) + len(inputs.kwargs)
    missing = object()
    for key, value in inputs.kwargs.items():
        place = places.get(key)
        if place is None and key.startswith("data") and (key == "data" or key[4:].isdigit()):
            place = int(key[4:] or 0)
        if place is None or place >= (total if open_ended else len(parameters)):
            takes = ", ".join(places) or "none that has a name"
            raise InputsError(f"{name} has no input {key!r}; it has {takes}")
        arguments += [missing] * (place + 1 - len(arguments))
        if arguments[place] is not missing:
            raise InputsError(f"{name}: the input {key!r} is given twice")
        arguments[place] = value
    needed = [place for place, parameter in enumerate(parameters) if parameter.default is parameter.empty]
    arguments += [missing] * (max(needed, default=-1) + 1 - len(arguments))
    for place, value in enumerate(arguments):
        if value is not missing:
            continue
        if place >= len(parameters) or place in needed:
            which = repr(parameters[place].name) if place < len(parameters) else place + 1
            raise InputsError(f"{name} needs the input {which} too: give its shape")
        arguments[place] = parameters[place].default
    return arguments


def _parameters(block: Any) -> tuple[list[inspect.Parameter], bool]:
    """The positional parameters of whichever method of the block says what it takes; and whether it takes any more."""
    cls = type(block)
    if cls.__call__ is not mx.gluon.Block.__call__:
        method, skipped = cls.__call__, 1
    elif cls.forward not in (mx.gluon.Block.forward, mx.gluon.HybridBlock.forward):
        method, skipped = cls.forward, 1
    else:
        method, skipped = getattr(cls, "hybrid_forward", cls.forward), 2  # self, and the namespace F
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = getattr(block, "_reg_params", {})
    everything = inspect.signature(method).parameters.values()
    found = [parameter for parameter in everything if parameter.kind in kinds]
    open_ended = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in everything)
    return [parameter for parameter in found[skipped:] if parameter.name not in own], open_ended


# -- purity -----------------------------------------------------------------------------------------------------------


@contextmanager
def _as_it_was(block: Any) -> Iterator[None]:
    """Blocks, their parameters and the containers they hold are afterwards as before; hooks do not run meanwhile.

    A trace makes each parameter's variable, with the shape it has then; blocks may note things of their own.
    """
    kept: list[tuple[Any, Any]] = []
    blocks = list(_blocks(block))
    for item in blocks:
        scope = getattr(item, "_scope", None)
        owners = [item, scope, getattr(item, "_params", None), *item.params.values()]
        for owner in owners:
            if owner is None:
                continue
            state = vars(owner)
            kept += [(value, value.copy()) for value in state.values() if type(value) in (dict, list, OrderedDict, set)]
            kept.append((state, state.copy()))
    try:
        for item in blocks:
            vars(item).update(_forward_hooks=OrderedDict(), _forward_pre_hooks=OrderedDict())
        yield
    finally:
        for container, before in kept:
            container.clear()
            container.extend(before) if isinstance(container, list) else container.update(before)


def _blocks(block: Any) -> Iterator[Any]:
    seen = {id(block)}
    waiting = [block]
    while waiting:
        item = waiting.pop()
        yield item
        for child in item._children.values():
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


__all__ = ["trace_block"]
