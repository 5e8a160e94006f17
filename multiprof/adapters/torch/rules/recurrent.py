"""Recurrent networks: one layer per direction and layer of the stack, the whole sequence at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.rules._moves import Base
from multiprof.adapters.torch.rules.dropout import dropout
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer

_OPTIONS = ("has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", "params", *_OPTIONS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", "params", *_OPTIONS)
_ROLES = {
    # (biases, projection) -> the roles of one direction's weights, in torch's order
    (True, False): ("weight_ih", "weight_hh", "bias_ih", "bias_hh"),
    (True, True): ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"),
    (False, False): ("weight_ih", "weight_hh"),
    (False, True): ("weight_ih", "weight_hh", "weight_hr"),
}


class Kind:
    """A canonical recurrent op: how many gates it has, and attributes of its own."""

    __slots__ = ("attrs", "gates", "op", "states")

    def __init__(self, op: str, gates: int, attrs: dict[str, Any]) -> None:
        self.op = op
        self.gates = gates
        self.attrs = attrs
        self.states = ("h0", "c0") if op == "lstm" else ("h0",)


LSTM = Kind("lstm", 4, {})
GRU = Kind("gru", 3, {"reset_after": True})
RNN_TANH = Kind("rnn", 1, {"nonlinearity": "tanh"})
RNN_RELU = Kind("rnn", 1, {"nonlinearity": "relu"})


class Stack:
    """The arguments of one call: D directions, L layers, state size R (the hidden size H unless projected)."""

    __slots__ = ("biases", "directions", "hidden", "kind", "layers", "projected", "returned", "roles", "weights")

    def __init__(self, kind: Kind, states: Sequence[Tensor], named: Mapping[str, Any]) -> None:
        self.kind = kind
        self.layers = int(named["num_layers"])
        self.directions = 2 if named["bidirectional"] else 1
        self.biases = bool(named["has_biases"])
        self.weights = list(named["params"])
        self.returned = states[0].shape[2]  # R
        self.hidden = states[-1].shape[2]  # H
        self.projected = self.returned != self.hidden
        self.roles = _ROLES[self.biases, self.projected]

    def of(self, number: int) -> dict[str, Tensor]:
        """The weights of one layer and direction."""
        count = len(self.roles)
        return dict(zip(self.roles, self.weights[number * count : (number + 1) * count], strict=True))

    def fits(self, features: int, batch: int, states: Sequence[Tensor], dtype: torch.dtype) -> bool:
        """Whether every shape is the one that torch documents, so that nothing broadcasts and nothing is refused."""
        gates, hidden, returned = self.kind.gates * self.hidden, self.hidden, self.returned
        total = self.layers * self.directions
        if total < 1 or hidden < 1 or returned < 1 or features < 1 or len(self.weights) != total * len(self.roles):
            return False
        if any(w.dtype is not dtype for w in (*states, *self.weights)) or not dtype.is_floating_point:
            return False
        for state, size in zip(states, (returned, hidden), strict=False):
            if state.shape != (total, batch, size):
                return False
        shapes = {
            "weight_hh": (gates, returned),
            "bias_ih": (gates,),
            "bias_hh": (gates,),
            "weight_hr": (returned, hidden),
        }
        for number in range(total):
            below = features if number < self.directions else self.directions * returned
            shapes["weight_ih"] = (gates, below)
            if any(weight.shape != shapes[role] for role, weight in self.of(number).items()):
                return False
        return True

    def attrs(self, steps: int, features: int, reverse: bool, batch_first: bool) -> dict[str, Any]:
        found = {
            "steps": steps,
            "input_size": features,
            "hidden_size": self.hidden,
            "reverse": reverse,
            "batch_first": batch_first,
        } | self.kind.attrs
        if self.kind is LSTM:
            found["proj_size"] = self.returned if self.projected else 0
        return found


def _named(kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, in the one of the two forms that they fit; raises `TypeError` where they fit neither."""
    lists = (list, tuple)
    for names in (_PADDED, _PACKED):
        named = dict(zip(names, args, strict=False)) | kwargs
        if len(args) + len(kwargs) != len(names) or named.keys() != set(names):
            continue
        if isinstance(named["params"], lists) and isinstance(named["hx"], lists if kind is LSTM else Tensor):
            return named
    raise TypeError(f"neither {_PADDED} nor {_PACKED}")


def recurrent(t: Tracer, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Emit a stack of recurrent layers; the results are y, h and, for an LSTM, c."""
    named = _named(kind, args, kwargs)
    states = list(named["hx"]) if kind is LSTM else [named["hx"]]
    if len(states) != len(kind.states) or any(state.dim() != 3 for state in states):
        return NotImplemented
    stack = Stack(kind, states, named)
    dropped = float(named["dropout"]) if named["train"] and stack.layers > 1 else 0.0
    if dropped and (t.forced is not None or not 0 < dropped < 1):
        return NotImplemented
    packed = "data" in named
    x = named["data"] if packed else named["input"]
    batch_first = not packed and bool(named["batch_first"])
    if packed:
        if x.dim() != 2:
            return NotImplemented
        sizes = t.value(named["batch_sizes"]).tolist()
        steps, batch = sum(sizes), sizes[0]
        if steps != x.shape[0] or min(sizes) < 1 or sizes != sorted(sizes, reverse=True):
            return NotImplemented
        leading: tuple[int, ...] = (steps,)
    else:
        if x.dim() != 3:
            return NotImplemented
        leading = tuple(x.shape[:2])
        batch = leading[0 if batch_first else 1]
        steps = leading[0] * leading[1]
    features = x.shape[-1]
    if steps < 1 or not stack.fits(features, batch, states, x.dtype):
        return NotImplemented
    own: dict[str, Any] = {"batch_sizes": tuple(sizes)} if packed else {}
    return _emit(t, stack, x, states, leading, batch, steps, batch_first, own, dropped)


def _emit(
    t: Tracer,
    stack: Stack,
    x: Tensor,
    states: list[Tensor],
    leading: tuple[int, ...],
    batch: int,
    steps: int,
    batch_first: bool,
    own: dict[str, Any],
    dropped: float,
) -> tuple[Tensor, ...]:
    """``dropped`` is the share of what a layer hands to the next that training sets to 0."""
    directions, total, dtype = stack.directions, stack.layers * stack.directions, x.dtype

    def sequence(size: int, last: bool) -> Tensor:
        """(T, N, size) in memory, seen as (N, T, size) where the batch comes first."""
        if last and t.forced is not None:
            return t.forced.pop(0)
        if not batch_first:
            return between((*leading, size), dtype)
        return torch.empty_strided((*leading, size), (size, batch * size, 1), dtype=dtype, device=META)

    results = [sequence(stack.returned * directions, True)]
    results += [t.new(state.shape, dtype) for state in states]
    starts = [[state] if total == 1 else _pieces(t, state) for state in states]
    ends: list[list[Tensor]] = [[] for _ in states]
    for level in range(stack.layers):
        features, parts = x.shape[-1], []
        y = results[0] if level == stack.layers - 1 else sequence(stack.returned * directions, False)
        for direction in range(directions):
            number = level * directions + direction
            out = y if directions == 1 else sequence(stack.returned, False)
            parts.append(out)
            finals = results[1:] if total == 1 else [between(state.shape[1:], dtype) for state in states]
            for end, final in zip(ends, finals, strict=True):
                end.append(final)
            inputs = {"x": x} | stack.of(number)
            inputs |= {role: start[number] for role, start in zip(stack.kind.states, starts, strict=True)}
            outputs = {"y": out} | dict(zip(("hn", "cn"), finals, strict=False))
            hint = f"l{level}_reverse" if direction else f"l{level}"
            attrs = stack.attrs(steps, features, direction == 1, batch_first) | own
            t.emit(stack.kind.op, inputs, outputs, attrs, hint)
        if directions == 2:
            t.emit("concat", {"x0": parts[0], "x1": parts[1]}, {"y": y}, {"axis": len(leading)})
        x = y
        if dropped and level < stack.layers - 1:
            x = dropout(t, y, dropped)
    if total > 1:
        for end, result in zip(ends, results[1:], strict=True):
            t.emit("stack", {f"x{i}": final for i, final in enumerate(end)}, {"y": result}, {"axis": 0})
    return tuple(results)


def _pieces(t: Tracer, state: Tensor) -> list[Tensor]:
    """The initial state of each layer and direction: views along the first dimension."""
    pieces = list(Base.unbind(state))
    t.views("split", state, pieces, {"axis": 0})
    return pieces


@rule("torch.lstm", aten="lstm", whole=True)
def lstm(t: Tracer, *args: Any, **kwargs: Any) -> Any:
    return recurrent(t, LSTM, args, kwargs)


@rule("torch.gru", aten="gru", whole=True)
def gru(t: Tracer, *args: Any, **kwargs: Any) -> Any:
    return recurrent(t, GRU, args, kwargs)


@rule("torch.rnn_tanh", aten="rnn_tanh", whole=True)
def rnn_tanh(t: Tracer, *args: Any, **kwargs: Any) -> Any:
    return recurrent(t, RNN_TANH, args, kwargs)


@rule("torch.rnn_relu", aten="rnn_relu", whole=True)
def rnn_relu(t: Tracer, *args: Any, **kwargs: Any) -> Any:
    return recurrent(t, RNN_RELU, args, kwargs)


# -- one step ----------------------------------------------------------------------------------------------------------


def cell(
    t: Tracer,
    kind: Kind,
    x: Tensor,
    states: Sequence[Tensor],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
) -> Any:
    """Emit one step of a recurrent layer for each of the N rows of ``x``: y, and for an LSTM c."""
    given = [x, *states, weight_ih, weight_hh] + [b for b in (bias_ih, bias_hh) if b is not None]
    if t.forced is None and not all(tensor.is_contiguous() for tensor in given):
        return NotImplemented  # the results' strides follow from the arguments'
    if len(states) != len(kind.states) or x.dim() != 2 or states[0].dim() != 2:
        return NotImplemented
    batch, features = x.shape
    hidden = states[0].shape[1]
    gates = kind.gates * hidden
    if min(batch, features, hidden) < 1 or not x.is_floating_point() or any(g.dtype is not x.dtype for g in given):
        return NotImplemented
    if any(state.shape != (batch, hidden) for state in states):
        return NotImplemented
    if weight_ih.shape != (gates, features) or weight_hh.shape != (gates, hidden):
        return NotImplemented
    if any(bias is not None and bias.shape != (gates,) for bias in (bias_ih, bias_hh)):
        return NotImplemented
    results = [t.new((batch, hidden), x.dtype) for _ in states]
    inputs = {"x": x, "weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
    attrs = {"steps": batch, "input_size": features, "hidden_size": hidden} | kind.attrs
    outputs = dict(zip(("y", "cn"), results, strict=False))
    t.emit(kind.op, inputs | dict(zip(kind.states, states, strict=True)), outputs, attrs)
    return tuple(results) if kind is LSTM else results[0]


@rule("torch.lstm_cell", aten="lstm_cell", whole=True)
def lstm_cell(
    t: Tracer,
    input: Tensor,
    hx: Any,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Any:
    return cell(t, LSTM, input, list(hx), w_ih, w_hh, b_ih, b_hh)


def _register_cell(name: str, kind: Kind) -> None:
    @rule(f"torch.{name}", aten=name, whole=True)
    def one_step(
        t: Tracer,
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        return cell(t, kind, input, [hx], w_ih, w_hh, b_ih, b_hh)


_register_cell("gru_cell", GRU)
_register_cell("rnn_tanh_cell", RNN_TANH)
_register_cell("rnn_relu_cell", RNN_RELU)
