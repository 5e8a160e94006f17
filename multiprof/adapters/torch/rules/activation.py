"""Activations, in-place and not."""

from __future__ import annotations

from math import isclose
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, between, new_elementwise, normal_axis
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS, number
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

_SELU_SCALE = 1.0507009873554805  # torch.nn.functional.selu is elu with this scale


def activate(t: Tracer, op: str, x: Tensor, inplace: bool, attrs: dict[str, Any] | None = None) -> Any:
    """Emit ``op`` on ``x`` with a result of the same shape and dtype, or written into ``x``; floats alone."""
    if t.forced is None and x.dtype not in FLOATS:
        raise Unsure
    return _emit(t, op, x, inplace, attrs)


def _emit(t: Tracer, op: str, x: Tensor, inplace: bool, attrs: dict[str, Any] | None = None) -> Any:
    if inplace:
        check_writable(t, x, x.dtype)
        return t.write(op, x, {"x": x}, attrs)
    y = new_elementwise(t, (x,), x.shape, x.dtype, False)
    t.emit(op, {"x": x}, {"y": y}, attrs)
    return y


@rule("torch.relu", "Tensor.relu", "F.relu", aten="relu")
def relu(t: Tracer, input: Tensor, inplace: bool = False) -> Any:
    if input.dtype is BOOL:
        return NotImplemented
    return _emit(t, "relu", input, inplace)


@rule("torch.relu_", "Tensor.relu_", aten="relu_")
def relu_(t: Tracer, input: Tensor) -> Any:
    return relu(t, input, True)


def _plain(op: str, inplace: bool) -> Rule:
    def apply(t: Tracer, input: Tensor) -> Any:
        return activate(t, op, input, inplace)

    return apply


def _switched(op: str) -> Rule:
    def apply(t: Tracer, input: Tensor, inplace: bool = False) -> Any:
        return activate(t, op, input, inplace)

    return apply


# Activations without parameters: op, torch's name. F.<name> takes ``inplace``.
for _op, _name in (
    ("relu6", "relu6"),
    ("selu", "selu"),
    ("silu", "silu"),
    ("mish", "mish"),
    ("hard_sigmoid", "hardsigmoid"),
    ("hard_swish", "hardswish"),
    ("softsign", "softsign"),
    ("tanh_shrink", "tanhshrink"),
):
    rule(f"F.{_name}")(_switched(_op))
    rule(f"torch.{_name}", f"nn.{_name}", aten=_name)(_plain(_op, False))
    rule(f"torch.{_name}_", f"nn.{_name}_", aten=f"{_name}_")(_plain(_op, True))


@rule("F.hardtanh", "nn.hardtanh", aten="hardtanh")
def hardtanh(t: Tracer, input: Tensor, min_val: Any = -1.0, max_val: Any = 1.0, inplace: bool = False) -> Any:
    """Between 0 and 6 it is relu6, which torch itself writes so."""
    low, high = number(min_val), number(max_val)
    if low > high:
        return NotImplemented
    if low == 0 and high == 6:
        return activate(t, "relu6", input, inplace)
    return activate(t, "hard_tanh", input, inplace, {"min": low, "max": high})


@rule("nn.hardtanh_", aten="hardtanh_")
def hardtanh_(t: Tracer, input: Tensor, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    return hardtanh(t, input, min_val, max_val, True)


@rule("F.leaky_relu", "nn.leaky_relu", aten="leaky_relu")
def leaky_relu(t: Tracer, input: Tensor, negative_slope: Any = 0.01, inplace: bool = False) -> Any:
    return activate(t, "leaky_relu", input, inplace, {"negative_slope": number(negative_slope)})


@rule("nn.leaky_relu_", aten="leaky_relu_")
def leaky_relu_(t: Tracer, input: Tensor, negative_slope: Any = 0.01) -> Any:
    return leaky_relu(t, input, negative_slope, True)


@rule("F.elu")
def elu(t: Tracer, input: Tensor, alpha: Any = 1.0, inplace: bool = False) -> Any:
    return activate(t, "elu", input, inplace, {"alpha": number(alpha)})


@rule("nn.elu", aten="elu")
def scaled_elu(t: Tracer, input: Tensor, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    """scale·elu(x), with exp(input_scale·x) in it: the kernel of elu, selu and celu."""
    return _scaled_elu(t, input, alpha, scale, input_scale, False)


@rule("nn.elu_", aten="elu_")
def scaled_elu_(t: Tracer, input: Tensor, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    return _scaled_elu(t, input, alpha, scale, input_scale, True)


def _scaled_elu(t: Tracer, x: Tensor, alpha: Any, scale: Any, input_scale: Any, inplace: bool) -> Any:
    alpha = number(alpha)
    if scale == 1 and input_scale == 1:
        return activate(t, "elu", x, inplace, {"alpha": alpha})
    if input_scale == 1 and isclose(scale, _SELU_SCALE):
        return activate(t, "selu", x, inplace)
    if scale == 1 and isclose(input_scale * alpha, 1):
        return activate(t, "celu", x, inplace, {"alpha": alpha})
    return NotImplemented


@rule("F.celu", "torch.celu", aten="celu")
def celu(t: Tracer, input: Tensor, alpha: Any = 1.0, inplace: bool = False) -> Any:
    if not number(alpha):
        return NotImplemented
    return activate(t, "celu", input, inplace, {"alpha": number(alpha)})


@rule("torch.celu_", aten="celu_")
def celu_(t: Tracer, input: Tensor, alpha: Any = 1.0) -> Any:
    return celu(t, input, alpha, True)


@rule("nn.softplus", aten="softplus")
def softplus(t: Tracer, input: Tensor, beta: Any = 1, threshold: Any = 20) -> Any:
    return activate(t, "softplus", input, False, {"beta": number(beta), "threshold": number(threshold)})


@rule("nn.softshrink", aten="softshrink")
def softshrink(t: Tracer, input: Tensor, lambd: Any = 0.5) -> Any:
    if not number(lambd) >= 0:
        return NotImplemented
    return activate(t, "soft_shrink", input, False, {"lambda": lambd})


@rule("F.hardshrink", "torch.hardshrink", "Tensor.hardshrink", aten="hardshrink")
def hardshrink(t: Tracer, input: Tensor, lambd: Any = 0.5) -> Any:
    return activate(t, "hard_shrink", input, False, {"lambda": number(lambd)})


@rule("F.threshold", "torch.threshold", aten="threshold")
def threshold(t: Tracer, input: Tensor, threshold: Any, value: Any, inplace: bool = False) -> Any:
    return activate(t, "threshold", input, inplace, {"threshold": number(threshold), "value": number(value)})


@rule("torch.threshold_", aten="threshold_")
def threshold_(t: Tracer, input: Tensor, threshold_: Any, value: Any) -> Any:
    return threshold(t, input, threshold_, value, True)


@rule("nn.gelu", aten="gelu")
def gelu(t: Tracer, input: Tensor, approximate: str = "none") -> Any:
    if approximate not in ("none", "tanh"):
        return NotImplemented
    return activate(t, "gelu", input, False, {"approximate": approximate})


@rule("nn.gelu_", aten="gelu_")
def gelu_(t: Tracer, input: Tensor, approximate: str = "none") -> Any:
    if approximate not in ("none", "tanh"):
        return NotImplemented
    return activate(t, "gelu", input, True, {"approximate": approximate})


@rule("nn.log_sigmoid", "F.logsigmoid", aten=("log_sigmoid", "log_sigmoid_forward"))
def log_sigmoid(t: Tracer, input: Tensor) -> Any:
    return activate(t, "log_sigmoid", input, False)


@rule("F.glu", "nn.glu", aten="glu")
def glu(t: Tracer, input: Tensor, dim: int = -1) -> Any:
    axis = normal_axis(dim, input.dim())
    shape = list(input.shape)
    if not shape or shape[axis] % 2:
        return NotImplemented
    size = shape[axis] = shape[axis] // 2
    if t.forced is not None:
        y = t.forced.pop(0)
    elif input.dtype not in FLOATS:
        return NotImplemented
    else:
        halves = [torch.Tensor.narrow(input, axis, start, size) for start in (0, size)]
        y = new_elementwise(t, halves, tuple(shape), input.dtype, False)
    t.emit("glu", {"x": input}, {"y": y}, {"axis": axis})
    return y


@rule("torch.prelu", "Tensor.prelu", "F.prelu", aten="prelu")
def prelu(t: Tracer, input: Tensor, weight: Tensor) -> Any:
    """``weight`` holds one slope, or one for each channel (dimension 1)."""
    if input.dtype is not weight.dtype or weight.dim() > 1:
        return NotImplemented
    count = weight.numel()
    if count != 1 and (input.dim() < 2 or input.shape[1] != count):
        return NotImplemented
    return _prelu(t, input, weight)


@rule(aten="_prelu_kernel")
def _prelu(t: Tracer, input: Tensor, weight: Tensor) -> Any:
    if t.forced is None and (input.dtype not in FLOATS or not weight.is_contiguous()):
        return NotImplemented
    y = new_elementwise(t, (input,), input.shape, input.dtype, False)
    t.emit("prelu", {"x": input, "weight": weight}, {"y": y})
    return y


@rule("F.rrelu", "torch.rrelu")
def rrelu(
    t: Tracer, input: Tensor, lower: Any = 1 / 8, upper: Any = 1 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """At inference a leaky relu with the mean slope; in training every slope is drawn at random."""
    if training or inplace is None:
        return NotImplemented
    return activate(t, "rrelu", input, inplace, {"lower": number(lower), "upper": number(upper)})


@rule("F.rrelu_", "torch.rrelu_", aten="rrelu_with_noise_")
def rrelu_(t: Tracer, input: Tensor, *slopes: Any, training: bool = False) -> Any:
    """In place; beneath the slopes stand after a tensor for the noise."""
    lower, upper, *more = [value for value in slopes if not isinstance(value, Tensor)] or (1 / 8, 1 / 3)
    if training or any(more):
        return NotImplemented
    return activate(t, "rrelu", input, True, {"lower": number(lower), "upper": number(upper)})


@rule(aten=("rrelu_with_noise", "rrelu_with_noise_functional"))
def rrelu_with_noise(
    t: Tracer,
    input: Tensor,
    noise: Tensor,
    lower: Any = 1 / 8,
    upper: Any = 1 / 3,
    training: bool = False,
    _gen: Any = None,
) -> Any:
    """In training the slopes are drawn, and x or slope·x is selected."""
    if not training:
        return activate(t, "rrelu", input, False, {"lower": lower, "upper": upper})
    y = t.new(input.shape, input.dtype)
    slopes, test = between(input.shape, input.dtype), between(input.shape, BOOL)
    t.emit("random", {}, {"y": slopes}, {"distribution": "uniform"}, "random")
    scaled = between(input.shape, input.dtype)
    t.emit("mul", {"x0": input, "x1": slopes}, {"y": scaled}, None, "mul")
    t.emit("less_equal", {"x0": input}, {"y": test}, {"scalar": 0}, "less_equal")
    t.emit("where", {"cond": test, "x0": scaled, "x1": input}, {"y": y}, None, "where")
    return y
