"""Activations and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, broadcast, rule

_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "relu6": F.relu6, "selu": F.selu, "silu": F.silu, "mish": F.mish, "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid, "hard_sigmoid": F.hardsigmoid, "hard_swish": F.hardswish, "tanh": torch.tanh,
    "softsign": F.softsign, "tanh_shrink": F.tanhshrink,
}  # fmt: skip


def _number(attrs: Any, name: str, default: float) -> float:
    value = attrs.get(name)
    return default if value is None else float(value)


@rule(*_PLAIN)
def plain(layer: Layer, context: Context) -> Callable[..., Tensor]:
    function = _PLAIN[layer.op]
    return lambda x: function(x)


@rule("leaky_relu", "rrelu", "elu", "celu", "hard_tanh", "softplus", "soft_shrink", "hard_shrink", "threshold", "gelu")
def parametric(layer: Layer, context: Context) -> Callable[..., Tensor]:
    a, op = layer.attrs, layer.op
    if op == "leaky_relu":
        slope = _number(a, "negative_slope", 0.01)
        return lambda x: F.leaky_relu(x, slope)
    if op == "rrelu":
        slope = (_number(a, "lower", 1 / 8) + _number(a, "upper", 1 / 3)) / 2
        return lambda x: F.leaky_relu(x, slope)
    if op in ("elu", "celu"):
        alpha, function = _number(a, "alpha", 1.0), F.elu if op == "elu" else F.celu
        return lambda x: function(x, alpha)
    if op == "hard_tanh":
        low, high = _number(a, "min", -1.0), _number(a, "max", 1.0)
        return lambda x: F.hardtanh(x, low, high)
    if op == "softplus":
        beta, limit = _number(a, "beta", 1.0), _number(a, "threshold", 20.0)
        return lambda x: F.softplus(x, beta, limit)
    if op in ("soft_shrink", "hard_shrink"):
        width, shrink = _number(a, "lambda", 0.5), F.softshrink if op == "soft_shrink" else F.hardshrink
        return lambda x: shrink(x, width)
    if op == "threshold":
        limit, value = _number(a, "threshold", 0.0), _number(a, "value", 0.0)
        return lambda x: F.threshold(x, limit, value)
    form = "tanh" if a.get("approximate") == "tanh" else "none"
    return lambda x: F.gelu(x, approximate=form)


@rule("prelu")
def prelu(layer: Layer, context: Context) -> Callable[..., Tensor]:
    """A slope for each of dimension 1, or what broadcasts."""
    x, weight = shape_of(layer.x), shape_of(layer.inputs["weight"])
    if len(weight) <= 1 and (layer.inputs["weight"].numel == 1 or (len(x) > 1 and weight[0] == x[1])):
        return lambda x, weight: F.prelu(x, weight.reshape(-1))
    if broadcast(x, weight) is None:
        wide = (*weight, *[1] * (len(x) - 1 - len(weight)))
        return lambda x, weight: torch.where(x > 0, x, x * weight.reshape(wide))
    return lambda x, weight: torch.where(x > 0, x, x * weight)


@rule("glu")
def glu(layer: Layer, context: Context) -> Callable[..., Tensor]:
    axis = layer.attrs.get("axis", -1)
    return lambda x: F.glu(x, axis)


@rule("softmax", "log_softmax")
def softmax(layer: Layer, context: Context) -> Callable[..., Tensor]:
    """Along one axis, or along several as if they were one."""
    function = torch.softmax if layer.op == "softmax" else torch.log_softmax
    axis = layer.attrs.get("axis", -1)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    if len(axes) == 1:
        (only,) = axes
        return lambda x: function(x, only)
    rank = layer.x.rank
    perm = (*(i for i in range(rank) if i not in axes), *axes)
    inverse = tuple(perm.index(i) for i in range(rank))

    def run(x: Tensor) -> Tensor:
        moved = x.permute(perm)
        return function(moved.flatten(rank - len(axes)), -1).reshape(moved.shape).permute(inverse)

    return run


@rule("hardmax")
def hardmax(layer: Layer, context: Context) -> Kernel:
    axis = layer.attrs.get("axis", -1)
    axis = axis if isinstance(axis, int) else axis[0]

    def run(x: Tensor) -> Tensor:
        return torch.zeros_like(x).scatter_(axis, x.argmax(axis, keepdim=True), 1)

    return Kernel(run)
