"""Elementwise functions of one tensor, one row each."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, between, new_elementwise, new_like
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS, INTEGERS, as_float
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

# What becomes of the dtype. KEEP: as it is, floats and integers; ROUND: the same, but torch copies integers;
# REAL: integers and bool become the default float; FLOAT: floats alone; TEST: the result is bool;
# BITS: as it is, integers and bool.
KEEP, ROUND, REAL, FLOAT, TEST, BITS = range(6)

# op, what becomes of the dtype, and torch's names of it. Every name is looked up as torch.<name>, Tensor.<name>,
# special.<name>, and with a trailing underscore for the in-place form; names that torch lacks are passed over.
_ROWS: tuple[tuple[str, int, str], ...] = (
    ("neg", KEEP, "neg negative"),
    ("abs", KEEP, "abs absolute"),
    ("sign", KEEP, "sign"),
    ("reciprocal", REAL, "reciprocal"),
    ("sqrt", REAL, "sqrt"),
    ("rsqrt", REAL, "rsqrt"),
    ("exp", REAL, "exp"),
    ("exp2", REAL, "exp2"),
    ("expm1", REAL, "expm1"),
    ("log", REAL, "log"),
    ("log2", REAL, "log2"),
    ("log10", REAL, "log10"),
    ("log1p", REAL, "log1p"),
    ("sin", REAL, "sin"),
    ("cos", REAL, "cos"),
    ("tan", REAL, "tan"),
    ("asin", REAL, "asin arcsin"),
    ("acos", REAL, "acos arccos"),
    ("atan", REAL, "atan arctan"),
    ("sinh", REAL, "sinh"),
    ("cosh", REAL, "cosh"),
    ("asinh", REAL, "asinh arcsinh"),
    ("acosh", REAL, "acosh arccosh"),
    ("atanh", REAL, "atanh arctanh"),
    ("erf", REAL, "erf"),
    ("erfc", REAL, "erfc"),
    ("erfinv", REAL, "erfinv"),
    ("sigmoid", REAL, "sigmoid expit"),
    ("tanh", REAL, "tanh"),
    ("floor", ROUND, "floor"),
    ("ceil", ROUND, "ceil"),
    ("trunc", ROUND, "trunc fix"),
    ("frac", FLOAT, "frac"),
    ("logical_not", TEST, "logical_not"),
    ("is_nan", TEST, "isnan"),
    ("is_inf", TEST, "isinf"),
    ("is_finite", TEST, "isfinite"),
    ("bitwise_not", BITS, "bitwise_not"),
)
# Python functions around a method, and functions of torch.nn.functional, which arrive under their own name.
_MORE = {
    "neg": ("Tensor.__neg__",),
    "abs": ("Tensor.__abs__",),
    "bitwise_not": ("Tensor.__invert__",),
    "sigmoid": ("F.sigmoid",),
    "tanh": ("F.tanh",),
}
# Written in torch's meta kernels as a chain of several, so that odd strides may come out otherwise.
_CHAINS = frozenset({"is_inf", "is_finite"})


def result_dtype(x: Tensor, kind: int) -> torch.dtype:
    """The dtype of the result; raises `Unsure` for dtypes on which torch's kernels raise or differ."""
    dtype = x.dtype
    if dtype in FLOATS:
        if kind == BITS:
            raise Unsure
        return BOOL if kind == TEST else dtype
    if dtype in INTEGERS:
        if kind == REAL:
            return as_float(dtype)
        if kind == FLOAT:
            raise Unsure
        return BOOL if kind == TEST else dtype
    if dtype is BOOL and kind in (TEST, BITS):
        return dtype
    if dtype is BOOL and kind == REAL:
        return as_float(dtype)
    raise Unsure


def _functional(op: str, kind: int) -> Rule:
    def apply(t: Tracer, input: Tensor) -> Any:
        dtype = input.dtype
        if dtype in FLOATS and kind != TEST and kind != BITS:
            y = new_like(t, input)
        elif t.forced is not None:
            y = t.forced.pop(0)
        else:
            result = result_dtype(input, kind)
            single = op not in _CHAINS and not (kind == REAL and result is not dtype)
            y = new_elementwise(t, (input,), input.shape, result, single)
        t.emit(op, {"x": input}, {"y": y})
        return y

    return apply


def _in_place(op: str, kind: int) -> Rule:
    def apply(t: Tracer, input: Tensor) -> Any:
        if t.forced is None:
            check_writable(t, input, result_dtype(input, kind))
        return t.write(op, input, {"x": input})

    return apply


for _op, _kind, _names in _ROWS:
    _list = _names.split()
    _faces = [f"{root}.{name}" for name in _list for root in ("torch", "Tensor", "special")]
    rule(*_faces, *_MORE.get(_op, ()), aten=tuple(_list))(_functional(_op, _kind))
    _written = tuple(f"{name}_" for name in _list)
    rule(*(f"{root}.{name}" for name in _written for root in ("torch", "Tensor")), aten=_written)(_in_place(_op, _kind))


_round = _functional("round", ROUND)
rule("torch.round_", "Tensor.round_", aten="round_")(_in_place("round", ROUND))


@rule("torch.round", "Tensor.round", "special.round", aten="round")
def round(t: Tracer, input: Tensor, decimals: int = 0) -> Any:
    """To a whole number; to a number of decimals it is more than that."""
    return NotImplemented if decimals else _round(t, input)


@rule("torch.square", "Tensor.square", aten="square")
def square(t: Tracer, input: Tensor) -> Any:
    y = new_like(t, input) if input.dtype in FLOATS else _of_integers(t, input)
    t.emit("square", {"x": input}, {"y": y})
    return y


@rule("torch.square_", "Tensor.square_", aten="square_")
def square_(t: Tracer, input: Tensor) -> Any:
    if input.dtype not in FLOATS and input.dtype not in INTEGERS:
        return NotImplemented
    check_writable(t, input, input.dtype)
    return t.write("square", input, {"x": input})


def _of_integers(t: Tracer, x: Tensor) -> Tensor:
    if t.forced is None and x.dtype not in INTEGERS:
        raise Unsure
    return new_elementwise(t, (x,), x.shape, x.dtype, True)


@rule("torch.positive", "Tensor.positive", "Tensor.__pos__")
def positive(t: Tracer, input: Tensor) -> Any:
    """``+x`` is x itself."""
    return input if input.dtype in FLOATS or input.dtype in INTEGERS else NotImplemented


@rule("torch.nan_to_num", "Tensor.nan_to_num", aten="nan_to_num")
def nan_to_num(t: Tracer, input: Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """A test, a selection, and a limit to the finite numbers."""
    if input.dtype not in FLOATS:
        return NotImplemented
    y = new_like(t, input)
    test = between(input.shape, BOOL)
    t.emit("is_nan", {"x": input}, {"y": test}, None, "is_nan")
    selected = between(input.shape, input.dtype)
    t.emit("where", {"cond": test, "x1": input}, {"y": selected}, {"scalar0": nan or 0.0}, "where")
    t.emit("clip", {"x": selected}, {"y": y}, _limits(input, posinf, neginf), "clip")
    return y


@rule("torch.nan_to_num_", "Tensor.nan_to_num_", aten="nan_to_num_")
def nan_to_num_(t: Tracer, input: Tensor, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    if input.dtype not in FLOATS:
        return NotImplemented
    check_writable(t, input, input.dtype)
    test = between(input.shape, BOOL)
    t.emit("is_nan", {"x": input}, {"y": test}, None, "is_nan")
    t.write("where", input, {"cond": test, "x1": input}, {"scalar0": nan or 0.0}, "x1")
    return t.write("clip", input, {"x": input}, _limits(input, posinf, neginf))


def _limits(x: Tensor, posinf: Any, neginf: Any) -> dict[str, Any]:
    finite = torch.finfo(x.dtype)
    return {"min": finite.min if neginf is None else neginf, "max": finite.max if posinf is None else posinf}
