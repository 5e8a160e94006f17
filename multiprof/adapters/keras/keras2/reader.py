"""Entry for Keras 2: as for Keras 3, on TensorFlow alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from multiprof.adapters._common.binding import Declared
from multiprof.adapters.keras.entry import described, matched
from multiprof.adapters.keras.keras2.api import home, version
from multiprof.adapters.keras.keras2.calls import recording
from multiprof.adapters.keras.keras2.files import load
from multiprof.adapters.keras.keras2.state import built, settings_unchanged, unchanged, variables_of
from multiprof.adapters.keras.rewrite import Variable, rewritten
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph


def read_file(path: Path, inputs: Inputs | None, keras: Any, *, trace: Trace, options: ReadOptions) -> Graph:
    """Read an .h5 or .keras file with this Keras 2."""
    with settings_unchanged(keras):
        graph = read(load(path, options.trust, keras), inputs, trace=trace, options=options)
    if options.trust:
        graph.metadata["trust"] = True
    return graph


def read(model: Any, inputs: Inputs | None, *, trace: Trace, options: ReadOptions) -> Graph:
    """Read a model or layer of Keras 2; raises `InputsError` where sizes are missing."""
    keras = home(model)
    declared = _declared(model)
    bound, inputs = matched(model, declared, inputs, options.dims)
    with settings_unchanged(keras):
        model = built(model, inputs)

        def call(*args: Any, **kwargs: Any) -> Any:
            return model(*((_packed(model, args),) if bound is not None else args), **kwargs)

        variables = variables_of(model)
        with recording(model) as calls, unchanged(model):
            graph = trace("tensorflow", _with_variables(call, variables, model.name), inputs)
    graph = rewritten(graph, variables, calls, [item.name for item in declared or ()] if bound else [])
    described(graph, model, f"{version(keras)} on tensorflow", calls.classes, bound)
    return graph


def _declared(model: Any) -> list[Declared] | None:
    """The inputs of a Functional or Sequential model, flat in Keras's order; ``None`` where the model has none."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        return None
    found = []
    for tensor in tensors:
        shape = tuple("batch" if d is None and axis == 0 else d for axis, d in enumerate(tensor.shape.as_list()))
        found.append(Declared(tensor.name.partition(":")[0], shape, tensor.dtype.name))
    return found


def _packed(model: Any, tensors: tuple[Any, ...]) -> Any:
    """The flat inputs in the structure that the model was made with."""
    structure = getattr(model, "_nested_inputs", None)
    if structure is None:
        return tensors[0] if len(tensors) == 1 else list(tensors)
    return tf.nest.pack_sequence_as(structure, list(tensors))


def _with_variables(call: Any, variables: list[Variable], name: str) -> Any:
    """The call itself, with the variables where the adapter finds those of a module, known by their handles."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    function.__name__ = name
    function.variables = [  # type: ignore[attr-defined]  # as a module has them
        SimpleNamespace(
            handle=v.value.handle, name=f"kvar{i}", shape=v.value.shape, dtype=v.value.dtype,
            trainable=bool(v.value.trainable),
        )
        for i, v in enumerate(variables)
    ]  # fmt: skip
    return function


__all__ = ["read", "read_file"]
