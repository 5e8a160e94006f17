"""Activations, softmax and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import (
    Operand,
    axis_of,
    float_attr,
    int_attr,
    numbers,
    size,
    str_attr,
    unary,
)
from multiprof.ir import TensorSpec


def leaky_relu(node: Node) -> None:
    node.layer("leaky_relu", {"x": node.need(0)}, None, {"negative_slope": float_attr(node, "alpha", 0.01)})


def prelu(node: Node) -> None:
    node.layer("prelu", {"x": node.need(0), "weight": node.need(1)})


def thresholded_relu(node: Node) -> None:
    node.layer("threshold", {"x": node.need(0)}, None, {"threshold": float_attr(node, "alpha", 1.0), "value": 0})


def shrink(node: Node) -> None:
    """x moved towards 0 by ``bias`` where |x| > ``lambd``, else 0: without a bias hard_shrink."""
    bias, limit = float_attr(node, "bias", 0.0), float_attr(node, "lambd", 0.5)
    if bias:
        attrs = {"lambda": limit} if bias == limit else {"lambda": limit, "bias": bias}
        node.layer("soft_shrink", {"x": node.need(0)}, None, attrs)
    else:
        node.layer("hard_shrink", {"x": node.need(0)}, None, {"lambda": limit})


def gelu(node: Node) -> None:
    node.layer("gelu", {"x": node.need(0)}, None, {"approximate": str_attr(node, "approximate", "none")})


def swish(node: Node) -> None:
    emit_swish(node, node.need(0), node.y, float_attr(node, "alpha", 1.0))


def emit_swish(node: Node, x: Operand, y: TensorSpec, alpha: float, suffix: str = "") -> None:
    """x·sigmoid(alpha·x): silu where alpha is 1, else three layers."""
    if alpha == 1:
        node.layer("silu", {"x": x}, y, suffix=suffix)
        return
    scaled, gate = node.between(y.shape, y.dtype), node.between(y.shape, y.dtype)
    prefix = f"{suffix}/" if suffix else ""
    node.layer("mul", {"x0": x}, scaled, {"scalar": alpha}, suffix=f"{prefix}alpha")
    node.layer("sigmoid", {"x": scaled}, gate, suffix=f"{prefix}sigmoid")
    node.layer("mul", {"x0": x, "x1": gate}, y, suffix=f"{prefix}mul")


def swiglu(node: Node) -> None:
    """swish(a)·b"""
    gate = node.between(node.y.shape)
    emit_swish(node, node.need(0), gate, float_attr(node, "alpha", 1.0), "swish")
    node.layer("mul", {"x0": gate, "x1": node.need(1)}, suffix="mul")


def normalised(op: str) -> Rule:
    """Softmax along an axis; before opset 13 over all axes from one on, as if x were a matrix."""

    def rule(node: Node) -> None:
        emit_normalised(node, op, node.need(0), node.y, coerced=node.version < 13)

    return rule


def emit_normalised(node: Node, op: str, x: Operand, y: TensorSpec, coerced: bool, suffix: str = "") -> None:
    rank = len(x.shape)
    axis = axis_of(node, int_attr(node, "axis", 1 if coerced else -1), rank) if rank else 0
    if not rank:
        found: tuple[int, ...] = ()
    elif coerced:
        found = tuple(range(axis, rank))
    else:
        found = (axis,)
    n = size(x.shape, found)
    # In hardmax the axes that were coerced into one are told by the first of them.
    node.layer(op, {"x": x}, y, {"axis": axis if op == "hardmax" else found, "n": n}, suffix=suffix)


# -- activations fused into another operator ---------------------------------------------------------------------------

# What an operator calls its activation -> op, names of its parameters with their defaults (in ONNX's order).
_FUSED: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "Relu": ("relu", {}),
    "Tanh": ("tanh", {}),
    "Sigmoid": ("sigmoid", {}),
    "LeakyRelu": ("leaky_relu", {"negative_slope": 0.01}),
    "Clip": ("clip", {"min": 0.0, "max": 0.0}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Selu": ("selu", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "HardSwish": ("hard_swish", {}),
    "Gelu": ("gelu", {}),
    "FastGelu": ("gelu", {}),
    "Silu": ("silu", {}),
    "Swish": ("silu", {}),
    "Mish": ("mish", {}),
}


class Fused:
    """The activation that an operator applies to its result: `target` is what the host makes, `finish` writes it."""

    def __init__(self, node: Node, name: str, parameters: tuple[float, ...] = (), y: TensorSpec | None = None) -> None:
        self.node = node
        self.y = y or node.y
        known = _FUSED.get(name)
        self.op = known[0] if known else f"onnx.activation.{name}" if name not in ("", "none") else ""
        self.attrs: dict[str, Any] = dict(zip(known[1], parameters, strict=False)) if known else {}
        if name == "FastGelu":
            self.attrs["approximate"] = "tanh"
        self.target = node.between(self.y.shape, self.y.dtype) if self.op else self.y

    def finish(self) -> None:
        if self.op:
            role = "x0" if "." in self.op else "x"
            outputs = {"y0": self.y} if "." in self.op else {"y": self.y}
            suffix = self.op.rpartition(".")[2]
            if self.op == "clip" and self.attrs.get("min") == 0 and self.attrs.get("max") == 6:
                self.op, self.attrs = "relu6", {}
            self.node.layer(self.op, {role: self.target}, outputs, self.attrs, suffix=suffix)


RULES: dict[str, Rule] = {
    "Celu": unary("celu", numbers(alpha=1.0)),
    "Elu": unary("elu", numbers(alpha=1.0)),
    "Gelu": gelu,
    "HardSigmoid": unary("hard_sigmoid", numbers(alpha=0.2, beta=0.5)),
    "HardSwish": unary("hard_swish"),
    "Hardmax": normalised("hardmax"),
    "LeakyRelu": leaky_relu,
    "LogSoftmax": normalised("log_softmax"),
    "Mish": unary("mish"),
    "PRelu": prelu,
    "Relu": unary("relu"),
    "Selu": unary("selu"),
    "Shrink": shrink,
    "Sigmoid": unary("sigmoid"),
    "Softmax": normalised("softmax"),
    "Softplus": unary("softplus"),
    "Softsign": unary("softsign"),
    "SwiGLU": swiglu,
    "Swish": swish,
    "Tanh": unary("tanh"),
    "ThresholdedRelu": thresholded_relu,
}
