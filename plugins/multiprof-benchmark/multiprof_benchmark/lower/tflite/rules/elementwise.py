"""Arithmetic element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Perm, Value, permuted, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

BINARY = {
    "add": ("ADD", "AddOptions"), "sub": ("SUB", "SubOptions"), "mul": ("MUL", "MulOptions"),
    "div": ("DIV", "DivOptions"), "maximum": ("MAXIMUM", "MaximumMinimumOptions"),
    "minimum": ("MINIMUM", "MaximumMinimumOptions"), "pow": ("POW", "PowOptions"),
    "floor_div": ("FLOOR_DIV", "FloorDivOptions"), "equal": ("EQUAL", "EqualOptions"),
    "not_equal": ("NOT_EQUAL", "NotEqualOptions"), "less": ("LESS", "LessOptions"),
    "less_equal": ("LESS_EQUAL", "LessEqualOptions"), "greater": ("GREATER", "GreaterOptions"),
    "greater_equal": ("GREATER_EQUAL", "GreaterEqualOptions"), "logical_and": ("LOGICAL_AND", "LogicalAndOptions"),
    "logical_or": ("LOGICAL_OR", "LogicalOrOptions"),
}  # fmt: skip
FUSING = frozenset(("ADD", "SUB", "MUL", "DIV"))
UNARY = {
    "neg": ("NEG", "NegOptions"), "abs": ("ABS", "AbsOptions"), "square": ("SQUARE", "SquareOptions"),
    "sqrt": ("SQRT", ""), "rsqrt": ("RSQRT", ""), "exp": ("EXP", "ExpOptions"), "log": ("LOG", ""), "sin": ("SIN", ""),
    "cos": ("COS", "CosOptions"), "floor": ("FLOOR", ""), "ceil": ("CEIL", ""), "round": ("ROUND", ""),
    "sign": ("SIGN", "SignOptions"), "logical_not": ("LOGICAL_NOT", "LogicalNotOptions"),
}  # fmt: skip


@rule(*UNARY)
def unary(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x if "x" in layer.inputs else layer.inputs["x0"])
    y = b.make(layer.y, x.perm)
    kind, options = UNARY[layer.op]
    b.result(layer, b.emit(kind, [x], y, options))


@rule(*BINARY)
def binary(b: Builder, layer: Layer) -> None:
    """x0 ∘ x1, either of which may be a constant number; add and sub may multiply their second operand first."""
    a = layer.attrs
    specs = [spec for role, spec in layer.inputs.items() if role in ("x0", "x1")]
    perm = common(b, specs, layer.y)
    operands = [broadcast(b, b.value(spec), perm) for spec in specs]
    if len(operands) == 1:
        number = a.get("scalar", a.get("exponent", a.get("base")))
        if number is None:
            raise NotLoweredError("its second operand is not known")
        scalar = b.constant(np.array(number, dtype=operands[0].dtype))
        reverse = bool(a.get("reverse")) or ("base" in a and "exponent" not in a)
        operands = [scalar, operands[0]] if reverse else [operands[0], scalar]
    if a.get("alpha", 1) != 1 and "x1" in layer.inputs:
        operands[1] = arithmetic(b, "MUL", operands[1], b.constant(np.array(a["alpha"], dtype=operands[1].dtype)))
    kind, options = BINARY[layer.op]
    if operands[0].dtype != operands[1].dtype:
        raise NotLoweredError(f"operands of {operands[0].dtype} and {operands[1].dtype}")
    shape = shape_of(layer.y)
    y = b.temporary(permuted(shape, perm), b.dtype(layer.y), b.name(layer), perm)
    settings: dict[str, Any] = {"fusedActivationFunction": b.activation(layer)} if kind in FUSING else {}
    b.result(layer, b.emit(kind, operands, y, options, **settings))


def arithmetic(b: Builder, kind: str, x0: Value, x1: Value, perm: Perm | None = None, name: str = "") -> Value:
    """One of ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE on stored tensors that broadcast."""
    shape = np.broadcast_shapes(x0.shape, x1.shape)
    order = perm or next((v.perm for v in (x0, x1) if v.shape == shape), None)
    options = {
        "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions",
        "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    }.get(kind, "MaximumMinimumOptions")  # fmt: skip
    y = b.temporary(shape, x0.dtype, name or f"{b.label(x0)}_{kind.lower()}", order)
    return b.emit(kind, [x0, x1], y, options)


def common(b: Builder, specs: Sequence[TensorSpec], y: TensorSpec) -> Perm:
    """The order in which to store a result: that of the largest operand which is computed and has all dimensions."""
    best = straight(y.rank)
    most = 0
    for spec in specs:
        if spec.rank == y.rank and not b.is_weight(spec) and (spec.numel or 0) > most:
            best, most = b.value(spec).perm, spec.numel or 0
    return best


def broadcast(b: Builder, value: Value, perm: Perm) -> Value:
    """An operand stored so that it broadcasts against a tensor of that order."""
    rank = len(perm)
    if value.rank == rank:
        return b.ordered(value, perm)
    if value.rank == 0 or all(n == 1 for n in value.shape):
        return b.reshaped(value, (1,) * rank, perm) if value.rank > rank else value
    value = b.plain(value)
    return b.ordered(b.reshaped(value, (1,) * (rank - value.rank) + value.shape), perm)


@rule("cast")
def cast(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    y = b.make(layer.y, x.perm)
    if y.dtype == x.dtype:  # floats of every width are computed in 32 bits
        b.result(layer, x)
        return
    b.result(layer, b.emit("CAST", [x], y, "CastOptions"))


@rule("where", "masked_fill")
def where(b: Builder, layer: Layer) -> None:
    """SELECT_V2."""
    a = layer.attrs
    if layer.op == "where":
        roles = [("cond", None), ("x0", a.get("scalar0")), ("x1", a.get("scalar1"))]
    else:
        roles = [("mask", None), ("", a.get("value")), ("x", None)]
    specs = [layer.inputs[role] for role, _ in roles if role in layer.inputs]
    perm = common(b, specs, layer.y)
    dtype = b.dtype(layer.y)
    operands = [
        broadcast(b, b.value(layer.inputs[role]), perm) if role in layer.inputs
        else b.constant(np.clip(np.array(number, dtype=np.float64), -3e38, 3e38).astype(dtype))
        for role, number in roles
    ]  # fmt: skip
    y = b.temporary(permuted(shape_of(layer.y), perm), dtype, b.name(layer), perm)
    b.result(layer, b.emit("SELECT_V2", operands, y, "SelectV2Options"))
