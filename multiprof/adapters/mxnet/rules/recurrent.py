"""The fused RNN operator: a stack of recurrent layers whose weights stand in one vector."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape, TensorSpec

# mode -> canonical op, gates, attributes of its own (cuDNN's GRU resets after the recurrent product)
MODES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "lstm": ("lstm", 4, {}),
    "gru": ("gru", 3, {"reset_after": True}),
    "rnn_tanh": ("rnn", 1, {"nonlinearity": "tanh"}),
    "rnn_relu": ("rnn", 1, {"nonlinearity": "relu"}),
}


class Stack:
    """What the attributes say: L layers of D directions with H units each, of which R are fed back and returned."""

    __slots__ = ("directions", "gates", "hidden", "layers", "mode", "projection", "returned")

    def __init__(self, call: Call) -> None:
        attrs = call.attrs
        self.mode = attrs.one_of("mode", tuple(MODES), "")
        self.gates = MODES[self.mode][1]
        self.hidden = attrs.integer("state_size", least=1)
        self.layers = attrs.integer("num_layers", least=1)
        if self.layers > 1000:
            raise attrs.wrong("num_layers", "at most 1000")
        self.directions = 2 if attrs.flag("bidirectional") else 1
        self.projection = attrs.maybe_int("projection_size") or 0
        if self.projection < 0 or (self.projection and self.mode != "lstm"):
            raise attrs.wrong("projection_size", "a size, for an LSTM")
        self.returned = self.projection or self.hidden

    @property
    def total(self) -> int:
        return self.layers * self.directions

    def weights(self, features: int) -> list[tuple[tuple[str, int], ...]]:
        """For each layer and direction (role, number of columns) of its matrices: input, state, projection."""
        found = []
        for number in range(self.total):
            below = features if number < self.directions else self.directions * self.returned
            rows: tuple[tuple[str, int], ...] = (("weight_ih", below), ("weight_hh", self.returned))
            found.append((*rows, ("weight_hr", self.hidden)) if self.projection else rows)
        return found

    def shape(self, role: str, columns: int) -> tuple[int, int]:
        return (self.projection if role == "weight_hr" else self.gates * self.hidden), columns

    def pieces(self, features: int) -> list[Shape]:
        """The shapes in the order in which the vector holds them: all matrices, then all biases
        (src/operator/rnn-inl.h, GetRnnParamSize; python/mxnet/gluon/rnn/rnn_layer.py)."""
        found: list[Shape] = [self.shape(*row) for rows in self.weights(features) for row in rows]
        return found + [(self.gates * self.hidden,)] * (2 * self.total)


def _stack(call: Call) -> Stack:
    if call.memo is None:
        call.memo = Stack(call)
    found: Stack = call.memo
    return found


def _args(call: Call) -> Args:
    names = ["data", "parameters", "state"]
    if call.attrs.text("mode") == "lstm":
        names.append("state_cell")
    if call.attrs.flag("use_sequence_length"):
        names.append("sequence_length")
    return tuple(names)


def _outputs(call: Call) -> int:
    if not call.attrs.flag("state_outputs"):
        return 1
    return 3 if call.attrs.text("mode") == "lstm" else 2


def infer_rnn(call: Call) -> None:
    """Data is (T, N, C), the result (T, N, D·R), states (L·D, N, R) and (L·D, N, H)."""
    stack = _stack(call)
    data, state = call.rank(0, 3), call.rank(2, 3)
    time, batch, features = data if data is not None else (None, None, None)
    if batch is None and state is not None:
        batch = state[1]
    result = call.result()
    if result is not None and len(result) == 3:
        time, batch = time or result[0], batch or result[1]
    if data is not None or batch is not None:
        call.expect(0, (time, batch, features))
    for i, width in ((2, stack.returned), (3, stack.hidden)):
        if call.args[i : i + 1] and call.args[i].startswith("state"):
            call.expect(i, (stack.total, batch, width))
            call.give((stack.total, batch, width), i - 1)
    lengths = call.index("sequence_length")
    if lengths is not None:
        call.expect(lengths, (batch,))
    call.give((time, batch, stack.directions * stack.returned))
    if features is None:
        return
    pieces = stack.pieces(features)
    call.expect(1, (sum(a if len(rest) == 0 else a * rest[0] for a, *rest in pieces),))  # type: ignore[misc, operator]
    # Gluon joins the matrices and biases of the layers here, and does not always know their widths before
    parts = _joined(call, len(pieces))
    for part, shape in zip(parts, pieces, strict=False):
        inference = call.inference
        size = shape[0] if len(shape) == 1 else (shape[0] or 0) * (shape[1] or 0)
        inference.narrow(part, (size,), call, "the piece")
        origin = _origin(call, part)
        known = inference.shapes[origin]
        if known is not None and len(known) == len(shape):
            inference.narrow(origin, shape, call, "the piece")


def _joined(call: Call, count: int) -> list[int]:
    """The entries that are joined to the vector, where there is one for each piece."""
    inference = call.inference
    maker = inference.makers[call.ins[1]]
    if maker >= 0:
        above = inference.calls[maker]
        if above.op in ("_rnn_param_concat", "Concat") and len(above.ins) == count:
            return above.ins
    return []


def _origin(call: Call, entry: int) -> int:
    """The variable behind a mere reshape of it; else the entry itself."""
    inference = call.inference
    maker = inference.makers[entry]
    if maker >= 0 and inference.calls[maker].op in ("Reshape", "_np_reshape", "_npx_reshape", "Flatten"):
        above = inference.calls[maker].ins[0]
        if inference.makers[above] < 0:
            return above
    return entry


def _own(call: Call) -> list[int]:
    """The variables that hold the pieces one by one, in the vector's order; empty where they do not."""
    stack, data = _stack(call), call.shape(0)
    if data is None or data[2] is None:
        return []
    pieces = stack.pieces(data[2])
    origins = [_origin(call, entry) for entry in _joined(call, len(pieces))]
    shapes = call.inference.shapes
    whole = len(origins) == len(pieces) and all(
        call.inference.makers[entry] < 0 and shapes[entry] == shape
        for entry, shape in zip(origins, pieces, strict=True)
    )
    return origins if whole else []


def reads(call: Call) -> list[int]:
    """Where the vector is joined from variables, each layer reads its own ones, and nobody needs the vector."""
    own = _own(call)
    return [call.ins[0], *own, *call.ins[2:]] if own else call.ins


def write_rnn(call: Call, to: Writing) -> None:
    """One layer for each layer and direction; its weights are pieces that name their owner."""
    stack = _stack(call)
    op, _, more = MODES[stack.mode]
    x = to.x(call)
    time, batch, features = x.shape if x.rank == 3 else (None, None, None)
    if features is None:
        to.foreign(call)
        return
    weights = _weights(call, to, stack, features)
    states = [to.x(call, i) for i, arg in enumerate(call.args) if arg.startswith("state")]
    results = [to.specs[entry] for entry in call.outs]
    starts = [_pieces(call, to, state, stack, f"split{i or ''}") for i, state in enumerate(states)]
    ends: list[list[TensorSpec]] = [[] for _ in results[1:]]
    steps = None if time is None or batch is None else time * batch
    for level in range(stack.layers):
        top = level == stack.layers - 1
        y = results[0] if top else to.between(call, (time, batch, stack.directions * stack.returned))
        parts = []
        for direction in range(stack.directions):
            number = level * stack.directions + direction
            out = y if stack.directions == 1 else to.between(call, (time, batch, stack.returned))
            parts.append(out)
            finals = results[1:]
            if stack.total > 1:
                finals = [to.between(call, (batch, spec.shape[-1]), spec.dtype) for spec in finals]
            for end, final in zip(ends, finals, strict=True):
                end.append(final)
            inputs = {"x": x} | weights[number]
            inputs |= {role: start[number] for role, start in zip(("h0", "c0"), starts, strict=False)}
            attrs: dict[str, Any] = {
                "steps": steps,
                "input_size": x.shape[-1],
                "hidden_size": stack.hidden,
                "reverse": direction == 1,
                "batch_first": False,
            } | more
            if stack.mode == "lstm":
                attrs["proj_size"] = stack.projection
            outputs = {"y": out} | dict(zip(("hn", "cn"), finals, strict=False))
            name = "" if stack.total == 1 else f"l{level}_reverse" if direction else f"l{level}"
            to.layer(call, op, inputs, outputs, attrs, name)
        if stack.directions == 2:
            to.layer(call, "concat", {"x0": parts[0], "x1": parts[1]}, {"y": y}, {"axis": 2}, f"l{level}_concat")
        x = y
    if stack.total > 1:
        for i, (end, result) in enumerate(zip(ends, results[1:], strict=True)):
            stacked = {f"x{k}": final for k, final in enumerate(end)}
            to.layer(call, "stack", stacked, {"y": result}, {"axis": 0}, f"stack{i or ''}")


def _weights(call: Call, to: Writing, stack: Stack, features: int) -> list[dict[str, TensorSpec]]:
    """The weights of each layer and direction by role."""
    own = _own(call)
    vector = to.x(call, 1)
    specs = []
    for i, shape in enumerate(stack.pieces(features)):
        specs.append(to.specs[own[i]] if own else TensorSpec(shape, vector.dtype, vector.name))
    rows = stack.weights(features)
    found, at = [], 0
    for roles in rows:
        found.append({role: specs[at + i] for i, (role, _) in enumerate(roles)})
        at += len(roles)
    for number, weights in enumerate(found):
        weights["bias_ih"] = specs[at + 2 * number]
        weights["bias_hh"] = specs[at + 2 * number + 1]
    return found


def _pieces(call: Call, to: Writing, state: TensorSpec, stack: Stack, name: str) -> list[TensorSpec]:
    """The initial state of each layer and direction."""
    if stack.total == 1:
        return [state]
    pieces = [to.between(call, state.shape[1:], state.dtype) for _ in range(stack.total)]
    outputs = {f"y{i}": piece for i, piece in enumerate(pieces)}
    to.layer(call, "split", {"x": state}, outputs, {"axis": 0, "sizes": (1,) * stack.total}, name)
    return pieces


RULES: Rules = {
    "RNN": Rule(infer_rnn, write_rnn, _args, _outputs, reads=reads),
}
