"""Recurrent networks: one layer a direction, over the whole sequence.

TFLite keeps the weights of the gates apart. They are joined into the canonical ``weight_ih`` and ``weight_hh`` by
layers that only prepare weights. What the canonical LSTM cannot say (no input gate of its own, normalised gates) is
written out in `cells`, as a loop over the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules import cells
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.conv import known
from multiprof.ir import Shape, TensorSpec


def join(node: Node, parts: Sequence[TensorSpec], piece: str) -> TensorSpec:
    """Weights of several gates as one, along the first axis."""
    rows = sum(known(node, part.shape, piece)[0] for part in parts)
    made = node.between((rows, *parts[0].shape[1:]), parts[0], True)
    node.layer("concat", {f"x{i}": p for i, p in enumerate(parts)}, {"y": made}, {"axis": 0}, piece=piece)
    return made


@dataclass(slots=True)
class Sequence_:
    """A sequence (time, batch, features), batch first unless ``time_major``; one step of a batch where ``single``."""

    x: TensorSpec
    steps: int | None
    trips: int | None
    batch: int | None
    batch_first: bool

    def shape(self, features: int) -> Shape:
        return (*self.x.shape[:-1], features)


def sequence(node: Node, x: TensorSpec, time_major: bool, single: bool = False) -> Sequence_:
    if x.rank != (2 if single else 3):
        raise node.fail(f"its input has the shape {x.shape}")
    if single:
        return Sequence_(x, x.shape[0], 1, x.shape[0], False)
    time, batch = x.shape[:2] if time_major else (x.shape[1], x.shape[0])
    steps = None if time is None or batch is None else time * batch
    return Sequence_(x, steps, time, batch, not time_major)


# -- LSTM ------------------------------------------------------------------------------------------------------------


def _lstm(
    node: Node, run: Sequence_, first: int, states: tuple[int, int], norms: int | None, y: TensorSpec, *,
    reverse: bool = False, piece: str = "",
) -> None:  # fmt: skip
    """One direction. ``first`` is the operand of the input gate's input weight, the others follow in their order.

    Four input weights (C_i → H) for the gates i, f, c, o, four recurrent ones (R → H), three peepholes i, f, o, four
    biases, the projection and its bias; the input gate's are absent where it is 1 minus the forget gate.
    """
    gates = [node.maybe(first + i) for i in range(4)]
    recurrent = [node.maybe(first + 4 + i) for i in range(4)]
    peepholes = [spec for i in range(3) if (spec := node.maybe(first + 8 + i)) is not None]
    biases = [spec for i in range(4) if (spec := node.maybe(first + 11 + i)) is not None]
    projection, projection_bias = node.maybe(first + 15), node.maybe(first + 16)
    if None in gates[1:] or None in recurrent[1:]:
        raise node.fail("weights of its gates are missing")
    hidden, features = known(node, gates[1].shape if gates[1] else (), "weight")
    if run.x.shape[-1] not in (None, features):
        raise node.fail(f"its input has {run.x.shape[-1]} features, its weights take {features}")
    size = known(node, projection.shape, "projection")[0] if projection is not None else hidden
    h0, c0 = node.maybe(states[0]), node.maybe(states[1])
    coefficients = [spec for i in range(4) if norms is not None and (spec := node.maybe(norms + i)) is not None]
    weights_ih = [g for g in gates if g is not None]
    weights_hh = [g for g in recurrent if g is not None]
    if any(w.shape != (hidden, features) for w in weights_ih) or any(w.shape != (hidden, size) for w in weights_hh):
        raise node.fail(f"the weights of its gates are not all {hidden}×{features} and {hidden}×{size}")
    if len(weights_ih) != 4 or coefficients:
        parts = cells.Gates(weights_ih, weights_hh, biases, peepholes, coefficients, projection, projection_bias)
        cells.write(node, run.x, run.batch, run.trips, parts, h0, c0, y, hidden, size, piece)
        return
    prefix = f"{piece}_" if piece else ""
    inputs: dict[str, TensorSpec | None] = {
        "x": run.x,
        "weight_ih": join(node, weights_ih, f"{prefix}weight_ih"),
        "weight_hh": join(node, weights_hh, f"{prefix}weight_hh"),
        "bias_ih": join(node, biases, f"{prefix}bias") if biases else None,
        "weight_hr": projection,
        "peephole": join(node, peepholes, f"{prefix}peephole") if peepholes else None,
        "h0": h0,
        "c0": c0,
    }
    attrs = _attrs(run, features, hidden, reverse) | {"proj_size": size if projection is not None else 0}
    made = node.between(y.shape, y, True) if projection_bias is not None else y
    node.layer("lstm", inputs, {"y": made}, attrs, piece=piece)
    if projection_bias is not None:
        node.layer("add", {"x0": made, "x1": projection_bias}, {"y": y}, piece=f"{prefix}projection_bias")


def _attrs(run: Sequence_, features: int, hidden: int, reverse: bool) -> dict[str, Any]:
    return {
        "steps": run.steps,
        "input_size": features,
        "hidden_size": hidden,
        "reverse": reverse,
        "batch_first": run.batch_first,
    }


def _size(node: Node, first: int) -> int:
    """The features of one direction's result: those of the projection, or H."""
    projection = node.maybe(first + 15)
    return known(node, (projection or node.x(first + 1)).shape, "weight")[0]


@rule("UNIDIRECTIONAL_SEQUENCE_LSTM")
def sequence_lstm(node: Node) -> None:
    """Operands: x, 17 weights (see `_lstm`), the two states, four norms of the gates."""
    if node.options["diagonal_recurrent_tensors"]:
        node.foreign(f"tflite.{node.code}")
        return
    run = sequence(node, node.x(0), bool(node.options["time_major"]))
    y = node.result(run.shape(_size(node, 1)))
    _lstm(node, run, 1, (18, 19), 20, y)
    node.bind(0, y)


@rule("LSTM")
def lstm(node: Node) -> None:
    """One step. The full kernel has the operands of the sequence LSTM and its result last, after a scratch buffer and
    the new states; the basic one (the original, of TensorFlow's BasicLSTMCell) has x, the activation before, all
    weights (4·H, C_i + H), the bias and the state before, and gives activation, state, and two scratch tensors."""
    run = sequence(node, node.x(0), True, single=True)
    if node.options["kernel_type"] == 1:
        _basic_lstm(node, run)
        return
    size = _size(node, 1)
    number = 3 if node.outputs > 3 else node.outputs - 1
    y = node.result(run.shape(size), number)
    _lstm(node, run, 1, (18, 19), 20, y)
    node.bind(number, y)


def _basic_lstm(node: Node, run: Sequence_) -> None:
    weight, h0, c0 = node.x(2), node.x(1), node.x(4)
    rows, columns = known(node, node.shape(2, 2), "weight")
    hidden = rows // 4
    features = columns - hidden
    if rows % 4 or features < 1 or run.x.shape[-1] != features:
        raise node.fail(f"{weight.shape} is no weight of four gates for {run.x.shape}")
    parts = [TensorSpec((rows, n), weight.dtype, weight.name, weight.quant) for n in (features, hidden)]
    y, c = node.result(run.shape(hidden), 0), node.result(run.shape(hidden), 1)
    inputs = {"x": run.x, "weight_ih": parts[0], "weight_hh": parts[1], "bias_ih": node.maybe(3), "h0": h0, "c0": c0}
    node.layer("lstm", inputs, {"y": y, "cn": c}, _attrs(run, features, hidden, False) | {"proj_size": 0})
    node.bind(0, y)
    node.bind(1, c)


def _both(node: Node, run: Sequence_, sizes: tuple[int, int]) -> tuple[TensorSpec, TensorSpec, bool]:
    """Results of the two directions; where the operator merges them, tensors to be joined."""
    merged = bool(node.options["merge_outputs"])
    if merged:
        like = node.declared(0)
        return node.between(run.shape(sizes[0]), like.dtype), node.between(run.shape(sizes[1]), like.dtype), True
    return node.result(run.shape(sizes[0]), 0), node.result(run.shape(sizes[1]), 1), False


def _finish(node: Node, run: Sequence_, forward: TensorSpec, backward: TensorSpec, merged: bool) -> None:
    if not merged:
        node.bind(0, forward)
        node.bind(1, backward)
        return
    total = sum(known(node, (s.shape[-1],), "result")[0] for s in (forward, backward))
    y = node.result(run.shape(total))
    node.layer("concat", {"x0": forward, "x1": backward}, {"y": y}, {"axis": run.x.rank - 1}, piece="merge")
    node.bind(0, y)


def _backward_input(node: Node, run: Sequence_, auxiliary: int, weights: range) -> Sequence_:
    """What the backward direction reads: the auxiliary input where there is one without weights of its own.

    (With weights of its own it joins the input of both directions, which no converter writes.)"""
    if any(node.has(i) for i in weights):
        raise node.fail("auxiliary inputs with weights of their own are not supported")
    if not node.has(auxiliary):
        return run
    return sequence(node, node.x(auxiliary), not run.batch_first)


@rule("BIDIRECTIONAL_SEQUENCE_LSTM")
def bidirectional_lstm(node: Node) -> None:
    """Operands: x, 17 weights forward, 17 backward, four states, an auxiliary input and its weights."""
    run = sequence(node, node.x(0), bool(node.options["time_major"]))
    back = _backward_input(node, run, 39, range(40, 48))
    forward, backward, merged = _both(node, run, (_size(node, 1), _size(node, 18)))
    _lstm(node, run, 1, (35, 36), None, forward, piece="forward")
    _lstm(node, back, 18, (37, 38), None, backward, reverse=True, piece="backward")
    _finish(node, run, forward, backward, merged)


# -- Elman networks --------------------------------------------------------------------------------------------------


def _rnn(node: Node, run: Sequence_, first: int, y: TensorSpec, *, reverse: bool = False, piece: str = "") -> None:
    """One direction: input weight (H, C_i), recurrent weight (H, H), bias, state."""
    weight, recurrent, bias, h0 = (node.maybe(first + i) for i in range(4))
    if weight is None or recurrent is None:
        raise node.fail("its weights are missing")
    hidden, features = known(node, weight.shape, "weight")
    if recurrent.shape != (hidden, hidden) or run.x.shape[-1] not in (None, features):
        raise node.fail(f"{weight.shape}, {recurrent.shape} and {run.x.shape} do not fit together")
    fused = node.options["fused_activation_function"]
    attrs = _attrs(run, features, hidden, reverse) | {"nonlinearity": "tanh" if fused == 4 else "relu"}
    inputs = {"x": run.x, "weight_ih": weight, "weight_hh": recurrent, "bias_ih": bias, "h0": h0}
    node.layer("rnn", inputs, {"y": y}, attrs, piece=piece)


@rule("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN")
def rnn(node: Node) -> None:
    single = node.code == "RNN"
    run = sequence(node, node.x(0), bool(node.options.get("time_major", True)), single)
    y = node.result(run.shape(known(node, node.shape(1), "weight")[0]))
    _rnn(node, run, 1, y)
    node.bind(0, y)


@rule("BIDIRECTIONAL_SEQUENCE_RNN")
def bidirectional_rnn(node: Node) -> None:
    """Operands: x, four forward, four backward, an auxiliary input and its weights."""
    run = sequence(node, node.x(0), bool(node.options["time_major"]))
    back = _backward_input(node, run, 9, range(10, 12))
    sizes = (known(node, node.shape(1), "weight")[0], known(node, node.shape(5), "weight")[0])
    forward, backward, merged = _both(node, run, sizes)
    _rnn(node, run, 1, forward, piece="forward")
    _rnn(node, back, 5, backward, reverse=True, piece="backward")
    _finish(node, run, forward, backward, merged)


# -- SVDF ------------------------------------------------------------------------------------------------------------


@rule("SVDF")
def svdf(node: Node) -> None:
    """One step of a filter over time whose matrices have low rank (P. Nakkiran et al., Compressing deep neural networks
    using a rank-constrained topology, 2015): x (N, C_i) is projected by F features, the last M projections of each are
    kept, filtered in time, and summed over the R = F/units of a unit.

    Operands: x, weights (F, C_i), weights over time (F, M), bias (units), the projections kept (N, F·M).
    """
    x, weight, times, state = node.x(0), node.x(1), node.x(2), node.x(4)
    features, size = known(node, node.shape(1, 2), "weight")
    memory = known(node, node.shape(2, 2), "weight over time")[1]
    rank = node.options["rank"]
    if rank < 1 or features % rank or x.shape[-1:] != (size,):
        raise node.fail(f"{features} features of rank {rank} over {size} do not fit the input {x.shape}")
    units, batch = features // rank, node.shape(0, 2)[0]
    projected = node.between((batch, features), x, True)
    node.layer(
        "linear",
        {"x": x, "weight": weight},
        {"y": projected},
        {"in_features": size, "out_features": features},
        piece="feature",
    )
    kept = node.between((batch, features, memory), state, True)
    node.layer("concat", {"x0": state, "x1": projected}, {"y": kept}, {"axis": 2}, piece="memory")
    filtered = node.between((batch, features), x, True)
    attrs = {"in_features": memory, "out_features": features, "equation": "nfm,fm->nf"}
    node.layer("linear", {"x": kept, "weight": times}, {"y": filtered}, attrs, piece="time")
    fused, bias = node.options["fused_activation_function"], node.maybe(3)
    number = node.outputs - 1  # after the state, in files where it is an output
    y = node.result((batch, units), number)
    stages = [s for s in ("sum" if rank > 1 else "", "bias" if bias is not None else "", "fused" if fused else "") if s]
    value = filtered
    for stage in stages:
        made = y if stage == stages[-1] else node.between((batch, units), x, True)
        if stage == "sum":
            folded = node.between((batch, units, rank), x, True)
            node.layer(
                "reshape",
                {"x": value},
                {"y": folded},
                {"shape": folded.shape},
                piece="ranks",
                aliases=(("y", "x", "view"),),
            )
            node.layer("sum", {"x": folded}, {"y": made}, {"axis": (2,), "keepdim": False}, piece="sum")
        elif stage == "bias" and bias is not None:
            node.layer("add", {"x0": value, "x1": bias}, {"y": made}, piece="bias")
        else:
            node.activation(fused, value, made)
        value = made
    node.bind(number, y if stages else filtered)


__all__: list[str] = []
