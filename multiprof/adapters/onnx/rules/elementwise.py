"""Arithmetic element by element: functions, operators, comparisons, conversions, limits."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import VIEW, binary, chain, float_attr, int_attr, number, present, unary

_UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "BitwiseNot": "bitwise_not", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp",
    "Floor": "floor", "IsInf": "is_inf", "IsNaN": "is_nan", "Log": "log", "Neg": "neg", "Not": "logical_not",
    "Reciprocal": "reciprocal", "Round": "round", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Sqrt": "sqrt",
    "Tan": "tan",
}  # fmt: skip
_BINARY = {
    "Add": "add", "And": "logical_and", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "Div": "div", "Equal": "equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal", "Mul": "mul", "Or": "logical_or",
    "Sub": "sub", "Xor": "logical_xor",
}  # fmt: skip


def _variadic(op: str) -> Rule:
    def rule(node: Node) -> None:
        chain(node, op, present(node), node.y, "")

    return rule


def mean(node: Node) -> None:
    """The sum of the operands, over how many there are."""
    operands = present(node)
    total = node.between(node.y.shape)
    chain(node, "add", operands, total, "add")
    node.layer("div", {"x0": total}, None, {"scalar": len(operands)}, suffix="div")


def power(node: Node) -> None:
    exponent = number(node.need(1))
    attrs = {} if exponent is None else {"exponent": exponent}
    node.layer("pow", {"x0": node.need(0), "x1": node.need(1)}, None, attrs)


def remainder(node: Node) -> None:
    attrs = {"fmod": bool(int_attr(node, "fmod", 0))}
    node.layer("remainder", {"x0": node.need(0), "x1": node.need(1)}, None, attrs)


def shift(node: Node) -> None:
    op = "shift_left" if node.attr("direction") == "LEFT" else "shift_right"
    node.layer(op, {"x0": node.need(0), "x1": node.need(1)})


def where(node: Node) -> None:
    node.layer("where", {"cond": node.need(0), "x0": node.need(1), "x1": node.need(2)})


def cast(node: Node) -> None:
    """A conversion, nothing where the dtype is the operand's own."""
    x = node.need(0)
    if x.dtype == node.y.dtype:
        node.layer("identity", {"x": x}, aliases=VIEW)
    else:
        node.layer("cast", {"x": x}, None, {"dtype": node.y.dtype})


def bit_cast(node: Node) -> None:
    """The same bits under another dtype."""
    node.layer("identity", {"x": node.need(0)}, None, {"dtype": node.y.dtype}, aliases=VIEW)


def clip(node: Node) -> None:
    """Limits are attributes (opset 6 and before) or operands; unknown ones make a maximum and a minimum."""
    x, bounds = node.need(0), {}
    for place, name in ((1, "min"), (2, "max")):
        given = node.input(place)
        if node.version < 11:
            bounds[name] = float_attr(node, name, 0.0) if name in node.attrs else None
        elif given is not None:
            bounds[name] = number(given)
            if bounds[name] is None:
                return _clip_by_tensors(node)
        else:
            bounds[name] = None
    limit(node, x, node.y, bounds["min"], bounds["max"])
    return None


def limit(node: Node, x: Any, y: Any, low: float | None, high: float | None, suffix: str = "") -> None:
    """``x`` limited to [low, high]; between 0 and 6 it is relu6."""
    if low is None and high is None:
        node.layer("identity", {"x": x}, y, suffix=suffix, aliases=VIEW)
    elif low == 0 and high == 6:
        node.layer("relu6", {"x": x}, y, suffix=suffix)
    else:
        node.layer("clip", {"x": x}, y, {"min": low, "max": high}, suffix=suffix)


def _clip_by_tensors(node: Node) -> None:
    x, low, high = node.need(0), node.input(1), node.input(2)
    if low is None or high is None:
        op = "maximum" if high is None else "minimum"
        node.layer(op, {"x0": x, "x1": low if high is None else high}, suffix="max" if high is None else "min")
        return
    lifted = node.between(node.y.shape)
    node.layer("maximum", {"x0": x, "x1": low}, lifted, suffix="max")
    node.layer("minimum", {"x0": lifted, "x1": high}, suffix="min")


RULES: dict[str, Rule] = {
    **{name: unary(op) for name, op in _UNARY.items()},
    **{name: binary(op) for name, op in _BINARY.items()},
    "BitCast": bit_cast,
    "BitShift": shift,
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "Max": _variadic("maximum"),
    "Mean": mean,
    "Min": _variadic("minimum"),
    "Mod": remainder,
    "Pow": power,
    "Sum": _variadic("add"),
    "Where": where,
}
