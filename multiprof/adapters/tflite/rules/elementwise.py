"""Elementwise arithmetic, comparison, selection; conversion between types and quantisation."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import broadcast
from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.ir import BITS, INTEGER_DTYPES, Shape, TensorSpec

_BINARY = {
    "ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div", "MAXIMUM": "maximum", "MINIMUM": "minimum",
    "FLOOR_DIV": "floor_div", "FLOOR_MOD": "remainder", "ATAN2": "atan2", "BITWISE_XOR": "bitwise_xor",
    "RIGHT_SHIFT": "shift_right", "LESS": "less", "LESS_EQUAL": "less_equal", "GREATER": "greater",
    "GREATER_EQUAL": "greater_equal", "EQUAL": "equal", "NOT_EQUAL": "not_equal", "LOGICAL_AND": "logical_and",
    "LOGICAL_OR": "logical_or", "STABLEHLO_ADD": "add", "STABLEHLO_SUBTRACT": "sub", "STABLEHLO_MULTIPLY": "mul",
    "STABLEHLO_DIVIDE": "div", "STABLEHLO_MAXIMUM": "maximum", "STABLEHLO_MINIMUM": "minimum",
    "STABLEHLO_POWER": "pow", "STABLEHLO_REMAINDER": "remainder", "STABLEHLO_SHIFT_LEFT": "shift_left",
    "STABLEHLO_AND": "and", "STABLEHLO_OR": "or",
}  # fmt: skip
_UNARY = {
    "ABS": "abs", "NEG": "neg", "EXP": "exp", "LOG": "log", "SQRT": "sqrt", "RSQRT": "rsqrt", "SQUARE": "square",
    "SIN": "sin", "COS": "cos", "FLOOR": "floor", "CEIL": "ceil", "ROUND": "round", "SIGN": "sign",
    "LOGICAL_NOT": "logical_not", "COMPLEX_ABS": "abs", "STABLEHLO_ABS": "abs", "STABLEHLO_NEGATE": "neg",
    "STABLEHLO_EXPONENTIAL": "exp", "STABLEHLO_LOG": "log", "STABLEHLO_RSQRT": "rsqrt", "STABLEHLO_COSINE": "cos",
    "STABLEHLO_FLOOR": "floor",
}  # fmt: skip


def joint(node: Node, *numbers: int) -> Shape:
    """The shape that operands broadcast to."""
    shapes = [node.x(n).shape for n in numbers]
    return broadcast(*shapes, where=f"{node.walker.writer.name}: {node.operator.where}")


@rule(*_BINARY)
def binary(node: Node) -> None:
    x0, x1 = node.x(0), node.x(1)
    op = _BINARY[node.code]
    if op in ("and", "or"):
        op = f"{'logical' if x0.dtype == 'bool' else 'bitwise'}_{op}"
    attrs = {"fmod": node.code != "FLOOR_MOD"} if op == "remainder" else None
    fused = node.options.get("fused_activation_function", 0)
    node.emit(op, {"x0": x0, "x1": x1}, joint(node, 0, 1), attrs, fused=fused)


@rule(*_UNARY)
def unary(node: Node) -> None:
    node.emit(_UNARY[node.code], {"x": node.x()}, node.shape())


@rule("STABLEHLO_CBRT")
def cube_root(node: Node) -> None:
    node.emit("pow", {"x0": node.x()}, node.shape(), {"exponent": 1 / 3})


@rule("POW")
def power(node: Node) -> None:
    """A constant exponent is named, as a runtime would take it: a square is a product."""
    exponent = node.values(1)
    if exponent is not None and len(exponent) == 1 and isinstance(exponent[0], (int, float)):
        shape = joint(node, 0, 1)
        node.emit("pow", {"x0": node.x(0)}, shape, {"exponent": exponent[0]})
        return
    node.emit("pow", {"x0": node.x(0), "x1": node.x(1)}, joint(node, 0, 1))


@rule("SQUARED_DIFFERENCE")
def squared_difference(node: Node) -> None:
    y = node.result(joint(node, 0, 1))
    difference = node.between(y.shape, y, True)
    node.layer("sub", {"x0": node.x(0), "x1": node.x(1)}, {"y": difference}, piece="sub")
    node.layer("square", {"x": difference}, {"y": y}, piece="square")
    node.bind(0, y)


@rule("ADD_N")
def add_n(node: Node) -> None:
    """n − 1 additions."""
    operands = node.all()
    if not operands:
        raise node.fail("it adds nothing")
    y = node.result(operands[0].shape)
    if len(operands) == 1:
        node.layer("identity", {"x": operands[0]}, {"y": y})
    total = operands[0]
    for number, operand in enumerate(operands[1:], 1):
        made = y if number == len(operands) - 1 else node.between(y.shape, y, True)
        node.layer("add", {"x0": total, "x1": operand}, {"y": made}, piece="" if len(operands) == 2 else f"add{number}")
        total = made
    node.bind(0, y)


@rule("SELECT", "SELECT_V2", "STABLEHLO_SELECT")
def select(node: Node) -> None:
    """SELECT takes a condition of the first dimension alone, too."""
    cond, x0, x1 = node.x(0), node.x(1), node.x(2)
    shape = joint(node, 0, 1, 2) if node.code == "SELECT_V2" else x0.shape
    node.emit("where", {"cond": cond, "x0": x0, "x1": x1}, shape)


@rule("STABLEHLO_CLAMP")
def clamp(node: Node) -> None:
    """Operands: lower bound, x, upper bound."""
    attrs: dict[str, Any] = {}
    for name, number in (("min", 0), ("max", 2)):
        bound = node.values(number)
        attrs[name] = bound[0] if bound is not None and len(bound) == 1 else name
    node.emit("clip", {"x": node.x(1)}, node.shape(1), attrs)


_DIRECTIONS = ("equal", "not_equal", "greater_equal", "greater", "less_equal", "less")


@rule("STABLEHLO_COMPARE")
def compare(node: Node) -> None:
    direction = node.options["comparison_direction"]
    if not 0 <= direction < len(_DIRECTIONS):
        raise node.fail(f"its direction {direction} is unknown")
    node.emit(_DIRECTIONS[direction], {"x0": node.x(0), "x1": node.x(1)}, joint(node, 0, 1))


# -- types -----------------------------------------------------------------------------------------------------------


@rule("CAST", "STABLEHLO_CONVERT")
def cast(node: Node) -> None:
    node.emit("cast", {"x": node.x()}, node.shape(), {"dtype": node.declared(0).dtype})


@rule("BITCAST")
def bitcast(node: Node) -> None:
    """The same bits as another type: a narrower one has a new last dimension, a wider one takes it away."""
    x = node.x()
    old, new = BITS[x.dtype], BITS[node.declared(0).dtype]
    shape: Shape = x.shape
    if new < old:
        shape = (*shape, old // new)
    elif new > old:
        if not shape or shape[-1] not in (None, new // old):
            raise node.fail(f"{shape} of {x.dtype} cannot be read as {node.declared(0).dtype}")
        shape = shape[:-1]
    node.emit("copy", {"x": x}, shape)


def _is_whole(spec: TensorSpec) -> bool:
    return spec.dtype in INTEGER_DTYPES


@rule("QUANTIZE", "DEQUANTIZE")
def quantize(node: Node) -> None:
    """Real numbers to integers, back, or from one scale to another. Half floats are dequantised by widening."""
    x = node.x()
    y = node.result(x.shape)
    op = "dequantize" if node.code == "DEQUANTIZE" else "requantize" if _is_whole(x) else "quantize"
    attrs: dict[str, Any] = {"dtype": y.dtype}
    quant = x.quant if op == "dequantize" else y.quant
    if quant is not None and quant.axis is not None:
        attrs["axis"] = quant.axis
    if op == "dequantize" and not _is_whole(x):
        op = "cast"
    node.layer(op, {"x": x}, {"y": y}, attrs)
    node.bind(0, y)


@rule("FAKE_QUANT")
def fake_quant(node: Node) -> None:
    node.emit("fake_quantize", {"x": node.x()}, node.shape(), {"dtype": f"uint{node.options['num_bits'] or 8}"})


@rule("DENSIFY")
def densify(node: Node) -> None:
    """Sparse weights unpacked; they count as the dense tensor they stand for."""
    node.emit("copy", {"x": node.x()}, node.shape())


__all__ = ["joint"]
