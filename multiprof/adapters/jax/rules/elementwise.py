"""Elementwise arithmetic: one layer an equation; arithmetic on known numbers is done while reading."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value, dtype_name
from multiprof.adapters.jax.walker import Walker
from multiprof.ir import INTEGER_DTYPES

_UNARY = {
    **{
        name: name for name in ("abs", "neg", "sign", "exp", "exp2", "expm1", "log", "log1p", "sqrt", "rsqrt", "square")
    },
    **{name: name for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh")},
    **{name: name for name in ("erf", "erfc", "floor", "ceil", "round", "is_finite", "tanh")},
    "erf_inv": "erfinv",
    "logistic": "sigmoid",
    "conj": "conj",
}
_BINARY = {
    "add": "add",
    "add_any": "add",
    "sub": "sub",
    "mul": "mul",
    "mulhi": "mul",
    "div": "div",
    "max": "maximum",
    "min": "minimum",
    "rem": "remainder",
    "atan2": "atan2",
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq_to": "equal",
    "lt_to": "less",
    "le_to": "less_equal",
    "shift_left": "shift_left",
    "shift_right_logical": "shift_right",
    "shift_right_arithmetic": "shift_right",
}
_COMMUTATIVE = frozenset(("add", "mul", "maximum", "minimum", "equal", "not_equal"))
_LOGIC = {"and": "and", "or": "or", "xor": "xor"}

_FOLDED: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "add_any": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "max": max,
    "min": min,
    "pow": operator.pow,
    "neg": operator.neg,
    "abs": abs,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: 1 / math.sqrt(x),
    "exp": math.exp,
    "log": math.log,
    "square": lambda x: x * x,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": operator.and_,
    "or": operator.or_,
}


def fold(eqn: Any, values: list[Value]) -> list[Value] | None:
    """The result as a known number, where all operands are ones; the type rounds nothing that a count depends on."""
    function = _FOLDED.get(eqn.primitive.name)
    if function is None:
        return None
    numbers = [value.value for value in values if isinstance(value, Fill)]
    aval = eqn.outvars[0].aval
    dtype = dtype_name(aval.dtype)
    if len(numbers) < len(values) or (eqn.primitive.name == "div" and dtype in INTEGER_DTYPES):
        return None
    try:
        result = function(*numbers)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return [Fill(result, tuple(aval.shape), dtype)]


@rule(*_UNARY)
def unary(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return fold(eqn, values) or w.unary(_UNARY[eqn.primitive.name], eqn, values[0])


# Functions that XLA evaluates as a whole, of one number or of several.
_SPECIAL = (
    *("lgamma", "digamma", "polygamma", "igamma", "igammac", "zeta", "random_gamma_grad", "igamma_grad_a"),
    *("bessel_i0e", "bessel_i1e", "regularized_incomplete_beta"),
)


@rule(*_SPECIAL)
def special(w: Walker, eqn: Any, values: list[Value]) -> Any:
    y = w.like(eqn.outvars[0])
    inputs = {f"x{i}": w.tensor(value) for i, value in enumerate(values)}
    w.emit("special", inputs, {"y": y}, {"function": eqn.primitive.name})
    return [y]


@rule("not")
def not_(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    return w.unary("logical_not" if x.dtype == "bool" else "bitwise_not", eqn, x)


@rule("integer_pow")
def integer_pow(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    exponent = eqn.params["y"]
    if isinstance(x, Fill) and (x.value or exponent >= 0):
        return [Fill(x.value**exponent, x.shape, x.dtype)]
    return w.unary("square", eqn, x) if exponent == 2 else w.unary("pow", eqn, x, {"exponent": exponent}, role="x0")


@rule("cbrt")
def cbrt(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("pow", eqn, values[0], {"exponent": 1 / 3}, role="x0")


@rule("pow")
def pow_(w: Walker, eqn: Any, values: list[Value]) -> Any:
    folded = fold(eqn, values)
    if folded:
        return folded
    base, exponent = values
    if isinstance(exponent, Fill):
        return w.unary("pow", eqn, base, {"exponent": exponent.value}, role="x0")
    if isinstance(base, Fill):
        return w.unary("pow", eqn, exponent, {"base": base.value}, role="x0")
    y = w.like(eqn.outvars[0])
    w.emit("pow", {"x0": base, "x1": exponent}, {"y": y})
    return [y]


def binary(w: Walker, eqn: Any, op: str, a: Value, b: Value, attrs: dict[str, Any] | None = None) -> list[Value]:
    """One layer of two operands, one of which may be a known number."""
    attrs = dict(attrs or {})
    y = w.like(eqn.outvars[0])
    if isinstance(b, Fill) and not isinstance(a, Fill):
        if op == "maximum" and b.value == 0 and y.dtype not in INTEGER_DTYPES:
            w.emit("relu", {"x": a}, {"y": y})
        else:
            w.emit(op, {"x0": a}, {"y": y}, attrs | {"scalar": b.value})
    elif isinstance(a, Fill) and not isinstance(b, Fill):
        if op in _COMMUTATIVE:
            return binary(w, eqn, op, b, a, attrs)
        w.emit(op, {"x0": b}, {"y": y}, attrs | {"scalar": a.value, "reverse": True})
    else:
        w.emit(op, {"x0": a, "x1": b}, {"y": y}, attrs)
    return [y]


@rule(*_BINARY)
def two(w: Walker, eqn: Any, values: list[Value]) -> Any:
    op = _BINARY[eqn.primitive.name]
    return fold(eqn, values) or binary(w, eqn, op, values[0], values[1], {"fmod": True} if op == "remainder" else None)


@rule(*_LOGIC)
def logic(w: Walker, eqn: Any, values: list[Value]) -> Any:
    name = _LOGIC[eqn.primitive.name]
    kind = "logical" if values[0].dtype == "bool" else "bitwise"
    return fold(eqn, values) or binary(w, eqn, f"{kind}_{name}", values[0], values[1])


@rule("clamp")
def clamp(w: Walker, eqn: Any, values: list[Value]) -> Any:
    low, x, high = values
    if isinstance(low, Fill) and isinstance(x, Fill) and isinstance(high, Fill):
        return [Fill(min(max(x.value, low.value), high.value), x.shape, x.dtype)]
    if isinstance(low, Fill) and isinstance(high, Fill):
        return w.unary("clip", eqn, x, {"min": low.value, "max": high.value})
    (raised,) = binary(w, eqn, "maximum", x, low)
    return binary(w, eqn, "minimum", raised, high)


@rule("select_n")
def select_n(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """``cases[which]``; with a truth value ``which``, the second case is the one where it is set."""
    which, *cases = values
    if isinstance(which, Fill):
        chosen = cases[int(which.value)]
        return [chosen]
    if len(cases) == 1:
        return cases
    result = cases[0]
    for case in cases[1:]:
        # one selection a case beyond the first: a comparison with the case's number is part of it
        attrs: dict[str, Any] = {}
        inputs: dict[str, Value] = {"cond": which}
        for role, value in (("0", case), ("1", result)):
            if isinstance(value, Fill):
                attrs[f"scalar{role}"] = value.value
            else:
                inputs[f"x{role}"] = value
        y = w.like(eqn.outvars[0])
        w.emit("where", inputs, {"y": y}, attrs)
        result = y
    return [result]


@rule("convert_element_type")
def convert_element_type(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    dtype = dtype_name(eqn.params["new_dtype"])
    if dtype == x.dtype:
        return [x]
    if isinstance(x, Fill):
        return [Fill(_converted(x.value, dtype), x.shape, dtype)]
    return w.unary("cast", eqn, x, {"dtype": dtype})


def _converted(value: Any, dtype: str) -> Any:
    if dtype == "bool":
        return bool(value)
    if dtype in INTEGER_DTYPES:
        return int(value) if not isinstance(value, float) or math.isfinite(value) else 0
    return value if isinstance(value, complex) else float(value)


@rule("reduce_precision")
def reduce_precision(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("cast", eqn, values[0], {"dtype": values[0].dtype})
