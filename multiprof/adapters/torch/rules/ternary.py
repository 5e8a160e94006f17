"""Elementwise functions of three operands: selections, limits, interpolation, sums of products."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, between, broadcast, is_regular, new_elementwise
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS, INTEGERS, number, result_type
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.rules.ordering import positions_by_axis
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer

_SCALAR = torch.empty((), device=META)  # what torch makes of a number among the operands


@rule("torch.where", aten="where")
def where(t: Tracer, condition: Tensor, input: Any = None, other: Any = None) -> Any:
    if input is None and other is None and t.forced is not None:
        return positions_by_axis(t, condition)
    if condition.dtype is not BOOL or input is None or other is None:
        return NotImplemented
    inputs: dict[str, Tensor | None] = {"cond": condition}
    attrs: dict[str, Any] = {}
    for i, value in enumerate((input, other)):
        if isinstance(value, Tensor):
            inputs[f"x{i}"] = value
        else:
            attrs[f"scalar{i}"] = number(value)
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        dtype = result_type((input, other))
        values = [x if isinstance(x, Tensor) else _SCALAR for x in (input, other)]
        single = all(x is _SCALAR or x.dtype is dtype for x in values)
        tensors = (condition, *values) if single else (condition, *(x for x in values if x is not _SCALAR))
        y = new_elementwise(t, tensors, broadcast(*(x.shape for x in tensors)), dtype, single)
    t.emit("where", inputs, {"y": y}, attrs)
    return y


@rule("Tensor.where")
def where_method(t: Tracer, input: Any, condition: Tensor, other: Any) -> Any:
    return where(t, condition, input, other)


def _fill(x: Tensor, mask: Tensor, value: Any) -> tuple[str, dict[str, Tensor | None], dict[str, Any]]:
    """Op, inputs and attributes of ``x`` filled with ``value`` where ``mask`` is set."""
    if mask.dtype is not BOOL:
        raise Unsure
    if not isinstance(value, Tensor):
        value = number(value)
        if x.dtype not in FLOATS and (type(value) is float or x.dtype not in INTEGERS):
            raise Unsure  # torch looks at the value
        return "masked_fill", {"x": x, "mask": mask}, {"value": value}
    if value.dim() or value.dtype is not x.dtype:
        raise Unsure
    return "where", {"cond": mask, "x0": value, "x1": x}, {}


@rule("torch.masked_fill", "Tensor.masked_fill", aten="masked_fill")
def masked_fill(t: Tracer, input: Tensor, mask: Tensor, value: Any) -> Any:
    op, inputs, attrs = _fill(input, mask, value)
    shape = input.shape if t.forced is not None else broadcast(input.shape, mask.shape)
    # The result is contiguous, but where a size of 1 leaves a choice of strides it keeps an operand's.
    if t.forced is None and 1 in shape and not (is_regular(input) and is_regular(mask)):
        return NotImplemented
    y = t.new(shape, input.dtype)
    t.emit(op, inputs, {"y": y}, attrs)
    return y


@rule("Tensor.masked_fill_", aten="masked_fill_")
def masked_fill_(t: Tracer, input: Tensor, mask: Tensor, value: Any) -> Any:
    op, inputs, attrs = _fill(input, mask, value)
    check_writable(t, input, input.dtype, (mask,))
    return t.write(op, input, inputs, attrs, "x" if op == "masked_fill" else "x1")


# -- limits -----------------------------------------------------------------------------------------------------------


@rule("torch.clamp", "torch.clip", "Tensor.clamp", "Tensor.clip", aten=("clamp", "clip"))
def clamp(t: Tracer, input: Tensor, min: Any = None, max: Any = None) -> Any:
    """Limits that are tensors make a maximum and a minimum."""
    if min is None and max is None:
        return NotImplemented
    bounds = [b for b in (min, max) if b is not None]
    if any(isinstance(b, Tensor) for b in bounds):
        if not all(isinstance(b, Tensor) for b in bounds):
            return NotImplemented
        return _between_tensors(t, input, min, max)
    attrs = {"min": min if min is None else number(min), "max": max if max is None else number(max)}
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        y = new_elementwise(t, (input,), input.shape, _limited(input, bounds), False)
    t.emit("clip", {"x": input}, {"y": y}, attrs)
    return y


def _limited(x: Tensor, bounds: list[Any]) -> torch.dtype:
    dtype = x.dtype
    if dtype not in FLOATS:
        dtype = result_type((x, *bounds))
        if dtype is BOOL or x.dtype is BOOL:
            raise Unsure
    return dtype


def _between_tensors(t: Tracer, x: Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    tensors = tuple(b for b in (x, low, high) if b is not None)
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        dtype = x.dtype
        if dtype not in FLOATS or any(b.dtype is not dtype for b in tensors):
            raise Unsure
        y = new_elementwise(t, tensors, broadcast(*(b.shape for b in tensors)), dtype, False)
    if low is not None:
        lifted = y if high is None else between(broadcast(x.shape, low.shape), y.dtype)
        t.emit("maximum", {"x0": x, "x1": low}, {"y": lifted})
        x = lifted
    if high is not None:
        t.emit("minimum", {"x0": x, "x1": high}, {"y": y})
    return y


@rule("Tensor.clamp_", "Tensor.clip_", "torch.clamp_", "torch.clip_", aten=("clamp_", "clip_"))
def clamp_(t: Tracer, input: Tensor, min: Any = None, max: Any = None) -> Any:
    bounds = [b for b in (min, max) if b is not None]
    if not bounds:
        return NotImplemented
    if all(isinstance(b, Tensor) for b in bounds):
        _same_floats(t, input, *bounds)
        check_writable(t, input, input.dtype, tuple(bounds))
        if min is not None:
            t.write("maximum", input, {"x0": input, "x1": min}, None, "x0")
        return input if max is None else t.write("minimum", input, {"x0": input, "x1": max}, None, "x0")
    attrs = {"min": min if min is None else number(min), "max": max if max is None else number(max)}
    if t.forced is None:
        check_writable(t, input, _limited(input, bounds))
    return t.write("clip", input, {"x": input}, attrs)


@rule("torch.clamp_min", "Tensor.clamp_min", aten="clamp_min")
def clamp_min(t: Tracer, input: Tensor, min: Any) -> Any:
    return clamp(t, input, min)


@rule("torch.clamp_max", "Tensor.clamp_max", aten="clamp_max")
def clamp_max(t: Tracer, input: Tensor, max: Any) -> Any:
    return clamp(t, input, None, max)


@rule("torch.clamp_min_", "Tensor.clamp_min_", aten="clamp_min_")
def clamp_min_(t: Tracer, input: Tensor, min: Any) -> Any:
    return clamp_(t, input, min)


@rule("torch.clamp_max_", "Tensor.clamp_max_", aten="clamp_max_")
def clamp_max_(t: Tracer, input: Tensor, max: Any) -> Any:
    return clamp_(t, input, None, max)


# -- interpolation, and a product added ------------------------------------------------------------------------------


def _same_floats(t: Tracer, *tensors: Tensor) -> None:
    dtype = tensors[0].dtype
    if t.forced is None and (dtype not in FLOATS or any(x.dtype is not dtype for x in tensors)):
        raise Unsure


def _interpolation(start: Tensor, end: Tensor, weight: Any) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    if isinstance(weight, Tensor):
        return {"x0": start, "x1": end, "t": weight}, {}
    return {"x0": start, "x1": end}, {"scalar": number(weight)}


@rule("torch.lerp", "Tensor.lerp", aten="lerp")
def lerp(t: Tracer, input: Tensor, end: Tensor, weight: Any) -> Any:
    inputs, attrs = _interpolation(input, end, weight)
    tensors = tuple(x for x in inputs.values() if x is not None)
    _same_floats(t, *tensors)
    shape = input.shape if t.forced is not None else broadcast(*(x.shape for x in tensors))
    y = new_elementwise(t, tensors, shape, input.dtype, False)
    t.emit("lerp", inputs, {"y": y}, attrs)
    return y


@rule("Tensor.lerp_", aten="lerp_")
def lerp_(t: Tracer, input: Tensor, end: Tensor, weight: Any) -> Any:
    inputs, attrs = _interpolation(input, end, weight)
    tensors = tuple(x for x in inputs.values() if x is not None)
    _same_floats(t, *tensors)
    check_writable(t, input, input.dtype, tensors[1:])
    return t.write("lerp", input, inputs, attrs, "x0")


def _with_product(t: Tracer, op: str, x: Tensor, a: Any, b: Any, value: Any) -> Tensor:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        raise Unsure  # the old order of arguments: addcmul(x, value, a, b)
    _same_floats(t, x, a, b)
    attrs = {"value": number(value)}
    shape = x.shape if t.forced is not None else broadcast(x.shape, a.shape, b.shape)
    y = new_elementwise(t, (x, a, b), shape, x.dtype, False)
    t.emit(op, {"x0": x, "x1": a, "x2": b}, {"y": y}, attrs)
    return y


def _with_product_(t: Tracer, op: str, x: Tensor, a: Any, b: Any, value: Any) -> Tensor:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        raise Unsure
    _same_floats(t, x, a, b)
    check_writable(t, x, x.dtype, (a, b))
    return t.write(op, x, {"x0": x, "x1": a, "x2": b}, {"value": number(value)}, "x0")


@rule("torch.addcmul", "Tensor.addcmul", aten="addcmul")
def addcmul(t: Tracer, input: Tensor, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return _with_product(t, "addcmul", input, tensor1, tensor2, value)


@rule("Tensor.addcmul_", aten="addcmul_")
def addcmul_(t: Tracer, input: Tensor, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return _with_product_(t, "addcmul", input, tensor1, tensor2, value)


@rule("torch.addcdiv", "Tensor.addcdiv", aten="addcdiv")
def addcdiv(t: Tracer, input: Tensor, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return _with_product(t, "addcdiv", input, tensor1, tensor2, value)


@rule("Tensor.addcdiv_", aten="addcdiv_")
def addcdiv_(t: Tracer, input: Tensor, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return _with_product_(t, "addcdiv", input, tensor1, tensor2, value)
