"""What tracing a model would leave behind, and putting it back."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state

from multiprof.errors import InputsError, ModelError
from multiprof.inputs import Inputs
from multiprof.ir import TensorSpec

_CONTAINERS = (list, dict, set)
_COUNTERS = "object_name_uids"  # how many objects of each name there are
_GENERATOR = "global_seed_generator"  # made when a random number is first asked for


@contextmanager
def settings_unchanged() -> Iterator[None]:
    """What loading, copying and calling a model moves on in the process: Python's random numbers, which seeds are made
    of, the counters behind names, and the generator of random numbers without a seed. Meanwhile an error of the model
    is raised as it is, not wrapped into Keras's account of the call."""
    numbers = random.getstate()
    filtering = keras.config.is_traceback_filtering_enabled()
    counters = global_state.get_global_attribute(_COUNTERS)
    before = None if counters is None else dict(counters)
    generator = global_state.get_global_attribute(_GENERATOR)
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if filtering:
            keras.config.enable_traceback_filtering()
        random.setstate(numbers)
        global_state.set_global_attribute(_GENERATOR, generator)
        made = global_state.get_global_attribute(_COUNTERS)
        if made is not None:
            made.clear()
            made.update(before or {})


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """The layers under a model come back with the attributes that they had, and what stands in lists among them: a
    call notes that it was called, and the model's own code may keep tensors, losses or counters."""
    kept: list[tuple[Any, Any]] = []
    for layer in _layers(model):
        state = layer.__dict__
        inner = [getattr(value, "__wrapped__", value) for value in state.values()]  # TensorFlow wraps a dict
        kept += [(value, _copied(value)) for value in inner if isinstance(value, _CONTAINERS)]
        kept.append((state, state.copy()))
    try:
        yield
    finally:
        for container, before in kept:
            _refill(container, before)


def _copied(container: Any) -> Any:
    return (list if isinstance(container, list) else dict if isinstance(container, dict) else set)(container)


def _refill(container: Any, before: Any) -> None:
    """By the methods of the plain classes: Keras's own note what is added as the layer's."""
    if isinstance(container, list):
        list.__setitem__(container, slice(None), before)
    elif isinstance(container, dict):
        dict.clear(container)
        dict.update(container, before)
    else:
        set.clear(container)
        set.update(container, before)


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers())


def built(model: Any, inputs: Inputs) -> Any:
    """The model itself where its weights are made; else a copy, built for these inputs."""
    if all(layer.built for layer in _layers(model)):
        return model
    classes = {type(layer).__name__: type(layer) for layer in _layers(model)}
    try:
        with unchanged(model), keras.saving.custom_object_scope(classes):
            duplicate = copy.deepcopy(model)
    except Exception as error:
        duplicate = _made_again(model)
        if duplicate is None:
            raise ModelError(
                f"{model.name!r} has no weights yet and cannot be copied to make them (it has no get_config that says "
                "how it was made): build it first, or call it once"
            ) from error
    args = [_symbolic(value, f"input {i}") for i, value in enumerate(inputs.args)]
    kwargs = {name: _symbolic(value, name) for name, value in inputs.kwargs.items()}
    try:
        duplicate(*args, **kwargs)
    except Exception as error:
        raise InputsError(f"{model.name!r} cannot be built for the inputs given: {_said(error)}") from error
    if not duplicate.built:
        raise ModelError(f"{model.name!r} is not built: call it once first")
    return duplicate


def _made_again(model: Any) -> Any:
    """A model of the same class with the defaults of its arguments, where it was made so and is as it was made;
    ``None`` where anything tells that it was not."""
    try:
        duplicate = type(model)()
    except Exception:
        return None
    if len(_layers(model)) != len(_layers(duplicate)):
        return None
    pairs = list(zip(_layers(model), _layers(duplicate), strict=True))
    if not all(_alike(one, other) for one, other in pairs):
        return None
    for one, other in pairs:
        other.name = one.name
    return duplicate


def _alike(one: Any, other: Any) -> bool:
    """Whether two layers are of one class, and hold the same: a number of repetitions may stand in an attribute."""
    mine, others = vars(one), vars(other)
    if type(one) is not type(other) or mine.keys() != others.keys() or one.dtype_policy.name != other.dtype_policy.name:
        return False
    return all(key == "name" or _same(value, others[key], key.startswith("_")) for key, value in mine.items())


def _same(one: Any, other: Any, private: bool) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (int, float, str)):
        return bool(one == other)
    if isinstance(one, keras.layers.Layer):
        return True  # compared with its own attributes
    if isinstance(one, (list, tuple)):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_same(a, b, private) for a, b in pairs)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key], private) for key, value in one.items())
    # Keras's own: trackers, initializers, wrapped methods; of anyone else's objects nothing can be said
    return (
        private
        or str(type(one).__module__).startswith("keras.")
        or str(getattr(one, "__module__", "")).startswith("keras.")
    )


def _said(error: Exception) -> str:
    """What went wrong, out of all that Keras says around it, in colours."""
    text = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())
    text = text.rpartition("Error encountered: ")[2].partition(" Arguments received by ")[0]
    return text[:300] or type(error).__name__


def _symbolic(value: Any, name: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_symbolic(item, name) for item in value)
    if isinstance(value, dict):
        return {key: _symbolic(item, name) for key, item in value.items()}
    if isinstance(value, TensorSpec) or (hasattr(value, "shape") and hasattr(value, "dtype")):
        dtype = str(value.dtype).rpartition(".")[2] or keras.config.floatx()
        return keras.KerasTensor(tuple(value.shape), dtype=dtype)
    return value


__all__ = ["built", "settings_unchanged", "unchanged"]
