"""Activations and softmax: TensorFlow Lite's own operators, or what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.tflite.rules.elementwise import arithmetic, broadcast
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

OWN = {
    "relu": "RELU",
    "relu6": "RELU6",
    "tanh": "TANH",
    "sigmoid": "LOGISTIC",
    "elu": "ELU",
    "hard_swish": "HARD_SWISH",
}


def simple(b: Builder, kind: str, x: Value, name: str, options: str = "", **settings: Any) -> Value:
    """An operator of one operand that keeps its shape and order."""
    return b.emit(kind, [x], b.temporary(x.shape, x.dtype, name, x.perm), options, **settings)


def number(b: Builder, value: float, like: Value) -> Value:
    return b.constant(np.array(value, dtype=like.dtype))


@rule(*OWN)
def own(b: Builder, layer: Layer) -> None:
    if layer.op == "elu" and layer.attrs.get("alpha", 1) != 1:
        raise NotLoweredError("an ELU whose α is not 1")
    options = "HardSwishOptions" if layer.op == "hard_swish" else ""
    b.result(layer, simple(b, OWN[layer.op], b.value(layer.x), b.name(layer), options))


@rule("gelu")
def gelu(b: Builder, layer: Layer) -> None:
    approximate = layer.attrs.get("approximate", "none") == "tanh"
    b.result(layer, simple(b, "GELU", b.value(layer.x), b.name(layer), "GeluOptions", approximate=approximate))


@rule("leaky_relu")
def leaky_relu(b: Builder, layer: Layer) -> None:
    slope = float(layer.attrs.get("negative_slope", 0.01))
    b.result(layer, simple(b, "LEAKY_RELU", b.value(layer.x), b.name(layer), "LeakyReluOptions", alpha=slope))


@rule("prelu")
def prelu(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    weight = b.value(layer.inputs["weight"])
    rank = x.rank
    if weight.rank == 1 and rank > 2 and weight.shape[0] != x.logical[-1]:  # one for each channel, dimension 1
        weight = b.reshaped(weight, (1, weight.shape[0], *(1,) * (rank - 2)))
    slope = broadcast(b, weight, x.perm)
    if slope.rank == rank:
        slope = b.reshaped(slope, slope.shape[1:])
    y = b.temporary(x.shape, x.dtype, b.name(layer), x.perm)
    b.result(layer, b.emit("PRELU", [x, slope], y))


@rule("silu")
def silu(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    gate = simple(b, "LOGISTIC", x, f"{b.name(layer)}_gate")
    b.result(layer, arithmetic(b, "MUL", x, gate, x.perm, b.name(layer)))


@rule("hard_sigmoid")
def hard_sigmoid(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    moved = b.temporary(x.shape, x.dtype, f"{b.name(layer)}_moved", x.perm)
    b.emit("ADD", [x, number(b, 3.0, x)], moved, "AddOptions", fusedActivationFunction=3)
    b.result(layer, arithmetic(b, "MUL", moved, number(b, 1 / 6, x), x.perm, b.name(layer)))


@rule("clip", "hard_tanh")
def clip(b: Builder, layer: Layer) -> None:
    """MAXIMUM and MINIMUM; RELU6 and its like where the bounds are theirs."""
    unset = (-1, 1) if layer.op == "hard_tanh" else (None, None)
    low, high = layer.attrs.get("min", unset[0]), layer.attrs.get("max", unset[1])
    x = b.value(layer.x)
    kinds: dict[Any, str] = {(0, 6): "RELU6", (-1, 1): "RELU_N1_TO_1", (0, None): "RELU"}
    kind = kinds.get((low, high))
    if kind is not None:
        b.result(layer, simple(b, kind, x, b.name(layer)))
        return
    y = x
    if low is not None:
        y = arithmetic(b, "MAXIMUM", y, number(b, low, x), x.perm, b.name(layer) + ("" if high is None else "_low"))
    if high is not None:
        y = arithmetic(b, "MINIMUM", y, number(b, high, x), x.perm, b.name(layer))
    b.result(layer, y)


@rule("softplus", "mish", "log_sigmoid", "softsign", "selu")
def composed(b: Builder, layer: Layer) -> None:
    """From exponentials and logarithms."""
    x, name = b.value(layer.x), b.name(layer)
    if layer.op == "softsign":
        size = arithmetic(b, "ADD", simple(b, "ABS", x, f"{name}_abs", "AbsOptions"), number(b, 1.0, x), x.perm)
        b.result(layer, arithmetic(b, "DIV", x, size, x.perm, name))
        return
    if layer.op == "log_sigmoid":
        b.result(layer, simple(b, "LOG", simple(b, "LOGISTIC", x, f"{name}_gate"), name))
        return
    if layer.op == "selu":
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        below = arithmetic(b, "MINIMUM", x, number(b, 0.0, x), x.perm)
        grown = arithmetic(b, "SUB", simple(b, "EXP", below, f"{name}_exp", "ExpOptions"), number(b, 1.0, x), x.perm)
        left = arithmetic(b, "MUL", grown, number(b, alpha * scale, x), x.perm)
        right = arithmetic(b, "MUL", simple(b, "RELU", x, f"{name}_relu"), number(b, scale, x), x.perm)
        b.result(layer, arithmetic(b, "ADD", left, right, x.perm, name))
        return
    grown = arithmetic(b, "ADD", simple(b, "EXP", x, f"{name}_exp", "ExpOptions"), number(b, 1.0, x), x.perm)
    plus = simple(b, "LOG", grown, name if layer.op == "softplus" else f"{name}_plus")
    if layer.op == "softplus":
        b.result(layer, plus)
        return
    b.result(layer, arithmetic(b, "MUL", x, simple(b, "TANH", plus, f"{name}_tanh"), x.perm, name))


@rule("glu")
def glu(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    axis = x.axis(int(layer.attrs.get("axis", -1)))
    half = [n // 2 if at == axis else n for at, n in enumerate(x.shape)]
    parts = [b.temporary(half, x.dtype, f"{b.name(layer)}_half", x.perm) for _ in range(2)]
    where = b.writer.constant(np.array(axis, dtype=np.int32), "axis")
    b.writer.operator("SPLIT", [where, x.number], [p.number for p in parts], "SplitOptions", numSplits=2)
    gate = simple(b, "LOGISTIC", parts[1], f"{b.name(layer)}_gate")
    b.result(layer, arithmetic(b, "MUL", parts[0], gate, x.perm, b.name(layer)))


@rule("softmax", "log_softmax")
def softmax(b: Builder, layer: Layer) -> None:
    """Over the last stored dimension."""
    axes = layer.attrs.get("axis", (-1,))
    axes = axes if isinstance(axes, tuple) else (axes,)
    x = b.value(layer.x)
    if len(axes) != 1:
        raise NotLoweredError("a softmax over several dimensions")
    axis = axes[0] % x.rank
    if x.axis(axis) != x.rank - 1:
        x = b.ordered(x, (*(at for at in straight(x.rank) if at != axis), axis))
    if layer.op == "softmax":
        y = simple(b, "SOFTMAX", x, b.name(layer), "SoftmaxOptions", beta=1.0)
    else:
        y = simple(b, "LOG_SOFTMAX", x, b.name(layer), "LogSoftmaxOptions")
    b.result(layer, y)
