"""Elementwise arithmetic of two operands: tensors, or a tensor and a Python number."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import (
    Tensor,
    Unsure,
    ambiguous,
    between,
    broadcast,
    is_canonical,
    new_elementwise,
)
from multiprof.adapters.torch.rules._create import literal
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS, INTEGERS, as_float, number, result_type
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

# What becomes of the promoted dtype. ANY: as it is; NUMBER: the same, bool refused; REAL: integers and bool become the
# default float; TEST: the result is bool; BITS: integers and bool alone; SHIFT: integers alone.
ANY, NUMBER, REAL, TEST, BITS, SHIFT = range(6)

# op, what becomes of the dtype, torch's names of it (as torch.<name>, Tensor.<name>, special.<name>, and in-place with
# a trailing underscore), and the operators of Python. Names that torch lacks are passed over.
_ROWS: tuple[tuple[str, int, str, str], ...] = (
    ("mul", ANY, "mul multiply", "__mul__ __rmul__ __imul__"),
    ("div", REAL, "true_divide", "__truediv__ __div__ __idiv__ __itruediv__"),
    ("floor_div", NUMBER, "floor_divide", "__floordiv__ __ifloordiv__"),
    ("remainder", NUMBER, "remainder", "__mod__ __imod__"),
    ("maximum", ANY, "maximum fmax", ""),
    ("minimum", ANY, "minimum fmin", ""),
    ("atan2", REAL, "atan2 arctan2", ""),
    ("equal", TEST, "eq", "__eq__"),
    ("not_equal", TEST, "ne not_equal", "__ne__"),
    ("less", TEST, "lt less", "__lt__"),
    ("less_equal", TEST, "le less_equal", "__le__"),
    ("greater", TEST, "gt greater", "__gt__"),
    ("greater_equal", TEST, "ge greater_equal", "__ge__"),
    ("logical_and", TEST, "logical_and", ""),
    ("logical_or", TEST, "logical_or", ""),
    ("logical_xor", TEST, "logical_xor", ""),
    ("bitwise_and", BITS, "bitwise_and", "__and__ __rand__ __iand__"),
    ("bitwise_or", BITS, "bitwise_or", "__or__ __ror__ __ior__"),
    ("bitwise_xor", BITS, "bitwise_xor", "__xor__ __rxor__ __ixor__"),
    ("shift_left", SHIFT, "bitwise_left_shift", "__lshift__ __ilshift__"),
    ("shift_right", SHIFT, "bitwise_right_shift", "__rshift__ __irshift__"),
)
# Written in torch's meta kernels as a chain of several, so that odd strides may come out otherwise.
_CHAINS = frozenset({"floor_div", "logical_and", "logical_or", "logical_xor"})
# Operators of Python whose first operand stands on the right: op and torch's name.
_REFLECTED = {
    "__rtruediv__ __rdiv__": "div",
    "__rfloordiv__": "floor_div",
    "__rmod__": "remainder",
    "__rlshift__": "shift_left",
    "__rrshift__": "shift_right",
}
_KINDS = {op: kind for op, kind, _, _ in _ROWS} | {"add": ANY, "sub": NUMBER, "pow": NUMBER}


def computed(kind: int, promoted: torch.dtype) -> torch.dtype:
    """The dtype in which torch computes; raises `Unsure` where it raises or kernels differ."""
    if promoted in FLOATS:
        if kind >= BITS:
            raise Unsure
        return promoted
    if kind == REAL:
        return as_float(promoted)
    if promoted is BOOL and kind in (NUMBER, SHIFT):
        raise Unsure
    return promoted


def operands(a: Any, b: Any) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    """Roles and attributes of two operands of which one may be a number."""
    if not isinstance(b, Tensor):
        return {"x0": a}, {"scalar": number(b)}
    if not isinstance(a, Tensor):
        return {"x0": b}, {"scalar": number(a), "reverse": True}
    return {"x0": a, "x1": b}, {}


def binary(
    t: Tracer, op: str, a: Any, b: Any, kind: int, extra: dict[str, Any] | None = None, chain: bool = False
) -> Any:
    """Emit ``op`` on two operands, and return the result with torch's shape, dtype and strides."""
    inputs, attrs = operands(a, b)
    if extra:
        attrs.update(extra)
    y = t.forced.pop(0) if t.forced is not None else _result(t, a, b, kind, chain)
    t.emit(op, inputs, {"y": y}, attrs)
    return y


def _result(t: Tracer, a: Any, b: Any, kind: int, chain: bool) -> Tensor:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        dtype, shape = a.dtype, a.shape
        if dtype is not b.dtype or dtype not in FLOATS:
            dtype = computed(kind, result_type((a, b)))
        elif kind >= BITS:
            raise Unsure
        elif shape == b.shape and not chain and a.is_contiguous() and b.is_contiguous() and not ambiguous(shape):
            return t.new(shape, BOOL if kind == TEST else dtype)
        if shape != b.shape:
            shape = broadcast(shape, b.shape)  # type: ignore[assignment]  # a tuple serves as well as a torch.Size
        tensors: tuple[Tensor, ...] = (a, b)
        single = not chain and a.dtype is dtype and b.dtype is dtype
    else:
        x, other = (a, b) if isinstance(a, Tensor) else (b, a)
        dtype, shape = x.dtype, x.shape
        if dtype not in FLOATS or type(other) not in (int, float):
            dtype = computed(kind, result_type((x, other)))
        elif kind >= BITS:
            raise Unsure
        tensors = (x,)
        single = not chain and x.dtype is dtype
    return new_elementwise(t, tensors, shape, BOOL if kind == TEST else dtype, single)


def binary_(t: Tracer, op: str, x: Tensor, other: Any, kind: int, extra: dict[str, Any] | None = None) -> Any:
    """Emit ``op`` written into its first operand."""
    inputs, attrs = operands(x, other)
    if extra:
        attrs.update(extra)
    if t.forced is None:
        dtype = computed(kind, result_type((x, other)))
        check_writable(t, x, BOOL if kind == TEST else dtype, (other,))
    return t.write(op, x, inputs, attrs, "x0")


def _functional(op: str, kind: int) -> Rule:
    chain = op in _CHAINS

    def apply(t: Tracer, input: Any, other: Any) -> Any:
        return binary(t, op, input, other, kind, None, chain)

    return apply


def _in_place(op: str, kind: int) -> Rule:
    def apply(t: Tracer, input: Tensor, other: Any) -> Any:
        return binary_(t, op, input, other, kind)

    return apply


def _reflected(op: str) -> Rule:
    def apply(t: Tracer, input: Tensor, other: Any) -> Any:
        return binary(t, op, other, input, _KINDS[op], None, True)

    return apply


# Operators of Python that aten has under the same name.
_ATEN_OPERATORS = frozenset({"__and__", "__or__", "__xor__", "__lshift__", "__rshift__"})

for _op, _kind, _names, _python in _ROWS:
    _list = _names.split()
    _operators = [name for name in _python.split() if not name.startswith("__i")]
    _faces = [f"{root}.{name}" for name in _list for root in ("torch", "Tensor", "special")]
    _faces += [f"Tensor.{name}" for name in _operators]
    rule(*_faces, aten=(*_list, *_ATEN_OPERATORS.intersection(_operators)))(_functional(_op, _kind))
    _operators = [name for name in _python.split() if name.startswith("__i")]
    _list = [f"{name}_" for name in _list]
    rule(*(f"Tensor.{name}" for name in (*_list, *_operators)), aten=(*_list, *_operators))(_in_place(_op, _kind))
for _names, _op in _REFLECTED.items():
    rule(*(f"Tensor.{name}" for name in _names.split()))(_reflected(_op))


# -- sums: the second operand may have a factor ----------------------------------------------------------------------


def _sum(t: Tracer, op: str, a: Any, b: Any, alpha: Any, extra: dict[str, Any] | None = None) -> Any:
    kind = _KINDS[op]
    if type(alpha) in (int, float) and alpha == 1:
        return binary(t, op, a, b, kind, extra)
    _check_alpha(t, alpha, a, b)
    return binary(t, op, a, b, kind, {"alpha": alpha, **(extra or {})}, True)


def _check_alpha(t: Tracer, alpha: Any, a: Any, b: Any) -> None:
    if type(alpha) not in (int, float):
        raise Unsure  # a bool, or the old order of arguments: add(x, alpha, y)
    if t.forced is None and result_type((a, b)) not in FLOATS and (type(alpha) is float or result_type((a, b)) is BOOL):
        raise Unsure


def _sum_(t: Tracer, op: str, x: Tensor, other: Any, alpha: Any) -> Any:
    if type(alpha) in (int, float) and alpha == 1:
        return binary_(t, op, x, other, _KINDS[op])
    _check_alpha(t, alpha, x, other)
    return binary_(t, op, x, other, _KINDS[op], {"alpha": alpha})


@rule("torch.add", "Tensor.add", "Tensor.__add__", "Tensor.__radd__", aten="add")
def add(t: Tracer, input: Any, other: Any, alpha: Any = 1) -> Any:
    return _sum(t, "add", input, other, alpha)


@rule("Tensor.add_", "Tensor.__iadd__", aten="add_")
def add_(t: Tracer, input: Tensor, other: Any, alpha: Any = 1) -> Any:
    return _sum_(t, "add", input, other, alpha)


@rule("torch.sub", "torch.subtract", "Tensor.sub", "Tensor.subtract", "Tensor.__sub__", aten=("sub", "subtract"))
def sub(t: Tracer, input: Any, other: Any, alpha: Any = 1) -> Any:
    _refuse_bool(t, input, other)
    return _sum(t, "sub", input, other, alpha)


@rule("Tensor.sub_", "Tensor.subtract_", "Tensor.__isub__", aten=("sub_", "subtract_"))
def sub_(t: Tracer, input: Tensor, other: Any, alpha: Any = 1) -> Any:
    _refuse_bool(t, input, other)
    return _sum_(t, "sub", input, other, alpha)


@rule("torch.rsub", "Tensor.__rsub__", aten="rsub")
def rsub(t: Tracer, input: Tensor, other: Any, alpha: Any = 1) -> Any:
    """other − alpha·input."""
    _refuse_bool(t, input, other)
    if isinstance(other, Tensor) or alpha != 1:
        # Not one kernel: torch turns the operands round.
        _check_alpha(t, alpha, input, other)
        extra = {} if alpha == 1 else {"alpha": alpha}
        return binary(t, "sub", other, input, NUMBER, extra, True)
    return binary(t, "sub", other, input, NUMBER)


def _refuse_bool(t: Tracer, *values: Any) -> None:
    """Subtraction refuses bool tensors, and meta kernels bool numbers."""
    for value in values:
        if (value.dtype is BOOL) if isinstance(value, Tensor) else type(value) is bool:
            raise Unsure


# -- division ---------------------------------------------------------------------------------------------------------


@rule("torch.div", "torch.divide", "Tensor.div", "Tensor.divide", aten=("div", "divide"))
def div(t: Tracer, input: Any, other: Any, rounding_mode: Any = None) -> Any:
    if t.forced is None and not isinstance(input, Tensor) and not isinstance(other, Tensor):
        return literal(t, torch.div(input, other, rounding_mode=rounding_mode))  # of two numbers of Python: a constant
    if rounding_mode is None:
        return binary(t, "div", input, other, REAL)
    if rounding_mode == "floor":
        return binary(t, "floor_div", input, other, NUMBER, None, True)
    if rounding_mode != "trunc":
        return NotImplemented
    y = t.forced.pop(0) if t.forced is not None else _result(t, input, other, NUMBER, True)
    inputs, attrs = operands(input, other)
    if y.dtype in INTEGERS:  # the division of integers drops the fraction
        t.emit("div", inputs, {"y": y}, attrs)
        return y
    quotient = between(y.shape, y.dtype)
    t.emit("div", inputs, {"y": quotient}, attrs, "div")
    t.emit("trunc", {"x": quotient}, {"y": y}, None, "trunc")
    return y


@rule("Tensor.div_", "Tensor.divide_", aten=("div_", "divide_"))
def div_(t: Tracer, input: Tensor, other: Any, rounding_mode: Any = None) -> Any:
    if rounding_mode is None:
        return binary_(t, "div", input, other, REAL)
    if rounding_mode == "floor":
        return binary_(t, "floor_div", input, other, NUMBER)
    if rounding_mode != "trunc":
        return NotImplemented
    binary_(t, "div", input, other, NUMBER)
    return input if input.dtype in INTEGERS else t.write("trunc", input, {"x": input})


@rule("torch.fmod", "Tensor.fmod", aten="fmod")
def fmod(t: Tracer, input: Any, other: Any) -> Any:
    return binary(t, "remainder", input, other, NUMBER, {"fmod": True})


@rule("Tensor.fmod_", aten="fmod_")
def fmod_(t: Tracer, input: Tensor, other: Any) -> Any:
    return binary_(t, "remainder", input, other, NUMBER, {"fmod": True})


# -- powers -----------------------------------------------------------------------------------------------------------


@rule("torch.pow", "Tensor.pow", "Tensor.__pow__", aten="pow")
def power(t: Tracer, input: Any, exponent: Any) -> Any:
    """x to a constant is one layer with the attribute ``exponent``; a constant to x has the attribute ``base``."""
    if isinstance(exponent, Tensor) and isinstance(input, Tensor):
        return binary(t, "pow", input, exponent, NUMBER)
    inputs, attrs = _power(t, input, exponent)
    if t.forced is None and attrs.get("exponent") in (0, 1) and not is_canonical(input):
        return NotImplemented  # a copy, and a tensor of ones: these keep strides
    y = t.forced.pop(0) if t.forced is not None else _result(t, input, exponent, NUMBER, True)
    t.emit("pow", inputs, {"y": y}, attrs)
    return y


@rule("Tensor.pow_", "Tensor.__ipow__", aten="pow_")
def power_(t: Tracer, input: Tensor, exponent: Any) -> Any:
    inputs, attrs = _power(t, input, exponent)
    if t.forced is None:
        check_writable(t, input, computed(NUMBER, result_type((input, exponent))), (exponent,))
    return t.write("pow", input, inputs, attrs, "x0")


@rule("Tensor.__rpow__")
def rpow(t: Tracer, input: Tensor, other: Any) -> Any:
    return power(t, other, input)


def _power(t: Tracer, base: Any, exponent: Any) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    if not isinstance(base, Tensor):
        return {"x0": exponent}, {"base": number(base)}
    if isinstance(exponent, Tensor):
        return {"x0": base, "x1": exponent}, {}
    exponent = number(exponent)
    if base.dtype not in FLOATS and exponent < 0:
        raise Unsure  # integers to a negative integer power raise
    return {"x0": base}, {"exponent": exponent}
