"""LSTMs that the canonical layer cannot say, written out as a loop over the steps that carries the state.

Without an input gate of its own (the input gate is 1 − forget gate) a cell has three products with weights; with
normalised gates each product sum is layer-normalised before its bias. Source: the kernels' LstmStepFloat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multiprof.adapters.tflite.node import Node
from multiprof.ir import ALIAS_ROLE, LOOP, TensorSpec


@dataclass(slots=True)
class Gates:
    """Weights of three or four gates, in the order (input,) forget, cell, output; each list may be empty but the first
    two. ``peepholes`` are of the gates (input,) forget, output."""

    input: Sequence[TensorSpec]
    recurrent: Sequence[TensorSpec]
    biases: Sequence[TensorSpec]
    peepholes: Sequence[TensorSpec]
    norms: Sequence[TensorSpec]
    projection: TensorSpec | None
    projection_bias: TensorSpec | None


class _Cell:
    """Writes the layers of one step, on tensors (batch, H)."""

    def __init__(self, node: Node, batch: int | None, hidden: int, like: TensorSpec, prefix: str) -> None:
        self.node = node
        self.shape = (batch, hidden)
        self.like = like
        self.prefix = prefix

    def make(self, op: str, piece: str, *operands: TensorSpec, **attrs: object) -> TensorSpec:
        y = self.node.between(self.shape, self.like, True)
        roles = ["x"] if len(operands) == 1 and op != "sub" else ["x0", "x1"]
        self.node.layer(op, dict(zip(roles, operands, strict=False)), {"y": y}, attrs, piece=f"{self.prefix}{piece}")
        return y

    def linear(self, x: TensorSpec, weight: TensorSpec, piece: str) -> TensorSpec:
        units, features = (d or 0 for d in weight.shape)
        y = self.node.between((self.shape[0], units), self.like, True)
        attrs = {"in_features": features, "out_features": units}
        self.node.layer("linear", {"x": x, "weight": weight}, {"y": y}, attrs, piece=f"{self.prefix}{piece}")
        return y


def write(
    node: Node,
    x: TensorSpec,
    batch: int | None,
    trips: int | None,
    gates: Gates,
    h0: TensorSpec | None,
    c0: TensorSpec | None,
    y: TensorSpec,
    hidden: int,
    size: int,
    piece: str,
) -> None:
    """The loop over ``trips`` steps; ``y`` is made after it, of the results of all steps."""
    prefix = f"{piece}/" if piece else ""
    names = ["input", "forget", "cell", "output"][4 - len(gates.input) :]
    writer = node.walker.writer
    with writer.region(f"{node.name}/{piece}" if piece else node.name, LOOP, trips, stateful=True):
        cell = _Cell(node, batch, hidden, y, prefix)
        now = node.between((batch, x.shape[-1]), x, True)
        node.layer("slice", {"x": x}, {"y": now}, {"index": "step"}, piece=f"{prefix}step")
        h, c = node.between((batch, size), y, True), node.between((batch, hidden), c0 or y, True)
        before = [h0 or x, c0 or x]
        entries = [
            node.layer(
                "identity",
                {"x": first, f"{ALIAS_ROLE}0": first, f"{ALIAS_ROLE}1": x},
                {"y": state},
                piece=f"{prefix}state{i}",
            )
            for i, (first, state) in enumerate(zip(before, (h, c), strict=True))
        ]
        sums: dict[str, TensorSpec] = {}
        norms, biases = dict(zip(names, gates.norms, strict=False)), dict(zip(names, gates.biases, strict=False))
        peepholes = dict(zip([n for n in names if n != "cell"], gates.peepholes, strict=False))
        memory = c
        made: dict[str, TensorSpec] = {}

        def gate(name: str, state: TensorSpec) -> TensorSpec:
            value = sums[name]
            if name in peepholes:
                seen = cell.make("mul", f"{name}/peephole", state, peepholes[name])
                value = cell.make("add", f"{name}/peephole_sum", value, seen)
            if name in norms:
                normal = node.between(cell.shape, y, True)
                inputs = {"x": value, "weight": norms[name], "bias": biases.get(name)}
                node.layer(
                    "layer_norm", inputs, {"y": normal}, {"normalized_size": hidden}, piece=f"{prefix}{name}/norm"
                )
                value = normal
            elif name in biases:
                value = cell.make("add", f"{name}/bias", value, biases[name])
            return cell.make("tanh" if name == "cell" else "sigmoid", f"{name}/activation", value)

        for name, weight, recurrent in zip(names, gates.input, gates.recurrent, strict=True):
            a, b = cell.linear(now, weight, f"{name}/input"), cell.linear(h, recurrent, f"{name}/recurrent")
            sums[name] = cell.make("add", f"{name}/sum", a, b)
        for name in names:
            if name != "output":
                made[name] = gate(name, memory)
        if "input" not in made:
            made["input"] = cell.make("sub", "input", made["forget"], scalar=1, reverse=True)
        kept = cell.make("mul", "kept", made["forget"], c)
        added = cell.make("mul", "added", made["input"], made["cell"])
        state = cell.make("add", "new_state", kept, added)
        output = gate("output", state)
        result = cell.make("mul", "result", output, cell.make("tanh", "state_activation", state))
        if gates.projection is not None:
            result = cell.linear(result, gates.projection, "projection")
            if gates.projection_bias is not None:
                projected = node.between(result.shape, y, True)
                node.layer(
                    "add",
                    {"x0": result, "x1": gates.projection_bias},
                    {"y": projected},
                    piece=f"{prefix}projection_bias",
                )
                result = projected
        entries[0].inputs["x"], entries[1].inputs["x"] = result, state
    node.layer("stack", {"x0": result}, {"y": y}, {"axis": 0}, piece=f"{prefix}steps")


__all__ = ["Gates", "write"]
