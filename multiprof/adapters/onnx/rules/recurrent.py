"""Recurrent networks: one layer per direction, the whole sequence at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import float_attr, int_attr, ints, set_aside, str_attr
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_DEFAULTS = {"lstm": ("sigmoid", "tanh", "tanh"), "gru": ("sigmoid", "tanh"), "rnn": ("tanh",)}


@dataclass(slots=True)
class Weights:
    """The operands of a recurrent node: W and R as their specs (quantised or not), the others as they are.

    ``transposed`` says that W is (D, C_i, gates·H) rather than (D, gates·H, C_i), and R likewise.
    """

    w: TensorSpec
    r: TensorSpec
    b: Tensor | None
    lengths: Tensor | None
    h: Tensor | None
    c: Tensor | None = None
    peephole: Tensor | None = None
    transposed: bool = False


def _piece(tensor: Tensor | TensorSpec | None, *shape: int | None) -> TensorSpec | None:
    """One direction's part of an operand: its own shape, the operand's name."""
    if tensor is None:
        return None
    return replace(tensor.spec if isinstance(tensor, Tensor) else tensor, shape=shape)


def emit(node: Node, op: str, given: Weights) -> None:
    """Write the layers, forward and backward, and what joins them.

    W is (D, gates·H, C_i), R (D, gates·H, H), B (D, 2·gates·H): the biases of W and of R one behind the other. Y is
    (T, D, N, H), or with ``layout`` 1 (N, T, D, H). Where the lengths of the sequences are known, the steps are their
    sum, else N·T.
    """
    x = node.need(0)
    name = str_attr(node, "direction", "forward").lower()
    runs = _DIRECTIONS.get("forward" if name == "foward" else name)  # opset 1 misspells its default
    if runs is None:
        raise ModelError(f"{node.where}: the direction {name!r}")
    count, gates, w, r = len(runs), _GATES[op], given.w, given.r
    if x.rank != 3 or w.rank != 3 or r.rank != 3 or w.shape[0] not in (count, None) or r.shape[0] not in (count, None):
        raise ModelError(f"{node.where}: x {x.shape}, W {w.shape} and R {r.shape} for {count} direction(s)")
    features, hidden = (w.shape[1], r.shape[1]) if given.transposed else (w.shape[2], r.shape[2])
    features = x.shape[2] if features is None else features
    rows = None if hidden is None else gates * hidden
    layout = int_attr(node, "layout", 0)
    time, batch = (x.shape[1], x.shape[0]) if layout else x.shape[:2]
    attrs: dict[str, Any] = {
        "steps": _steps(given.lengths, time, batch),
        "input_size": features,
        "hidden_size": hidden,
        "batch_first": bool(layout),
        **_own(node, op),
    }
    for state in (given.h, given.c):
        # Exporters write a start from nothing into the file as zeros, for the batch size they saw: nothing is learned.
        if state is not None and state.value is not None and not state.value.any():
            set_aside(node, state)
    leading = (batch, time) if layout else (time, batch)
    sequence = node.output(0)
    states = dict(zip(("hn", "cn") if op == "lstm" else ("hn",), (node.output(1), node.output(2)), strict=False))
    parts: dict[str, list[TensorSpec]] = {"y": [], "hn": [], "cn": []}
    for number, reverse in enumerate(runs):
        outputs = _outputs(node, count, sequence, states, (*leading, hidden), (batch, hidden))
        for role, spec in outputs.items():
            parts[role].append(spec)
        ih, hh = (features, rows), (hidden, rows)
        operands: dict[str, Tensor | TensorSpec | None] = {
            "x": x,
            "weight_ih": _piece(w, *(ih if given.transposed else ih[::-1])),
            "weight_hh": _piece(r, *(hh if given.transposed else hh[::-1])),
            "bias_ih": _piece(given.b, rows),
            "bias_hh": _piece(given.b, rows),
            "peephole": _piece(given.peephole, None if hidden is None else 3 * hidden),
            "h0": _piece(given.h, batch, hidden),
            "c0": _piece(given.c, batch, hidden),
        }
        own = attrs | {"reverse": reverse} | _activations(node, op, number)
        suffix = "" if count == 1 else "reverse" if reverse else "forward"
        node.layer(op, operands, outputs, own, suffix=suffix)
    if count == 2:
        for role, result, axis in (
            ("y", sequence, 2 if layout else 1),
            *((role, spec, 1 if layout else 0) for role, spec in states.items()),
        ):
            if result is not None:
                pair = {f"x{i}": part for i, part in enumerate(parts[role])}
                node.layer("stack", pair, result, {"axis": axis}, suffix=f"stack_{role}")


def _outputs(
    node: Node,
    count: int,
    sequence: TensorSpec | None,
    states: Mapping[str, TensorSpec | None],
    shape: tuple[int | None, ...],
    state: tuple[int | None, ...],
) -> dict[str, TensorSpec]:
    """What one direction makes: the node's own outputs where there is but one, pieces of them where there are two."""
    dtype = node.need(0).dtype
    if count == 1:
        whole = sequence if sequence is not None else node.between(shape, dtype, "y")
        return {"y": whole} | {role: spec for role, spec in states.items() if spec is not None}
    found = {"y": node.between(shape, dtype, "y")}
    return found | {role: node.between(state, dtype, role) for role, spec in states.items() if spec is not None}


def _steps(lengths: Tensor | None, time: int | None, batch: int | None) -> int | None:
    known = ints(lengths)
    if known is not None and lengths is not None and lengths.rank == 1:
        return sum(max(0, n if time is None else min(n, time)) for n in known)
    return None if time is None or batch is None else prod((time, batch))


def _own(node: Node, op: str) -> dict[str, Any]:
    """Attributes of one kind of network, and those that differ from what every framework does."""
    found: dict[str, Any] = {}
    if op == "lstm":
        found["proj_size"] = 0
        if int_attr(node, "input_forget", 0):
            found["input_forget"] = True
    if op == "gru":
        found["reset_after"] = bool(int_attr(node, "linear_before_reset", 0))
    if "clip" in node.attrs:
        found["clip"] = float_attr(node, "clip", 0.0)
    return found


def _activations(node: Node, op: str, number: int) -> dict[str, Any]:
    """The activations of one direction, where they are others than the default."""
    given = node.attr("activations")
    default = _DEFAULTS[op]
    names: Sequence[str] = default
    if isinstance(given, list) and given:
        each = len(default)
        start = number * each if len(given) > each else 0
        names = tuple(str(name).lower() for name in given[start : start + each])
    if op == "rnn":
        return {"nonlinearity": names[0] if names else "tanh"}
    return {} if tuple(names) == default else {"activations": tuple(names)}


def _rule(op: str) -> Rule:
    def rule(node: Node) -> None:
        lstm = op == "lstm"
        given = Weights(
            node.need(1).spec,
            node.need(2).spec,
            node.input(3),
            node.input(4),
            node.input(5),
            node.input(6) if lstm else None,
            node.input(7) if lstm else None,
        )
        emit(node, op, given)

    return rule


RULES: dict[str, Rule] = {"GRU": _rule("gru"), "LSTM": _rule("lstm"), "RNN": _rule("rnn")}
