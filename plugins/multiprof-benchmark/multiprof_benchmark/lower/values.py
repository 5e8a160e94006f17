"""Which numbers to put into tensors whose values a Graph does not hold: weights, inputs, states.

Weights are drawn as K. He et al. (Delving Deep into Rectifiers, 2015) initialise them, normal with the variance
2/fan-in, so that activations neither vanish nor overflow from layer to layer; statistics are those of normalised data;
indices stay in range. What a tensor needs follows from the layer that first reads it, through layers that only move
elements along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod, sqrt

from multiprof import Layer, TensorSpec

NORMAL, UNIFORM, CONSTANT, INTEGERS = "normal", "uniform", "constant", "integers"


@dataclass(frozen=True, slots=True)
class Draw:
    """A distribution: ``normal`` (mean a, deviation b), ``uniform`` or ``integers`` in [a, b), ``constant`` a."""

    kind: str
    a: float = 0.0
    b: float = 1.0


_ONES, _ZEROS = Draw(CONSTANT, 1.0), Draw(CONSTANT, 0.0)
# Uniformly distributed 8-bit integers −127 … 127 have the standard deviation √(255² − 1)/√12.
_INT8_DEVIATION = sqrt((255**2 - 1) / 12)
# A real number for one step of a quantised activation: 8 bits then span −6.4 … 6.4, as a ReLU6 net's do.
STEP = 0.05

# Layers behind which elements are still the same: what reads their result says what the operand needs.
_MOVES = frozenset(
    (
        *("reshape", "transpose", "slice", "split", "expand", "repeat", "flip", "roll", "copy", "identity", "cast"),
        *("dequantize", "concat", "stack", "gather", "quantize", "dropout", "pad"),
    )
)
_NORMS = frozenset(("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"))
_POSITIVE = frozenset(("sqrt", "rsqrt", "log", "log2", "log10", "log1p", "reciprocal"))


def _fan_in(layer: Layer) -> float:
    a = layer.attrs
    if layer.op in ("conv", "deform_conv"):
        return float(prod(a["kernel_size"]) * a["in_channels"] / a["groups"])
    if layer.op == "conv_transpose":  # every output element meets one in prod(stride) of the kernel's
        return float(prod(a["kernel_size"]) * a["in_channels"] / a["groups"] / prod(a.get("stride") or (1,)))
    return float(a["in_features"])


def _draw(layer: Layer, role: str, spec: TensorSpec) -> Draw | None:
    """What an operand in that role needs; ``None`` where anything will do."""
    op = layer.op
    if role.startswith("bias") or (op in _NORMS and role == "mean"):
        return _ZEROS
    if op in _NORMS and role in ("weight", "var"):
        return _ONES
    if role == "weight" and op in ("conv", "conv_transpose", "deform_conv", "linear"):
        return Draw(NORMAL, 0.0, sqrt(2 / max(_fan_in(layer), 1)))
    if op in ("lstm", "gru", "rnn") and role not in ("x", "h0", "c0"):
        bound = 1 / sqrt(layer.attrs["hidden_size"])
        return Draw(UNIFORM, -bound, bound)
    if op == "embedding":
        rows = layer.inputs["weight"].shape[0] if role == "x" else None
        return Draw(NORMAL) if role == "weight" else Draw(INTEGERS, 0, rows or 1)
    if op == "gather" and role == "indices":
        rows = layer.x.shape[layer.attrs.get("axis", 0)]
        return Draw(INTEGERS, 0, rows or 1)
    if op in ("index", "index_put", "index_reduce") and role != "x" and role.startswith("x"):
        axes = layer.attrs.get("axes") or (0,)
        axis = axes[min(int(role[1:] or 0), len(axes) - 1)]
        return Draw(INTEGERS, 0, layer.inputs["x"].shape[axis] or 1)
    if op == "one_hot":
        return Draw(INTEGERS, 0, layer.attrs.get("depth") or 1)
    if op in ("attention", "masked_fill", "where") and role in ("mask", "cond"):
        keep = op != "masked_fill"  # True lets through, but in masked_fill it writes
        return Draw(CONSTANT, float(keep) if spec.dtype == "bool" else 0.0)
    if role == "scale":
        return Draw(CONSTANT, STEP)
    if role == "zero_point":
        return _ZEROS
    if op == "prelu" and role == "weight":
        return Draw(CONSTANT, 0.25)
    if op == "pow":  # a real power of a negative number is none; an even one of any number is
        return Draw(CONSTANT, 2.0) if role == "x1" else None
    if op in _POSITIVE:
        return Draw(UNIFORM, 0.5, 1.5)
    return None


class Draws:
    """What to put into the tensors of a graph, by the layers that read them."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.readers: dict[str, list[tuple[Layer, str]]] = {}
        for layer in layers:
            for role, spec in layer.inputs.items():
                self.readers.setdefault(spec.name, []).append((layer, role))

    def of(self, spec: TensorSpec, *, weight: bool) -> Draw:
        """For a weight or constant (``weight``), or for an input."""
        found = self._wanted(spec, spec.name)
        if "int" in spec.dtype:
            if spec.quant is not None or (weight and self._is_dequantized(spec.name)):
                return _stored(spec.dtype)
            if found is not None and found.kind in (INTEGERS, CONSTANT):
                return found
            return Draw(INTEGERS, 0, 2) if not weight else _ONES
        if spec.dtype == "bool":
            return found if found is not None and found.kind == CONSTANT else _ONES
        if found is not None and found.kind == INTEGERS:
            return Draw(INTEGERS, found.a, found.b)  # positions that are stored as real numbers
        if weight and self._is_scale(spec.name) is not None:
            return Draw(CONSTANT, self._is_scale(spec.name) or STEP)
        if found is not None:
            return found
        return Draw(UNIFORM, 0.5, 1.5) if weight else Draw(NORMAL)

    def _wanted(self, spec: TensorSpec, name: str, depth: int = 0) -> Draw | None:
        for layer, role in self.readers.get(name, ()):
            draw = _draw(layer, role, spec)
            if draw is not None:
                return draw
        if depth < 12:
            for layer, role in self.readers.get(name, ()):
                if layer.op in _MOVES and (role == "x" or role[1:].isdigit()):
                    for made in layer.outputs.values():
                        draw = self._wanted(spec, made.name, depth + 1)
                        if draw is not None:
                            return draw
        return None

    def _is_dequantized(self, name: str) -> bool:
        return any(layer.op == "dequantize" and role == "x" for layer, role in self.readers.get(name, ()))

    def _is_scale(self, name: str) -> float | None:
        """The scale of a dequantised weight: one that makes its deviation the weight's."""
        for layer, role in self.readers.get(name, ()):
            if layer.op == "dequantize" and role == "scale":
                wanted = self._wanted(layer.y, layer.y.name)
                if wanted is not None and wanted.kind == NORMAL:
                    return wanted.b / _INT8_DEVIATION
                return STEP
        return None


def _stored(dtype: str) -> Draw:
    """Stored integers of a quantised tensor: 8 bits and less in full, wider ones (biases) small."""
    low, high = {"int8": (-127, 128), "uint8": (0, 256), "int4": (-8, 8), "uint4": (0, 16)}.get(dtype, (-8, 8))
    return Draw(INTEGERS, low, high)


__all__ = ["CONSTANT", "INTEGERS", "NORMAL", "STEP", "UNIFORM", "Draw", "Draws"]
