"""LSTM, GRU and Elman networks: torch's own kernels where they compute the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Prepare, Tensor, rule

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
# Where torch's gates (LSTM i, f, g, o; GRU r, z, n) stand in the weights of frameworks that have another order: ONNX
# writes i, o, f, c; Keras and ONNX write z, r, h.
_ORDERS = {("lstm", "onnx"): (0, 2, 3, 1), ("gru", "onnx"): (1, 0, 2), ("gru", "keras"): (1, 0, 2)}
# These write a weight as (inputs, gates·H).
_INPUTS_FIRST = frozenset(("keras", "tensorflow"))


class _Form:
    """Shapes and order of one layer's sequence: (T, N, C), (N, T, C), (T, C) without a batch, or packed (S, C)."""

    def __init__(self, layer: Layer, framework: str) -> None:
        a, x = layer.attrs, shape_of(layer.x)
        self.framework = framework
        self.op = layer.op
        self.hidden, self.inputs = int(a["hidden_size"]), int(a["input_size"])
        self.projection = int(a.get("proj_size") or 0)
        self.state = self.projection or self.hidden  # what is fed back
        self.sizes: tuple[int, ...] | None = tuple(a["batch_sizes"]) if a.get("batch_sizes") else None
        self.batch_first = bool(a.get("batch_first")) and len(x) == 3
        self.reverse = bool(a.get("reverse"))
        if self.sizes is not None:
            self.steps, self.batch = len(self.sizes), self.sizes[0]
        elif len(x) == 2:
            self.batch = self._sequences(layer)
            self.steps = x[0] // self.batch
        else:
            self.steps, self.batch = (x[1], x[0]) if self.batch_first else (x[0], x[1])
        self.results = {role: shape_of(spec) for role, spec in layer.outputs.items()}

    def _sequences(self, layer: Layer) -> int:
        """How many sequences a matrix holds: one row each of a cell's, else all rows are one sequence."""
        for role, size in (("h0", self.state), ("c0", self.hidden), ("hn", self.state), ("cn", self.hidden)):
            spec = layer.inputs.get(role) or layer.outputs.get(role)
            if spec is not None:
                return spec.numel // size
        return 1

    def sequence(self, x: Tensor) -> Tensor:
        """(T, N, C), or packed (S, C)."""
        if self.sizes is not None:
            return x
        if x.dim() == 2:
            return x.reshape(self.steps, self.batch, -1)
        return x.transpose(0, 1) if self.batch_first else x.reshape(x.shape[0], x.shape[1], -1)

    def start(self, state: Tensor | None, like: Tensor, size: int) -> Tensor:
        return like.new_zeros(1, self.batch, size) if state is None else state.reshape(1, self.batch, size)

    def finish(self, y: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """The results asked for; y of one step alone is the last one."""
        made = dict(zip(("hn", "cn"), states, strict=False))
        found = []
        for role, shape in self.results.items():
            if role == "y":
                if self.sizes is None and self.batch_first:
                    y = y.transpose(0, 1)
                whole = y.numel() == torch.Size(shape).numel()
                found.append(y.reshape(shape) if whole else states[0].reshape(shape))
            else:
                found.append(made[role].reshape(shape))
        return tuple(found)

    def reversal(self) -> Tensor:
        """Where each row of a packed sequence stands when every sequence runs backwards."""
        sizes = self.sizes or ()
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + size)
        lengths = [sum(size > n for size in sizes) for n in range(self.batch)]
        return torch.tensor([starts[lengths[n] - 1 - t] + n for t, size in enumerate(sizes) for n in range(size)])

    def flip(self, x: Tensor, backwards: Tensor | None) -> Tensor:
        if not self.reverse:
            return x
        return x.flip(0) if backwards is None else x.index_select(0, backwards)

    def back(self, y: Tensor, backwards: Tensor | None) -> Tensor:
        """The results in the order of the inputs; Keras leaves them in the order in which they were made."""
        return y if self.framework == "keras" else self.flip(y, backwards)


def _prepare(layer: Layer, form: _Form, gates: int) -> dict[str, Prepare]:
    """Weights as (gates·H, inputs), biases flat; which way a weight stands, the recurrent one says best."""
    rows = gates * form.hidden
    hh, ih = (shape_of(layer.inputs[role])[-2:] for role in ("weight_hh", "weight_ih"))
    if form.state != rows:
        flipped = hh == (form.state, rows)
    elif form.inputs != rows:
        flipped = ih == (form.inputs, rows)
    else:
        flipped = form.framework in _INPUTS_FIRST
    order = _ORDERS.get((form.op, form.framework))

    def ordered(w: Tensor) -> Tensor:
        if order is None:
            return w.contiguous()
        parts = w.chunk(gates)
        return torch.cat([parts[n] for n in order])

    def weight(columns: int) -> Prepare:
        if flipped:
            return lambda w: ordered(w.reshape(columns, rows).t()).contiguous()
        return lambda w: ordered(w.reshape(rows, columns))

    made: dict[str, Prepare] = {"weight_ih": weight(form.inputs), "weight_hh": weight(form.state)}
    for role in ("bias_ih", "bias_hh"):
        made[role] = lambda b: ordered(b.reshape(-1))
    if "weight_hr" in layer.inputs and shape_of(layer.inputs["weight_hr"]) != (form.state, form.hidden):
        made["weight_hr"] = lambda w: w.t().contiguous()
    return made


@rule("lstm", "gru", "rnn")
def recurrent(layer: Layer, context: Context) -> Kernel:
    a, form = layer.attrs, _Form(layer, context.framework)
    gates = 3 if layer.inputs["weight_hh"].numel == 3 * form.hidden * form.state and layer.op == "lstm" else 0
    if gates:
        raise NotLoweredError("its input gate is coupled with the forget gate")
    own_cell = (
        "peephole" in layer.inputs
        or a.get("reset_after") is False
        or "activations" in a
        or bool(a.get("clip"))
        or a.get("nonlinearity", "tanh") not in ("tanh", "relu")
    )
    gates = _GATES[layer.op]
    prepare = _prepare(layer, form, gates)
    fixed = {"backwards": form.reversal()} if form.sizes is not None and form.reverse else {}
    if form.sizes is not None:
        fixed["batch_sizes"] = torch.tensor(form.sizes)
    if own_cell:
        if form.sizes is not None:
            raise NotLoweredError("a packed sequence through a cell that torch has no kernel for")
        return Kernel(_stepwise(layer, form), prepare, fixed, notes=_notes(a))
    return Kernel(_fused(layer, form, gates), prepare, fixed)


def _notes(attrs: Any) -> tuple[str, ...]:
    other = [name for name in ("activations", "clip") if attrs.get(name)]
    return (f"the cell's {' and '.join(other)} are left out",) if other else ()


def _fused(layer: Layer, form: _Form, gates: int) -> Callable[..., tuple[Tensor, ...]]:
    relu = layer.attrs.get("nonlinearity", "tanh") == "relu"
    function: Any = {"lstm": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_relu if relu else torch.rnn_tanh}[layer.op]
    rows = gates * form.hidden

    def run(
        x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None = None,
        bias_hh: Tensor | None = None, weight_hr: Tensor | None = None, h0: Tensor | None = None,
        c0: Tensor | None = None, backwards: Tensor | None = None, batch_sizes: Tensor | None = None,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        x = form.flip(form.sequence(x), backwards)
        weights = [weight_ih, weight_hh]
        biased = bias_ih is not None or bias_hh is not None
        if biased:
            weights += [weight_ih.new_zeros(rows) if b is None else b for b in (bias_ih, bias_hh)]
        if weight_hr is not None:
            weights.append(weight_hr)
        state: Any = form.start(h0, x, form.state)
        if form.op == "lstm":
            state = (state, form.start(c0, x, form.hidden))
        if batch_sizes is None:
            y, *states = function(x, state, weights, biased, 1, 0.0, False, False, False)
        else:
            y, *states = function(x, batch_sizes.cpu(), state, weights, biased, 1, 0.0, False, False)
        return form.finish(form.back(y, backwards), *states)

    return run


def _stepwise(layer: Layer, form: _Form) -> Callable[..., tuple[Tensor, ...]]:
    """One product with the input for all steps, then the cell step by step."""
    step = {"lstm": _lstm_step, "gru": _gru_step, "rnn": _rnn_step}[layer.op]
    after = layer.attrs.get("reset_after", True)

    def run(
        x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None = None,
        bias_hh: Tensor | None = None, weight_hr: Tensor | None = None, peephole: Tensor | None = None,
        h0: Tensor | None = None, c0: Tensor | None = None,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        x = form.flip(form.sequence(x), None)
        given = F.linear(x, weight_ih, bias_ih)
        h = form.start(h0, x, form.state)[0]
        c = form.start(c0, x, form.hidden)[0]
        made = []
        for now in given.unbind(0):
            h, c = step(now, h, c, weight_hh, bias_hh, weight_hr, peephole, after)
            made.append(h)
        y = form.back(torch.stack(made), None)
        return form.finish(y, h, c)

    return run


def _lstm_step(
    now: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor | None, projection: Tensor | None,
    peephole: Tensor | None, after: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """i, f, c, o; a peephole adds p·c to the gates, the output gate's seeing the new cell."""
    i, f, g, o = (now + F.linear(h, weight, bias)).chunk(4, -1)
    peep = peephole.reshape(3, -1) if peephole is not None else None
    if peep is not None:
        i, f = i + peep[0] * c, f + peep[1] * c
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    if peep is not None:
        o = o + peep[2] * c
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if projection is None else F.linear(h, projection)), c


def _gru_step(
    now: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor | None, projection: Tensor | None,
    peephole: Tensor | None, after: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """r, z, n; the reset gate multiplies the state's product (``after``), or the state before it."""
    size = h.shape[-1]
    xr, xz, xn = now.chunk(3, -1)
    if after:
        hr, hz, hn = F.linear(h, weight, bias).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
    else:
        gates, own = weight[: 2 * size], weight[2 * size :]
        b_gates, b_own = (None, None) if bias is None else (bias[: 2 * size], bias[2 * size :])
        hr, hz = F.linear(h, gates, b_gates).chunk(2, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + F.linear(r * h, own, b_own))
    return (1 - z) * n + z * h, c


def _rnn_step(
    now: Tensor, h: Tensor, c: Tensor, weight: Tensor, bias: Tensor | None, projection: Tensor | None,
    peephole: Tensor | None, after: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.tanh(now + F.linear(h, weight, bias)), c
