"""A model's variables, what tracing it would leave behind, and the copy of one that has no weights yet."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

from multiprof.adapters._common.binding import as_spec
from multiprof.adapters.keras.keras2.api import backend, home, layers_of
from multiprof.adapters.keras.rewrite import Variable
from multiprof.errors import InputsError, ModelError
from multiprof.inputs import Inputs, is_shape
from multiprof.ir import BUFFER, CONSTANT, PARAMETER, TensorSpec


def variables_of(model: Any) -> list[Variable]:
    """Every variable under a model, once, under unique names.

    What was made as trainable is a parameter, frozen or not; other weights (moving statistics) are buffers, as
    `count_params` counts both; the states of stateful recurrent layers are no weights: constants.
    """
    trained = {id(v) for v in model.trainable_weights}
    weights = {id(v): v for v in model.weights}
    states = [s for layer in layers_of(model) for s in tf.nest.flatten(getattr(layer, "states", None))]
    found: list[Variable] = []
    names: dict[str, int] = {}
    for v in (*weights.values(), *{id(s): s for s in states if isinstance(s, tf.Variable)}.values()):
        path = v.name.partition(":")[0]
        number = names[path] = names.get(path, 0) + 1
        kind = CONSTANT if id(v) not in weights else PARAMETER if v.trainable else BUFFER
        trainable = id(v) in trained if kind == PARAMETER else None
        found.append(Variable(v, path if number == 1 else f"{path}_{number - 1}", kind, trainable))
    return found


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """The layers under a model come back with the attributes that they had, lists of losses and updates as long."""
    saved = []
    for layer in layers_of(model):
        attributes = dict(layer.__dict__)
        saved.append((layer, attributes, {n: list(v) for n, v in attributes.items() if type(v) is list}))
    try:
        yield
    finally:
        for layer, attributes, lists in saved:
            layer.__dict__.clear()
            layer.__dict__.update(attributes)
            for name, items in lists.items():
                attributes[name][:] = items


@contextmanager
def settings_unchanged(keras: Any) -> Iterator[None]:
    """What loading or copying a model moves on in the process: the random numbers of Python and of TensorFlow, and the
    counters behind names."""
    numbers, seeds = random.getstate(), getattr(context.context(), "_rng", None)
    state = None if seeds is None else seeds.getstate()
    counters = backend(keras).PER_GRAPH_OBJECT_NAME_UIDS
    before = {graph: dict(known) for graph, known in counters.items()}
    try:
        yield
    finally:
        random.setstate(numbers)
        if seeds is not None:
            seeds.setstate(state)
        for graph, known in counters.items():
            known.clear()
            known.update(before.get(graph, {}))


def built(model: Any, inputs: Inputs) -> Any:
    """The model itself where its weights are made; else a copy, built for these inputs in a graph that never runs."""
    if all(layer.built for layer in layers_of(model)):
        return model
    classes = {type(layer).__name__: type(layer) for layer in layers_of(model)}
    try:
        with home(model).utils.custom_object_scope(classes):
            duplicate = copy.deepcopy(model)
    except Exception as error:
        raise ModelError(
            f"{model.name!r} has no weights yet and cannot be copied to make them: build it first, or call it once"
        ) from error
    args = [_symbolic(value) for value in inputs.args]
    kwargs = {name: _symbolic(value) for name, value in inputs.kwargs.items()}
    try:
        tf.function(lambda *a, **k: duplicate(*a, **k)).get_concrete_function(*args, **kwargs)
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputsError(f"{model.name!r} cannot be built for the inputs given: {text[:300]}") from error
    if not duplicate.built:
        raise ModelError(f"{model.name!r} is not built: call it once first")
    return duplicate


def _symbolic(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _symbolic(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not is_shape(value):
        return type(value)(_symbolic(item) for item in value)
    if isinstance(value, TensorSpec) or is_shape(value) or (hasattr(value, "shape") and hasattr(value, "dtype")):
        spec = as_spec(value, "an input")
        return tf.TensorSpec(spec.shape, spec.dtype or "float32")
    return value


__all__ = ["built", "settings_unchanged", "unchanged", "variables_of"]
