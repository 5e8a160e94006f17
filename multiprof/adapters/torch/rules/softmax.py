"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, between, is_regular, new_solid, normal_axis
from multiprof.adapters.torch.rules._promotion import FLOATS
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _normalise(t: Tracer, op: str, x: Tensor, dim: Any, dtype: torch.dtype | None) -> Tensor:
    """Emit ``op`` along ``dim``, after a cast where another dtype is asked for."""
    if type(dim) is not int:
        raise Unsure  # torch chooses the dimension, and warns
    axis = normal_axis(dim, x.dim())
    result = x.dtype if dtype is None else dtype
    if t.forced is None and result not in FLOATS:
        raise Unsure
    if t.forced is not None:
        y = t.forced.pop(0)
    elif op == "softmax":
        y = t.new(x.shape, result)  # contiguous, whatever the strides of x
    elif result is x.dtype or is_regular(x):
        y = new_solid(t, x, x.shape, result)
    else:
        raise Unsure  # the cast keeps some strides
    if result is not x.dtype and t.forced is None:
        cast = between(x.shape, result)
        t.emit("cast", {"x": x}, {"y": cast}, {"dtype": str(result).removeprefix("torch.")}, "cast")
        x = cast
    t.emit(op, {"x": x}, {"y": y}, {"axis": (axis,), "n": x.shape[axis] if x.dim() else 1})
    return y


@rule("torch.softmax", "Tensor.softmax", aten="softmax")
def softmax(t: Tracer, input: Tensor, dim: Any, dtype: torch.dtype | None = None) -> Any:
    return _normalise(t, "softmax", input, dim, dtype)


@rule("torch.log_softmax", "Tensor.log_softmax", "special.log_softmax", aten="log_softmax")
def log_softmax(t: Tracer, input: Tensor, dim: Any, dtype: torch.dtype | None = None) -> Any:
    return _normalise(t, "log_softmax", input, dim, dtype)


@rule("special.softmax")
def special_softmax(t: Tracer, input: Tensor, dim: Any, dtype: torch.dtype | None = None) -> Any:
    return _normalise(t, "softmax", input, dim, dtype)


@rule("F.softmax")
def f_softmax(t: Tracer, input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return _normalise(t, "softmax", input, dim, dtype)


@rule("F.log_softmax")
def f_log_softmax(t: Tracer, input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return _normalise(t, "log_softmax", input, dim, dtype)


@rule("F.softmin")
def softmin(t: Tracer, input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """softmax(−x)."""
    if type(dim) is not int or input.dtype not in FLOATS:
        return NotImplemented
    normal_axis(dim, input.dim())
    negated = between(input.shape, input.dtype)
    t.emit("neg", {"x": input}, {"y": negated}, None, "neg")
    return _normalise(t, "softmax", negated, dim, dtype)


@rule(aten="_softmax")
def aten_softmax(t: Tracer, input: Tensor, dim: int, half_to_float: bool = False) -> Any:
    return _normalise(t, "softmax", input, dim, torch.float32 if half_to_float else None)


@rule(aten="_log_softmax")
def aten_log_softmax(t: Tracer, input: Tensor, dim: int, half_to_float: bool = False) -> Any:
    return _normalise(t, "log_softmax", input, dim, torch.float32 if half_to_float else None)


@rule(aten="_safe_softmax")
def safe_softmax(t: Tracer, input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    return _normalise(t, "softmax", input, dim, dtype)
