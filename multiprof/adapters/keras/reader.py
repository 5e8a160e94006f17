"""Entry of the adapter: the model's inputs are bound, its call is traced by the backend's adapter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras

from multiprof.adapters._common.binding import Declared
from multiprof.adapters.keras.backends import prepared
from multiprof.adapters.keras.calls import Calls, recording
from multiprof.adapters.keras.compat import inputs_of
from multiprof.adapters.keras.entry import described, matched
from multiprof.adapters.keras.files import load
from multiprof.adapters.keras.rewrite import rewritten, variables_of
from multiprof.adapters.keras.state import built, settings_unchanged, unchanged
from multiprof.errors import MultiprofError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph


@settings_unchanged()
def read(
    model: Any,
    inputs: Inputs | None,
    *,
    leaves: frozenset[str],
    trace: Trace,
    options: ReadOptions,
) -> Graph:
    """Read a model or layer of Keras, or a .keras or .h5 file, on the backend that Keras is set to.

    Raises `InputsError` where sizes are missing and `ModelError` where the file cannot be loaded or the model not run.
    """
    from_file = isinstance(model, Path)
    if from_file:
        model = load(model, options.trust)
    declared = _declared(model)
    bound, inputs = matched(model, declared, inputs, options.dims)
    model = built(model, inputs)
    training = {"training": False} if model._call_has_training_arg else {}

    def call(*args: Any, **kwargs: Any) -> Any:
        if bound is not None:
            args = (_packed(model, args),)
        return model(*args, **{**kwargs, **training})

    variables = variables_of(model)
    for functions in (True, False):  # where something transforms the program, it must be the backend's alone
        try:
            with recording(model, functions) as calls, unchanged(model):
                backend, function, given = prepared(call, [v.value for v in variables], inputs, model.name)
                graph = trace(backend, function, given)
            break
        except MultiprofError as error:
            if not functions:
                raise type(error)(_by_paths(str(error), calls)) from error.__cause__
    graph = rewritten(graph, variables, calls, [item.name for item in declared or ()] if bound else [])
    described(graph, model, f"{keras.__version__} on {backend}", calls.classes, bound)
    if from_file and options.trust:
        graph.metadata["trust"] = True
    return graph


def _by_paths(message: str, calls: Calls) -> str:
    """A backend's message with the paths of layers for the scopes that stand for them."""
    return re.sub(r"(?:[\w.]*[./])?kscope(\d+)", lambda scope: calls.known[int(scope[1])].path, message)


def _declared(model: Any) -> list[Declared] | None:
    """The inputs of a Functional or Sequential model, flat in Keras's order; ``None`` where the model has none."""
    tensors = inputs_of(model)
    if not tensors:
        return None
    names: dict[str, int] = {}
    found = []
    for tensor in tensors:
        number = names[tensor.name] = names.get(tensor.name, 0) + 1
        name = tensor.name if number == 1 else f"{tensor.name}_{number - 1}"
        shape = tuple("batch" if d is None and axis == 0 else d for axis, d in enumerate(tensor.shape))
        found.append(Declared(name, shape, str(keras.backend.standardize_dtype(tensor.dtype))))
    return found


def _packed(model: Any, tensors: tuple[Any, ...]) -> Any:
    """The flat inputs in the structure that the model was made with."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        structure = getattr(getattr(model, "_functional", None), "_inputs_struct", None)
    if structure is None:
        return tensors[0] if len(tensors) == 1 else list(tensors)
    return keras.tree.pack_sequence_as(structure, list(tensors))


__all__ = ["read"]
