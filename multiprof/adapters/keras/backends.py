"""What differs between Keras's backends: how a scope is opened, and how a call of the model becomes a function.

Each function that is handed to a backend's adapter carries the model's variables in the form that this adapter takes
for parameters, named ``kvar0``, ``kvar1`` … in the order of the list. Nothing here imports a backend: Keras has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import keras

from multiprof.errors import ModelError
from multiprof.inputs import Inputs
from multiprof.ir import TensorSpec

Scoped = Callable[..., Any]


def in_scope(name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call ``function`` while the backend's adapter sees a scope of this name around what it computes."""
    backend = keras.backend.backend()
    if backend == "jax":
        with sys.modules["jax"].named_scope(name):
            return function(*args, **kwargs)
    if backend == "tensorflow":
        with sys.modules["tensorflow"].name_scope(name):
            return function(*args, **kwargs)
    torch = sys.modules["torch"]
    # a module is the only scope there is: one of its own for this call
    module = type(name, (torch.nn.Module,), {"forward": lambda self, *a, **k: function(*a, **k)})()
    return module(*args, **kwargs)


def prepared(
    call: Callable[..., Any], variables: Sequence[Any], inputs: Inputs, name: str
) -> tuple[str, Callable[..., Any], Inputs]:
    """The backend, what its adapter is to trace, and on which inputs; ``call`` takes these inputs."""
    backend = keras.backend.backend()
    if backend == "jax":
        return backend, *_jax(call, variables, inputs, name)
    if backend == "tensorflow":
        return backend, _tensorflow(call, variables, name), inputs
    if backend == "torch":
        return backend, _torch(call, variables, name), inputs
    raise ModelError(f"Keras runs on its backend {backend}, which has no adapter: use tensorflow, jax or torch")


def _jax(
    call: Callable[..., Any], variables: Sequence[Any], inputs: Inputs, name: str
) -> tuple[Callable[..., Any], Inputs]:
    """A pure function: the variables are its first argument, held in place of Keras's own by a stateless scope."""

    def function(variables_: Any, /, *args: Any, **kwargs: Any) -> Any:
        values = variables_["params"] | variables_["fixed"]
        mapping = [(v, values[f"kvar{i}"]) for i, v in enumerate(variables)]
        with keras.StatelessScope(state_mapping=mapping):
            return call(*args, **kwargs)

    function.__name__ = name
    collections: dict[str, dict[str, TensorSpec]] = {"params": {}, "fixed": {}}
    for i, v in enumerate(variables):
        kind = "params" if v.trainable else "fixed"
        collections[kind][f"kvar{i}"] = TensorSpec(tuple(v.shape), str(v.dtype))
    return function, Inputs(collections, *inputs.args, **inputs.kwargs)


def _tensorflow(call: Callable[..., Any], variables: Sequence[Any], name: str) -> Callable[..., Any]:
    """The call itself: TensorFlow's variables are captured, and known by their handles."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    function.__name__ = name
    function.variables = [  # type: ignore[attr-defined]  # where the adapter finds those of a module
        SimpleNamespace(
            handle=v._value.handle, name=f"kvar{i}", shape=v._value.shape, dtype=v._value.dtype, trainable=v.trainable
        )
        for i, v in enumerate(variables)
    ]
    return function


def _torch(call: Callable[..., Any], variables: Sequence[Any], name: str) -> Callable[..., Any]:
    """A module that holds every variable's tensor directly, whatever layer it is of."""
    torch = sys.modules["torch"]
    module = type(name, (torch.nn.Module,), {"forward": lambda self, *a, **k: call(*a, **k)})()
    for i, v in enumerate(variables):
        module._parameters[f"kvar{i}"] = v._value
    module.training = False  # how Keras will call it
    return module  # type: ignore[no-any-return]


__all__ = ["in_scope", "prepared"]
