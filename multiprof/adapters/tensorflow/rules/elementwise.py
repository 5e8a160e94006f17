"""Arithmetic element by element: functions, operators, comparisons, conversions."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import VIEW_OF_X, Node
from multiprof.adapters.tensorflow.table import Rule, rule
from multiprof.adapters.tensorflow.values import shape_of

_UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Erfc": "erfc", "Erfinv": "erfinv", "Exp": "exp",
    "Expm1": "expm1", "Floor": "floor", "Inv": "reciprocal", "Invert": "bitwise_not", "IsFinite": "is_finite",
    "IsInf": "is_inf", "IsNan": "is_nan", "Log": "log", "Log1p": "log1p", "LogicalNot": "logical_not", "Neg": "neg",
    "Reciprocal": "reciprocal", "Rint": "round", "Round": "round", "Rsqrt": "rsqrt", "Sign": "sign", "Sin": "sin",
    "Sinh": "sinh", "Sqrt": "sqrt", "Square": "square", "Tan": "tan",
}  # fmt: skip
_BINARY = {
    "Add": "add", "AddV2": "add", "Atan2": "atan2", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "Div": "div", "DivNoNan": "div", "Equal": "equal", "FloorDiv": "floor_div",
    "Greater": "greater", "GreaterEqual": "greater_equal", "LeftShift": "shift_left", "Less": "less",
    "LessEqual": "less_equal", "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "Maximum": "maximum",
    "Minimum": "minimum", "Mul": "mul", "MulNoNan": "mul", "NotEqual": "not_equal", "RealDiv": "div",
    "RightShift": "shift_right", "Sub": "sub", "TruncateDiv": "floor_div",
}  # fmt: skip


# The number that changes nothing, on the right; in some on either side.
_NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "div": 1}
_EITHER = frozenset(("add", "mul"))


def _unary(op: str) -> Rule:
    return lambda node: node.unary(op)


def operands(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and attributes of an operator of two operands, one of which may be a known number."""
    second = node.scalar(1)
    if second is not None:
        return {"x0": node.x(0)}, {"scalar": second}
    first = node.scalar(0)
    if first is not None:
        return {"x0": node.x(1)}, {"scalar": first, "reverse": True}
    return {"x0": node.x(0), "x1": node.x(1)}, {}


def _binary(op: str) -> Rule:
    neutral = _NEUTRAL.get(op)

    def apply(node: Node) -> None:
        inputs, attrs = operands(node)
        side = int("reverse" in attrs)
        nothing = neutral is not None and attrs.get("scalar") == neutral and (not side or op in _EITHER)
        if nothing and inputs["x0"].shape == shape_of(node.outputs[0]):
            node.same(of=side)  # TensorFlow's optimiser leaves it out as well
        else:
            node.layer(op, inputs, None, attrs)

    return apply


for _name, _op in _UNARY.items():
    rule(_name)(_unary(_op))
for _name, _op in _BINARY.items():
    rule(_name)(_binary(_op))


@rule("FloorMod", "Mod", "TruncateMod")
def remainder(node: Node) -> None:
    inputs, attrs = operands(node)
    node.layer("remainder", inputs, None, attrs | {"fmod": node.op != "FloorMod"})


@rule("Pow")
def power(node: Node) -> None:
    exponent = node.scalar(1)
    if exponent is not None:
        node.layer("pow", {"x0": node.x(0)}, None, {"exponent": exponent})
    else:
        node.layer("pow", {"x0": node.x(0), "x1": node.x(1)})


@rule("SquaredDifference")
def squared_difference(node: Node) -> None:
    inputs, attrs = operands(node)
    made = node.between(node.y().shape)
    node.layer("sub", inputs, made, attrs, piece="sub")
    node.layer("square", {"x": made}, piece="square")


@rule("Xdivy")
def xdivy(node: Node) -> None:
    inputs, attrs = operands(node)
    node.layer("div", inputs, None, attrs)


@rule(
    *("Lgamma", "Digamma", "Ndtri", "Igamma", "Igammac", "Zeta", "Polygamma", "Betainc"),
    *(f"Bessel{kind}" for kind in ("I0", "I0e", "I1", "I1e", "J0", "J1", "K0", "K0e", "K1", "K1e", "Y0", "Y1")),
)
def special(node: Node) -> None:
    """Evaluated as a whole, of one tensor or of several."""
    inputs = {f"x{i}": node.x(i) for i in range(len(node.inputs))}
    node.layer("special", inputs, None, {"function": node.op.lower()})


@rule("Xlogy", "Xlog1py")
def xlogy(node: Node) -> None:
    """x·log y, 0 where x is"""
    node.layer(node.op.lower(), {"x0": node.x(0), "x1": node.x(1)})


@rule("AddN", "AccumulateNV2")
def add_n(node: Node) -> None:
    made = node.x(0)
    count = len(node.inputs)
    if count == 1:
        node.same()
    for i in range(1, count):
        y = node.y() if i == count - 1 else node.between(made.shape)
        node.layer("add", {"x0": made, "x1": node.x(i)}, y, piece="" if count == 2 else str(i))
        made = y


@rule("Select", "SelectV2")
def select(node: Node) -> None:
    node.layer("where", {"cond": node.x(0), "x0": node.x(1), "x1": node.x(2)})


@rule("ClipByValue")
def clip(node: Node) -> None:
    x, low, high = node.x(0), node.scalar(1), node.scalar(2)
    if low == 0 and high == 6:
        node.layer("relu6", {"x": x})
    elif low is not None and high is not None:
        node.layer("clip", {"x": x}, None, {"min": low, "max": high})
    else:
        lifted = node.between(node.y().shape)
        node.layer("maximum", {"x0": x, "x1": node.x(1)}, lifted, piece="max")
        node.layer("minimum", {"x0": lifted, "x1": node.x(2)}, piece="min")


@rule("Cast")
def cast(node: Node) -> None:
    x, y = node.x(), node.y()
    if x.dtype == y.dtype:
        node.layer("identity", {"x": x}, y, aliases=VIEW_OF_X)
    else:
        node.layer("cast", {"x": x}, y, {"dtype": y.dtype})


@rule("Bitcast")
def bitcast(node: Node) -> None:
    node.view("identity", {"dtype": node.y().dtype})


@rule("ApproximateEqual")
def approximately(node: Node) -> None:
    """|x0 − x1| < tolerance"""
    shape, dtype = node.y().shape, node.dtype()
    difference, size = node.between(shape, dtype), node.between(shape, dtype)
    node.layer("sub", {"x0": node.x(0), "x1": node.x(1)}, difference, piece="sub")
    node.layer("abs", {"x": difference}, size, piece="abs")
    node.layer("less", {"x0": size}, None, {"scalar": node.attr("tolerance", 1e-5)}, piece="less")


@rule("Bucketize")
def bucketize(node: Node) -> None:
    """Boundaries are an attribute: a constant of its own."""
    count = len(node.attr("boundaries") or [])
    boundaries = node.between((count,), "float32", f"{node.name}/boundaries")
    node.layer("constant", {}, boundaries, piece="boundaries")
    node.layer("bucketize", {"x": node.x(), "boundaries": boundaries}, None, {"right": True})


@rule("Real", "Imag")
def part(node: Node) -> None:
    node.layer("slice", {"x": node.x()}, None, {"index": node.op.lower()})


@rule("Complex")
def join(node: Node) -> None:
    node.layer("stack", {"x0": node.x(0), "x1": node.x(1)}, None, {"axis": len(node.shape())})


@rule("ComplexAbs")
def complex_abs(node: Node) -> None:
    """√(a² + b²) of the two parts, seen as a last dimension."""
    x, y = node.x(), node.y()
    parts = node.between((*x.shape, 2), y.dtype)
    node.layer("reshape", {"x": x}, parts, {"shape": parts.shape}, piece="parts", aliases=VIEW_OF_X)
    node.layer("norm", {"x": parts}, y, {"axis": (x.rank,), "keepdim": False, "ord": 2}, piece="norm")


@rule("Conj")
def conj(node: Node) -> None:
    node.unary("conj")
