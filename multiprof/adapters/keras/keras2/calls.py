"""While a model is traced: every call of a layer opens a scope, recurrent loops become a stand-in, as for Keras 3."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock, get_ident
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from multiprof.adapters.keras.calls import Call, Calls
from multiprof.adapters.keras.keras2.api import backend, home, layer_class
from multiprof.adapters.keras.recurrent import described

_one_at_a_time = RLock()  # the methods put in place below are the whole process's
_OPS = SimpleNamespace(sum=tf.reduce_sum, cast=tf.cast, broadcast_to=tf.broadcast_to, maximum=tf.maximum)


class TensorFlowCalls(Calls):
    """On TensorFlow, whatever the backend of a Keras 3 beside it."""

    def open(self, call: Call, function: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        self.known.append(call)
        with tf.name_scope(f"kscope{len(self.known) - 1}"):
            return function(*args, **(kwargs or {}))


@contextmanager
def recording(model: Any) -> Iterator[Calls]:
    """Every call of a layer in this thread is recorded until the end, when the classes are as they were.

    Meanwhile Keras's learning phase is that of inference, which layers take that nobody tells.
    """
    api = home(model)
    calls = TensorFlowCalls(model)
    thread = get_ident()
    saved: list[tuple[type, str, Any]] = []

    def replace(cls: type, name: str, make: Callable[[Any], Any]) -> None:
        original = cls.__dict__[name]
        saved.append((cls, name, original))
        setattr(cls, name, functools.wraps(original)(make(original)))  # under its module AutoGraph leaves it alone

    def looped(original: Any) -> Any:
        def call(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if get_ident() == thread:
                made = _canonical(calls, api, self, inputs, *args, **kwargs)
                if made is not None:
                    return made
            return original(self, inputs, *args, **kwargs)

        return call

    kinds = (api.layers.RNN, api.layers.LSTM, api.layers.GRU, api.layers.SimpleRNN)
    recurrent = dict.fromkeys(cls for kind in kinds for cls in kind.__mro__ if issubclass(cls, api.layers.RNN))
    with _one_at_a_time:
        try:
            replace(layer_class(model), "__call__", calls.scoped)
            for cls in recurrent:
                if "call" in cls.__dict__:
                    replace(cls, "call", looped)
            with backend(api).deprecated_internal_learning_phase_scope(0):
                yield calls
        finally:
            for cls, name, original in reversed(saved):
                setattr(cls, name, original)


def _canonical(
    calls: Calls,
    api: Any,
    layer: Any,
    inputs: Any,
    mask: Any = None,
    training: Any = None,
    initial_state: Any = None,
    constants: Any = None,
) -> Any:
    """What a recurrent layer returns, from a stand-in for its loop; ``None`` where that is no canonical layer."""
    sequences = inputs[0] if isinstance(inputs, list) else inputs
    if layer.time_major or constants is not None or not isinstance(sequences, tf.Tensor):  # ragged ones have no steps
        return None
    found = described(layer, sequences, api)
    if found is None:
        return None
    stated = layer.stateful or initial_state is not None or (isinstance(inputs, list) and len(inputs) > 1)
    sequences, states, _ = layer._process_inputs(inputs, initial_state, None)
    operands = {"x": sequences}
    if stated:
        operands |= dict(zip(("h0", "c0"), tf.nest.flatten(states), strict=False))
    mask = mask[0] if isinstance(mask, list) else mask
    results = calls.stand_in(found, operands, mask, layer.compute_dtype or sequences.dtype, _OPS)
    made = [results.get("hn", results["y"]), *([results["cn"]] if "cn" in results else [])]
    if layer.stateful:
        for variable, value in zip(tf.nest.flatten(layer.states), made, strict=True):
            variable.assign(tf.cast(value, variable.dtype))
    return [results["y"], *made] if layer.return_state else results["y"]


__all__ = ["recording"]
