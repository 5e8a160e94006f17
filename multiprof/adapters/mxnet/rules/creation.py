"""Tensors out of nothing, or of another's shape alone."""

from __future__ import annotations

from math import ceil

from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import Writing

VALUES = {"_zeros": 0, "_ones": 1, "zeros_like": 0, "ones_like": 1, "_npi_zeros": 0, "_npi_ones": 1,
          "_zeros_without_dtype": 0}  # fmt: skip


def infer_filled(call: Call) -> None:
    """0 stands for a size that follows from the readers: initial states are written so."""
    dims = call.attrs.maybe_ints("shape")
    if dims is not None:
        numpy = call.op.startswith("_np")
        call.give(tuple(dim if dim or (numpy and dim == 0) else None for dim in dims))


def write_filled(call: Call, to: Writing) -> None:
    value = VALUES[call.op] if call.op in VALUES else call.attrs.number("value", call.attrs.number("fill_value", 0.0))
    to.layer(call, "fill", {}, None, {"value": value})


def infer_arange(call: Call) -> None:
    """⌈(stop − start)/step⌉ elements, each so often as repeat says; with infer_range the readers decide."""
    start, stop, step = call.attrs.number("start", 0.0), None, call.attrs.number("step", 1.0)
    if "stop" in call.attrs:
        stop = call.attrs.number("stop", 0.0)
    elif call.attrs.flag("infer_range"):
        call.give((None,))
        return
    else:
        start, stop = 0.0, start
    if step == 0:
        raise call.attrs.wrong("step", "a step other than 0")
    try:
        count = max(0, ceil((stop - start) / step)) * call.attrs.integer("repeat", 1, least=1)
    except (OverflowError, ValueError):  # infinite, or not a number
        raise call.attrs.wrong("stop", "a finite number") from None
    call.give((count,))


def infer_arange_like(call: Call) -> None:
    """Numbers for all elements of the data, or for those along an axis."""
    source, axis = call.shape(0), call.attrs.maybe_int("axis")
    if source is not None:
        call.give(source if axis is None else (source[call.axis(axis, len(source))],))


def write_arange(call: Call, to: Writing) -> None:
    to.layer(
        call, "arange", {}, None, {"start": call.attrs.number("start", 0.0), "step": call.attrs.number("step", 1.0)}
    )


def infer_eye(call: Call) -> None:
    rows = call.attrs.integer("N", least=0)
    call.give((rows, call.attrs.integer("M", 0, least=0) or rows))


def write_eye(call: Call, to: Writing) -> None:
    to.layer(call, "eye", {}, None, {})


def infer_shape_array(call: Call) -> None:
    source = call.shape(0)
    if call.op == "size_array":
        call.give((1,))
    elif source is not None:
        call.give((len(source),))


def write_shape_array(call: Call, to: Writing) -> None:
    """It depends on the shape alone, which is known before the model runs."""
    value = numel(to.x(call).shape) if call.op == "size_array" else to.x(call).shape
    to.layer(call, "constant", {}, None, {"value": value})


def infer_random(call: Call) -> None:
    if not call.op.endswith("_like"):
        infer_filled(call)
    else:
        infer_same(call)


def write_random(call: Call, to: Writing) -> None:
    name = call.op.removeprefix("_random_").removesuffix("_like")
    to.layer(call, "random", {}, None, {"distribution": name})


def _float(call: Call) -> str:
    return call.attrs.dtype("dtype", "float32")


_FILLED = Rule(infer_filled, write_filled, (), dtype=_float)
_LIKE = Rule(infer_same, write_filled)
_ARANGE = Rule(infer_arange, write_arange, (), dtype=_float)
_RANDOM = ("exponential", "gamma", "normal", "poisson", "randint", "uniform", "negative_binomial")
RULES: Rules = {
    "_zeros": _FILLED,
    "_ones": _FILLED,
    "_full": _FILLED,
    "_npi_zeros": _FILLED,
    "_npi_ones": _FILLED,
    "_zeros_without_dtype": _FILLED,
    "zeros_like": _LIKE,
    "ones_like": _LIKE,
    "_npi_full_like": _LIKE,
    "_arange": _ARANGE,
    "_npi_arange": _ARANGE,
    "_contrib_arange_like": Rule(infer_arange_like, write_arange),
    "_eye": Rule(infer_eye, write_eye, (), dtype=_float),
    "_npi_eye": Rule(infer_eye, write_eye, (), dtype=_float),
    "shape_array": Rule(infer_shape_array, write_shape_array, dtype=lambda _: "int64"),
    "size_array": Rule(infer_shape_array, write_shape_array, dtype=lambda _: "int64"),
    **{f"_random_{name}": Rule(infer_random, write_random, (), dtype=_float) for name in _RANDOM},
    **{f"_random_{name}_like": Rule(infer_random, write_random) for name in _RANDOM},
}
