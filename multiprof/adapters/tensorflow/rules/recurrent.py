"""Recurrent networks that are one operation: cuDNN's, and TensorFlow's block cells."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import TensorSpec

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@rule("CudnnRNN", "CudnnRNNV2", "CudnnRNNV3")
def cudnn(node: Node) -> Any:
    """input (T, N, C_i), input_h (layers·D, N, H), input_c, params; every layer and direction is a layer.

    The parameters are one row of numbers, of which each layer reads its piece.
    """
    mode = str(node.attr("rnn_mode", "lstm"))
    if mode not in _GATES:
        return NotImplemented
    x, h, c, params = node.x(0), node.x(1), node.x(2), node.x(3)
    both = node.attr("direction", "unidirectional") == "bidirectional"
    directions = 2 if both else 1
    if x.rank != 3 or h.rank != 3 or None in (*h.shape, x.shape[2]):
        return NotImplemented
    time, batch, features = x.shape if node.attr("time_major", True) else (x.shape[1], x.shape[0], x.shape[2])
    stack, hidden = (h.shape[0] or directions) // directions, h.shape[2] or 0
    width, gates = features or 0, _GATES[mode]
    steps = None if time is None or batch is None else time * batch
    projected = int(node.attr("num_proj", 0) or 0)
    if projected:
        return NotImplemented
    op = mode.partition("_")[0]
    last_h: list[TensorSpec] = []
    last_c: list[TensorSpec] = []
    for level in range(stack):
        both_ways = []
        for number in range(directions):
            name = f"layer_{level}" + ("_reverse" if number else "")
            whole = level == stack - 1 and directions == 1
            shape = (*x.shape[:2], hidden)
            y = node.y(0) if whole else node.between(shape)
            state = (1, batch, hidden)
            hn = node.between(state)
            outputs = {"y": y, "hn": hn}
            last_h.append(hn)
            pieces = {
                "weight_ih": (gates * hidden, width), "weight_hh": (gates * hidden, hidden),
                "bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,),
            }  # fmt: skip
            operands = {"x": x} | {r: TensorSpec(s, params.dtype, params.name) for r, s in pieces.items()}
            operands["h0"] = TensorSpec(state, h.dtype, h.name)
            attrs: dict[str, Any] = {
                "steps": steps, "input_size": width, "hidden_size": hidden, "reverse": bool(number),
                "batch_first": not node.attr("time_major", True),
            }  # fmt: skip
            if op == "lstm":
                cn = node.between(state)
                outputs["cn"] = cn
                last_c.append(cn)
                operands["c0"] = TensorSpec(state, c.dtype, c.name)
                attrs["proj_size"] = 0
            elif op == "gru":
                attrs["reset_after"] = True
            else:
                attrs["nonlinearity"] = mode.rpartition("_")[2]
            node.layer(op, operands, outputs, attrs, piece=name if stack * directions > 1 else "")
            both_ways.append(y)
        if both:
            joined = node.y(0) if level == stack - 1 else node.between((*x.shape[:2], 2 * hidden))
            node.layer(
                "concat", {"x0": both_ways[0], "x1": both_ways[1]}, joined, {"axis": 2}, piece=f"layer_{level}_both"
            )
            x = joined
        else:
            x = both_ways[0]
        width = hidden * directions
    for number, states in ((1, last_h), (2, last_c)):
        if states:
            parts = {f"x{i}": s for i, s in enumerate(states)}
            node.layer("concat", parts, node.y(number), {"axis": 0}, piece=f"state_{number}")
        else:
            node.layer("fill", {}, node.y(number), {"value": 0}, piece=f"state_{number}")
    for number in range(3, len(node.outputs)):
        node.layer("fill", {}, node.y(number), {"value": 0}, piece=f"reserve_{number}")
    return None


def _piece(weight: TensorSpec, *shape: int | None) -> TensorSpec:
    return TensorSpec(shape, weight.dtype, weight.name)


@rule("BlockLSTM", "BlockLSTMV2")
def block_lstm(node: Node) -> None:
    """seq_len_max, x (T, N, C_i), cs_prev, h_prev, w (C_i + H, 4·H), wci, wcf, wco, b.

    Of its results (i, cs, f, o, ci, co, h, each for all steps) the last are y; the others are handed out as they arise.
    """
    x = node.x(1)
    time, batch, features = x.shape
    _lstm(node, x, (2, 3, 4, 5, 8), features, None if time is None or batch is None else time * batch, 6)


@rule("LSTMBlockCell")
def lstm_cell(node: Node) -> None:
    """x (N, C_i), cs_prev, h_prev, w, wci, wcf, wco, b: one step."""
    x = node.x(0)
    _lstm(node, x, (1, 2, 3, 4, 7), x.shape[1], x.shape[0], 6)


def _lstm(
    node: Node, x: TensorSpec, places: tuple[int, ...], features: int | None, steps: int | None, result: int
) -> None:
    c, h, w, peephole, b = places
    weight = node.x(w)
    hidden = node.shape(h)[-1]
    rows = None if hidden is None else 4 * hidden
    operands = {
        "x": x, "weight_ih": _piece(weight, features, rows), "weight_hh": _piece(weight, hidden, rows),
        "bias_ih": node.x(b), "h0": node.x(h), "c0": node.x(c),
    }  # fmt: skip
    if node.attr("use_peephole", False):
        operands["peephole"] = _piece(node.x(peephole), None if hidden is None else 3 * hidden)
    attrs: dict[str, Any] = {
        "steps": steps, "input_size": features, "hidden_size": hidden, "reverse": False, "batch_first": False,
        "proj_size": 0,
    }  # fmt: skip
    names = ("i", "cs", "f", "o", "ci", "co")
    outputs = {"y": node.y(result)} | {name: node.y(i) for i, name in enumerate(names)}
    node.layer("lstm", operands, outputs, attrs)


@rule("GRUBlockCell")
def gru_cell(node: Node) -> None:
    """x (N, C_i), h_prev, w_ru (C_i + H, 2·H), w_c (C_i + H, H), b_ru, b_c; results r, u, c, h.

    The two weights stand for the three gates' each: the pieces of the candidate's are named by the first.
    """
    x, h = node.x(0), node.x(1)
    features, hidden = x.shape[1], h.shape[1]
    rows = None if hidden is None else 3 * hidden
    operands = {
        "x": x, "weight_ih": _piece(node.x(2), features, rows), "weight_hh": _piece(node.x(3), hidden, rows),
        "bias_ih": _piece(node.x(4), rows), "h0": h,
    }  # fmt: skip
    attrs = {
        "steps": x.shape[0], "input_size": features, "hidden_size": hidden, "reverse": False, "batch_first": False,
        "reset_after": False,
    }  # fmt: skip
    node.x(5)  # declares the candidate's bias
    outputs = {"y": node.y(3), "r": node.y(0), "u": node.y(1), "c": node.y(2)}
    node.layer("gru", operands, outputs, attrs)
