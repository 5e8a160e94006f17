"""Functions of one element, or of elements in the same place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multiprof import Layer
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "reciprocal": torch.reciprocal, "square": torch.square,
    "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1,
    "log": torch.log, "log2": torch.log2, "log10": torch.log10, "log1p": torch.log1p, "sin": torch.sin,
    "cos": torch.cos, "tan": torch.tan, "asin": torch.asin, "acos": torch.acos, "atan": torch.atan,
    "sinh": torch.sinh, "cosh": torch.cosh, "asinh": torch.asinh, "acosh": torch.acosh, "atanh": torch.atanh,
    "erf": torch.erf, "erfc": torch.erfc, "erfinv": torch.erfinv, "floor": torch.floor, "ceil": torch.ceil,
    "round": torch.round, "trunc": torch.trunc, "frac": torch.frac, "logical_not": torch.logical_not,
    "bitwise_not": torch.bitwise_not, "is_nan": torch.isnan, "is_inf": torch.isinf, "is_finite": torch.isfinite,
}  # fmt: skip
_BINARY: dict[str, Callable[..., Tensor]] = {
    "mul": torch.mul, "div": torch.div, "maximum": torch.maximum, "minimum": torch.minimum, "atan2": torch.atan2,
    "equal": torch.eq, "not_equal": torch.ne, "less": torch.lt, "less_equal": torch.le, "greater": torch.gt,
    "greater_equal": torch.ge, "logical_and": torch.logical_and, "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor, "bitwise_and": torch.bitwise_and, "bitwise_or": torch.bitwise_or,
    "bitwise_xor": torch.bitwise_xor, "shift_left": torch.bitwise_left_shift, "shift_right": torch.bitwise_right_shift,
    "floor_div": torch.floor_divide, "remainder": torch.remainder, "fmod": torch.fmod, "pow": torch.pow,
}  # fmt: skip
# These take tensors alone.
_NO_NUMBERS = frozenset(("maximum", "minimum", "atan2", "logical_and", "logical_or", "logical_xor"))


def typed(layer: Layer, context: Context, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function, its result in the layer's dtype: frameworks differ in what comparisons and mixed types give."""
    kind = context.type_of(layer.y)

    def run(**operands: Tensor) -> Tensor:
        y = function(**operands)
        return y if y.dtype == kind else y.to(kind)

    return run


@rule(*_UNARY)
def unary(layer: Layer, context: Context) -> Callable[..., Tensor]:
    function = _UNARY[layer.op]
    return typed(layer, context, lambda x: function(x))


def _constant(layer: Layer, name: str = "scalar") -> Any:
    """The operand that is a constant; 1 where its value is not known."""
    value = layer.attrs.get(name, 1)
    return 1 if value is None else value


def _joined(layer: Layer, context: Context, function: Callable[..., Tensor]) -> Kernel:
    """x0 and x1, or x0 and a constant, which may come first."""
    if "x1" in layer.inputs:
        return Kernel(typed(layer, context, lambda x0, x1: function(x0, x1)))
    value, notes = _constant(layer), () if "scalar" in layer.attrs else ("a constant is not known, so it is 1",)
    if layer.op in _NO_NUMBERS or isinstance(value, (tuple, list)):
        kind = context.type_of(layer.inputs["x0"])
        one = torch.tensor(value, dtype=kind)
        first: Callable[..., Tensor] = lambda x0, one: function(x0, one)  # noqa: E731
        second: Callable[..., Tensor] = lambda x0, one: function(one, x0)  # noqa: E731
        run = second if layer.attrs.get("reverse") else first
        return Kernel(typed(layer, context, run), fixed={"one": one}, notes=notes)
    if layer.attrs.get("reverse"):
        return Kernel(typed(layer, context, lambda x0: _reversed(function, value, x0)), notes=notes)
    return Kernel(typed(layer, context, lambda x0: function(x0, value)), notes=notes)


def _reversed(function: Callable[..., Tensor], value: Any, x: Tensor) -> Tensor:
    if function is torch.div:
        return torch.reciprocal(x) * value if value != 1 else torch.reciprocal(x)
    if function is torch.pow:
        return torch.pow(value, x)
    return function(torch.full_like(x, value), x)


@rule(*(name for name in _BINARY if name not in ("fmod", "pow", "floor_div", "div")))
def binary(layer: Layer, context: Context) -> Kernel:
    name = "fmod" if layer.op == "remainder" and layer.attrs.get("fmod") else layer.op
    return _joined(layer, context, _BINARY[name])


@rule("div", "floor_div")
def division(layer: Layer, context: Context) -> Kernel:
    """Of integers that give integers the quotient is cut, as C does."""
    if layer.op == "floor_div":
        return _joined(layer, context, torch.floor_divide)
    if layer.inputs["x0"].is_integer and layer.y.is_integer:
        return _joined(layer, context, lambda a, b: torch.div(a, b, rounding_mode="trunc"))
    return _joined(layer, context, torch.div)


@rule("add", "sub")
def addition(layer: Layer, context: Context) -> Kernel:
    alpha = layer.attrs.get("alpha", 1)
    alpha = 1 if alpha is None else alpha
    function = torch.add if layer.op == "add" else torch.sub
    if layer.attrs.get("reverse") and layer.op == "sub":
        value = _constant(layer)
        return Kernel(typed(layer, context, lambda x0: torch.rsub(x0, value, alpha=alpha)))
    if layer.inputs["x0"].dtype == "bool" and "x1" in layer.inputs and layer.op == "add" and alpha == 1:
        return Kernel(typed(layer, context, lambda x0, x1: x0 + x1))
    if alpha == 1:
        return _joined(layer, context, function)
    return _joined(layer, context, lambda a, b: function(a, b, alpha=alpha))


@rule("pow")
def power(layer: Layer, context: Context) -> Kernel:
    a = layer.attrs
    if "x1" in layer.inputs:
        return Kernel(typed(layer, context, lambda x0, x1: torch.pow(x0, x1)))
    if a.get("base") is not None:
        base = a["base"]
        return Kernel(typed(layer, context, lambda x0: torch.pow(base, x0)))
    exponent = a.get("exponent")
    notes = () if exponent is not None else ("an exponent is not known, so it is 2",)
    exponent = 2 if exponent is None else exponent
    return Kernel(typed(layer, context, lambda x0: torch.pow(x0, exponent)), notes=notes)


@rule("clip")
def clip(layer: Layer, context: Context) -> Callable[..., Tensor]:
    low, high = layer.attrs.get("min"), layer.attrs.get("max")
    if low is None and high is None:
        low, high = float("-inf"), float("inf")
        if layer.x.is_integer:
            return lambda x: x.clone()
    return lambda x: torch.clamp(x, low, high)


@rule("where")
def where(layer: Layer, context: Context) -> Callable[..., Tensor]:
    zero, one = _constant(layer, "scalar0"), _constant(layer, "scalar1")

    def run(cond: Tensor, x0: Tensor | None = None, x1: Tensor | None = None) -> Tensor:
        return torch.where(cond if cond.dtype == torch.bool else cond != 0, zero if x0 is None else x0,
                           one if x1 is None else x1)  # fmt: skip

    return typed(layer, context, run)


@rule("masked_fill")
def masked_fill(layer: Layer, context: Context) -> Callable[..., Tensor]:
    value = layer.attrs.get("value", 0)
    value = 0 if value is None else value
    return lambda x, mask: x.masked_fill(mask if mask.dtype == torch.bool else mask != 0, value)


@rule("lerp")
def lerp(layer: Layer, context: Context) -> Callable[..., Tensor]:
    weight = _constant(layer)
    return lambda x0, x1, t=None: torch.lerp(x0, x1, weight if t is None else t)


@rule("addcmul", "addcdiv")
def addc(layer: Layer, context: Context) -> Callable[..., Tensor]:
    value = layer.attrs.get("value", 1)
    function = torch.addcmul if layer.op == "addcmul" else torch.addcdiv
    return lambda x0, x1, x2: function(x0, x1, x2, value=1 if value is None else value)


@rule("cast")
def cast(layer: Layer, context: Context) -> Callable[..., Tensor]:
    kind = context.type_of(layer.y)
    return lambda x: x.to(kind)
