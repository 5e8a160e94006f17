"""Recurrent layers: the LSTM as TensorFlow Lite's own operator or step by step, GRU and Elman networks step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.rules.activation import simple
from multiprof_benchmark.lower.tflite.rules.elementwise import arithmetic
from multiprof_benchmark.lower.tflite.rules.shape import reversed_along
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value
from multiprof_benchmark.lower.tflite.writer import ABSENT

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

TANH = 4  # the fused activation
MOST_STEPS = 512  # unrolled: more makes a file that nobody would deploy


def _weight(b: Builder, layer: Layer, role: str, rows: int, columns: int) -> Any:
    """A weight as (rows, columns), whichever way round the framework keeps it."""
    spec = layer.inputs[role]
    if not b.is_weight(spec):
        raise NotLoweredError("a recurrent weight that is computed")
    array = b.array(spec).astype(np.float32)
    if array.size != rows * columns:
        raise NotLoweredError(f"{role} of the shape {array.shape}")
    if array.shape == (columns, rows) and rows != columns:
        return np.ascontiguousarray(array.T)
    return array.reshape(rows, columns)


def _bias(b: Builder, layer: Layer, rows: int) -> Any:
    """The sum of both biases, where there are any."""
    total = np.zeros(rows, np.float32)
    for role in ("bias_ih", "bias_hh"):
        if role in layer.inputs:
            array = b.array(layer.inputs[role]).astype(np.float32).reshape(-1)
            if array.size != rows:
                raise NotLoweredError(f"{role} of {array.size} elements")
            total = total + array
    return total


def _sequence(b: Builder, layer: Layer) -> tuple[Value, bool]:
    """x as (batch, time, features) or (time, batch, features), and whether time comes first."""
    a = layer.attrs
    if a.get("batch_sizes"):
        raise NotLoweredError("sequences of different lengths, packed")
    x = b.plain(b.value(layer.x))
    if x.rank == 2:
        x = b.reshaped(x, (x.shape[0], 1, x.shape[1]))
        return x, True
    return x, not a.get("batch_first")


@rule("lstm")
def lstm(b: Builder, layer: Layer) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM; backwards on the sequence reversed. It starts from zeros.

    Step by step where that is asked for, or the last cell state, which the operator keeps to itself.
    """
    if b.unrolled or ("cn" in layer.outputs and _is_read(b, layer, "cn")):
        unrolled(b, layer)
        return
    a, name = layer.attrs, b.name(layer)
    h, n = int(a["hidden_size"]), int(a["input_size"])
    if "peephole" in layer.inputs:
        raise NotLoweredError("peepholes")
    p = int(a.get("proj_size") or 0)
    units = p or h
    x, time_first = _sequence(b, layer)
    batch = x.shape[1] if time_first else x.shape[0]
    time = 0 if time_first else 1
    if a.get("reverse"):
        x = reversed_along(b, x, time, name)
    left = np.split(_weight(b, layer, "weight_ih", 4 * h, n), 4)
    right = np.split(_weight(b, layer, "weight_hh", 4 * h, units), 4)
    bias = np.split(_bias(b, layer, 4 * h), 4)
    order = (0, 1, 2, 3)  # input, forget, cell, output: PyTorch's, Keras's and TensorFlow Lite's order

    def written(arrays: list[Any], what: str) -> list[Value]:
        return [b.constant(arrays[at], f"{layer.name}/{what}{at}") for at in order]

    projection = ABSENT
    if p:
        projection = b.constant(_weight(b, layer, "weight_hr", p, h), f"{layer.name}/projection").number
    states = [
        b.writer.tensor((batch, size), "float32", f"{layer.name}/{what}", variable=True)
        for what, size in (("h", units), ("c", h))
    ]
    y = b.temporary((*x.shape[:2], units), x.dtype, f"{name}_forward" if a.get("reverse") else f"{name}_sequence")
    none = [ABSENT] * 3
    inputs: list[Value | int] = [x, *written(left, "input"), *written(right, "recurrent"), *none]
    inputs += [*written(bias, "bias"), projection, ABSENT, *states, ABSENT, ABSENT, ABSENT, ABSENT]
    b.emit("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, y, "UnidirectionalSequenceLSTMOptions", 1,
           fusedActivationFunction=TANH, timeMajor=time_first)  # fmt: skip
    if "hn" in layer.outputs:
        last = _step(b, y, time, y.shape[time] - 1, name)
        b.result(layer, b.reshaped(last, shape_of(layer.outputs["hn"])), "hn")
    if len(shape_of(layer.y)) < layer.x.rank:  # the last step alone
        b.result(layer, b.reshaped(_step(b, y, time, y.shape[time] - 1, name), shape_of(layer.y), None, name))
        return
    if a.get("reverse"):
        y = reversed_along(b, y, time, name)
    b.result(layer, b.reshaped(y, shape_of(layer.y), None, name))


def _is_read(b: Builder, layer: Layer, role: str) -> bool:
    name = layer.outputs[role].name
    return name in b.wanted


def _step(b: Builder, x: Value, time: int, at: int, name: str) -> Value:
    """One step of a sequence, with its dimension of time."""
    begin, size = [0, 0, 0], list(x.shape)
    begin[time], size[time] = at, 1
    made = b.temporary(size, x.dtype, f"{name}_last")
    return b.emit("SLICE", [x, b.integers(begin), b.integers(size)], made, "SliceOptions")


@rule("gru", "rnn")
def unrolled(b: Builder, layer: Layer) -> None:
    """The products with the inputs all at once, then one step after another, from zeros."""
    a, name = layer.attrs, b.name(layer)
    h, n = int(a["hidden_size"]), int(a["input_size"])
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[layer.op]
    units = int(a.get("proj_size") or h)
    if "peephole" in layer.inputs:
        raise NotLoweredError("peepholes")
    x, time_first = _sequence(b, layer)
    time = 0 if time_first else 1
    steps, batch = x.shape[time], x.shape[1 - time]
    if steps > MOST_STEPS:
        raise NotLoweredError(f"{steps} steps to unroll; up to {MOST_STEPS} are written")
    left, right = _weight(b, layer, "weight_ih", gates * h, n), _weight(b, layer, "weight_hh", gates * h, units)
    projection = _weight(b, layer, "weight_hr", units, h) if units != h else None
    both = [layer.inputs.get(role) for role in ("bias_ih", "bias_hh")]
    biases = [np.zeros(gates * h, np.float32) if s is None else b.array(s).reshape(-1)[: gates * h] for s in both]
    if layer.op != "gru" or not a.get("reset_after", True):
        biases = [biases[0] + biases[1], np.zeros(gates * h, np.float32)]
    wide = _dense(b, x, left, biases[0], (*x.shape[:2], gates * h), f"{name}_inputs")
    parts = [b.temporary((batch, gates * h), x.dtype, f"{name}_step{at}") for at in range(steps)]
    b.writer.operator("UNPACK", [wide.number], [part.number for part in parts], "UnpackOptions", num=steps, axis=time)
    state, cell = (b.constant(np.zeros((batch, size), np.float32)) for size in (units, h))
    kept: list[Value] = []
    for part in reversed(parts) if a.get("reverse") else parts:
        if layer.op == "gru":
            state = _gru(b, part, state, right, biases[1], h, bool(a.get("reset_after", True)), name)
        elif layer.op == "lstm":
            state, cell = _lstm(b, part, state, cell, right, projection, name)
        else:
            total = arithmetic(b, "ADD", part, _dense(b, state, right, biases[1], (batch, h), f"{name}_hidden"))
            state = simple(b, "RELU" if a.get("nonlinearity") == "relu" else "TANH", total, f"{name}_state")
        kept.append(state)
    if "hn" in layer.outputs:
        b.result(layer, b.reshaped(state, shape_of(layer.outputs["hn"])), "hn")
    if "cn" in layer.outputs:
        b.result(layer, b.reshaped(cell, shape_of(layer.outputs["cn"])), "cn")
    if len(shape_of(layer.y)) < layer.x.rank:  # the last step alone
        b.result(layer, b.reshaped(state, shape_of(layer.y), None, name))
        return
    if a.get("reverse"):
        kept.reverse()
    y = b.temporary((*x.shape[:2], units), x.dtype, f"{name}_sequence")
    b.emit("PACK", kept, y, "PackOptions", valuesCount=steps, axis=time)
    b.result(layer, b.reshaped(y, shape_of(layer.y), None, name))


def _lstm(
    b: Builder, part: Value, state: Value, cell: Value, weight: Any, projection: Any, name: str
) -> tuple[Value, Value]:
    """One step from the products with the input: (state, cell); gates in the order input, forget, cell, output."""
    batch, h = cell.shape
    hidden = _dense(b, state, weight, np.zeros(4 * h), (batch, 4 * h), f"{name}_hidden")
    total = arithmetic(b, "ADD", part, hidden)
    axis = b.writer.constant(np.array(1, dtype=np.int32), "axis")
    pieces = [b.temporary((batch, h), part.dtype, f"{name}_gate") for _ in range(4)]
    b.writer.operator("SPLIT", [axis, total.number], [p.number for p in pieces], "SplitOptions", numSplits=4)
    taken, kept, shown = (simple(b, "LOGISTIC", pieces[at], f"{name}_gate") for at in (0, 1, 3))
    new = arithmetic(b, "MUL", taken, simple(b, "TANH", pieces[2], f"{name}_candidate"))
    cell = arithmetic(b, "ADD", arithmetic(b, "MUL", kept, cell), new, None, f"{name}_cell")
    state = arithmetic(b, "MUL", shown, simple(b, "TANH", cell, f"{name}_bounded"), None, f"{name}_state")
    if projection is not None:
        size = projection.shape[0]
        state = _dense(b, state, projection, np.zeros(size), (batch, size), f"{name}_projected")
    return state, cell


def _gru(b: Builder, part: Value, state: Value, weight: Any, bias: Any, h: int, after: bool, name: str) -> Value:
    """One step; gates in PyTorch's order: reset, update, new."""
    batch = state.shape[0]
    one = b.constant(np.array(1.0, np.float32))

    def piece(value: Value, first: int, count: int) -> Value:
        made = b.temporary((batch, count), value.dtype, f"{name}_gate")
        begin, size = b.integers((0, first)), b.integers((batch, count))
        return b.emit("SLICE", [value, begin, size], made, "SliceOptions")

    rows = weight if after else weight[: 2 * h]
    hidden = _dense(b, state, rows, bias[: rows.shape[0]], (batch, rows.shape[0]), f"{name}_hidden")
    gates = simple(b, "LOGISTIC", arithmetic(b, "ADD", piece(part, 0, 2 * h), piece(hidden, 0, 2 * h)), f"{name}_gates")
    reset, update = piece(gates, 0, h), piece(gates, h, h)
    if after:
        inner = arithmetic(b, "MUL", reset, piece(hidden, 2 * h, h))
    else:
        inner = _dense(b, arithmetic(b, "MUL", reset, state), weight[2 * h :], bias[2 * h :], (batch, h), f"{name}_new")
    new = simple(b, "TANH", arithmetic(b, "ADD", piece(part, 2 * h, h), inner), f"{name}_candidate")
    kept = arithmetic(b, "MUL", update, state)
    taken = arithmetic(b, "MUL", arithmetic(b, "SUB", one, update), new)
    return arithmetic(b, "ADD", kept, taken, None, f"{name}_state")


def _dense(b: Builder, x: Value, weight: Any, bias: Any, shape: tuple[int, ...], name: str) -> Value:
    key = f"{name}/weight"
    stored = b.found.get(key)
    if stored is None or stored.shape != weight.shape:
        stored = b.found[key] = b.constant(np.ascontiguousarray(weight, np.float32), key)
    operands = [x, stored, b.constant(np.ascontiguousarray(bias, np.float32), f"{name}/bias")]
    y = b.temporary(shape, x.dtype, name)
    return b.emit("FULLY_CONNECTED", operands, y, "FullyConnectedOptions", keepNumDims=x.rank != 2)
