"""While a model is traced: every call of a layer is numbered and opens a scope, recurrent loops become a stand-in.

The scopes are called ``kscope<number>``, so that they survive whatever a backend does to names; `Calls` knows which
layer each stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock, get_ident
from typing import Any

import keras

from multiprof.adapters.keras.backends import in_scope
from multiprof.adapters.keras.functions import Described
from multiprof.adapters.keras.recurrent import Recurrent, described
from multiprof.adapters.keras.standin import put_in_place

_one_at_a_time = RLock()  # the methods put in place below are the whole process's


@dataclass(slots=True)
class Call:
    """A scope: the module path it stands for, and the recurrent layer whose stand-in it holds, if any."""

    path: str
    recurrent: Recurrent | None = None
    part: str = ""  # of a stand-in: operand or result, and which


@dataclass(slots=True)
class Calls:
    """Every scope and every call of a function by its number, and the class of each module by its path."""

    root: Any
    functions: list[Described] = field(default_factory=list)
    known: list[Call] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=lambda: [""])

    def open(self, call: Call, function: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        self.known.append(call)
        return in_scope(f"kscope{len(self.known) - 1}", function, args, kwargs or {})

    def scoped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A layer's ``__call__`` that is recorded in this thread, and as it was in every other."""
        thread = get_ident()

        def scoped_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if get_ident() != thread:
                return original(layer, *args, **kwargs)
            return self.layer(original, layer, args, kwargs)

        return scoped_call

    def layer(self, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """The call of a layer under its own scope; the model itself and a super().__call__ open none."""
        if layer is self.root or (self.stack and self.stack[-1] is layer):
            return original(layer, *args, **kwargs)
        outer = self.paths[-1]
        name = layer.name.replace(".", "_")  # Keras 2 calls a function's layer tf.nn.relu
        path = f"{outer}.{name}" if outer else name
        self.classes.setdefault(path, f"{type(layer).__module__}.{type(layer).__qualname__}")
        self.stack.append(layer)
        self.paths.append(path)
        try:
            return self.open(Call(path), original, (layer, *args), kwargs)
        finally:
            self.stack.pop()
            self.paths.pop()

    def loop(self, original: Callable[..., Any], layer: Any, kwargs: dict[str, Any], stated: bool) -> Any:
        """What a recurrent layer computes over its sequence, as a stand-in of the same shapes where it is a known one.

        Every operand is summed in a scope of its own, and every result made from the sums in one of its own: so the
        graph shows which tensors go in and out. `multiprof.adapters.keras.rewrite` puts one layer in the place of all.
        """
        sequences, mask = kwargs["sequences"], kwargs.get("mask")
        found = described(layer, sequences)
        if found is None:
            return _stepwise(original, layer, kwargs)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        operands = {"x": sequences}
        if stated:
            states = kwargs["initial_state"]
            states = states if isinstance(states, (list, tuple)) else [states]
            operands |= dict(zip(("h0", "c0"), states, strict=False))
        results = self.stand_in(found, operands, mask, layer.compute_dtype, keras.ops)
        hidden = results.get("hn", results["y"])
        return hidden, results["y"], [hidden, results["cn"]] if "cn" in results else [hidden]

    def stand_in(self, found: Recurrent, operands: dict[str, Any], mask: Any, dtype: Any, ops: Any) -> Any:
        """The results by role, made of every operand and of nothing else, with the functions of ``ops``."""
        path = self.paths[-1]

        def in_place() -> Any:
            total = None
            for role, tensor in operands.items():
                part = self.open(Call(path, found, f"in {role}"), lambda t: ops.sum(ops.cast(t, dtype)), (tensor,))
                total = part if total is None else total + part
            if mask is not None:
                total = total + self.open(Call(path, found, "in mask"), lambda t: ops.sum(ops.cast(t, dtype)), (mask,))
            return {
                role: self.open(
                    Call(path, found, f"out {role}"), lambda s: ops.maximum(ops.broadcast_to(total, s), total), (s,)
                )
                for role, s in found.results.items()
            }

        return self.open(Call(path, found), in_place)


def _stepwise(original: Callable[..., Any], layer: Any, kwargs: dict[str, Any]) -> Any:
    """The loop as the backend runs it. On torch it is a loop of Python either way; written out, it runs no step more
    than there are, which it does otherwise to learn the shape of a result."""
    before = layer.unroll
    layer.__dict__["unroll"] = before or keras.backend.backend() == "torch"
    try:
        return original(layer, **kwargs)
    finally:
        layer.__dict__["unroll"] = before


@contextmanager
def recording(root: Any, functions: bool = True) -> Iterator[Calls]:
    """Every call of a Keras layer in this thread is recorded until the end, when the classes are as they were.

    With ``functions`` those that the vocabulary has are one step of the backend's program each.
    """
    calls = Calls(root)
    thread = get_ident()
    rnn = keras.layers.RNN
    saved: list[tuple[Any, str, Any]] = []

    def replace(cls: Any, name: str, function: Any) -> None:
        saved.append((cls, name, cls.__dict__.get(name)))
        setattr(cls, name, function)

    def looped(original: Any) -> Any:
        def inner_loop(self: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
            given = {"sequences": sequences, "initial_state": initial_state, "mask": mask, "training": training}
            if get_ident() != thread or type(self).inner_loop is not inner_loop:
                return original(self, **given)
            return calls.loop(original, self, given, stated.pop(id(self), True))

        return inner_loop

    stated: dict[int, bool] = {}

    def states(original: Any) -> Any:
        def get_initial_state(self: Any, *args: Any, **kwargs: Any) -> Any:
            stated[id(self)] = False  # zeros: no operand
            return original(self, *args, **kwargs)

        return get_initial_state

    with _one_at_a_time:
        try:
            replace(keras.layers.Layer, "__call__", calls.scoped(keras.layers.Layer.__call__))
            replace(rnn, "get_initial_state", states(rnn.get_initial_state))
            # masks of dropout, which inference does not use; to know their shapes, stacked cells would run once more
            for name in ("_maybe_config_dropout_masks", "_maybe_reset_dropout_masks"):
                replace(rnn, name, lambda *args: None)
            for cls in (rnn, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN):
                if "inner_loop" in cls.__dict__:
                    replace(cls, "inner_loop", looped(cls.__dict__["inner_loop"]))
            if keras.backend.backend() == "torch":  # a layer is a torch module too, which would open a second scope
                _bypass_torch(replace)
            if functions:
                put_in_place(replace, calls.functions)
            yield calls
        finally:
            for cls, name, before in reversed(saved):
                if before is None:
                    delattr(cls, name)
                else:
                    setattr(cls, name, before)


def _bypass_torch(replace: Callable[[Any, str, Any], None]) -> None:
    from keras.src.backend.torch.layer import TorchLayer

    replace(TorchLayer, "__call__", lambda self, *args, **kwargs: self.forward(*args, **kwargs))


__all__ = ["Call", "Calls", "recording"]
