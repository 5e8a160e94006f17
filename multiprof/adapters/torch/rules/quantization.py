"""Quantisation, and rounding to what integers can stand for before that: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import ATEN, rule
from multiprof.adapters.torch.tracer import Tracer


def _fake_quantize(t: Tracer, x: Tensor, scale: Any, zero_point: Any, attrs: dict[str, Any]) -> Tensor:
    y = t.new((), x.dtype)
    inputs = {"x": x}
    for role, value in (("scale", scale), ("zero_point", zero_point)):
        if isinstance(value, Tensor):
            inputs[role] = value
    t.emit("fake_quantize", inputs, {"y": y}, attrs)
    return y


@rule(aten=("fake_quantize_per_tensor_affine", "fake_quantize_per_tensor_affine_cachemask"))
def per_tensor(t: Tracer, self: Tensor, scale: Any, zero_point: Any, quant_min: int, quant_max: int) -> Any:
    return _fake_quantize(t, self, scale, zero_point, {})


@rule(aten=("fake_quantize_per_channel_affine", "fake_quantize_per_channel_affine_cachemask"))
def per_channel(t: Tracer, self: Tensor, scale: Any, zero_point: Any, axis: int, quant_min: int, quant_max: int) -> Any:
    return _fake_quantize(t, self, scale, zero_point, {"axis": axis % self.dim()})


@rule(aten="quantize_per_tensor")
def quantize_per_tensor(t: Tracer, self: Tensor, scale: Any, zero_point: Any, dtype: Any) -> Any:
    return _converted(t, "quantize", self, {"scale": scale, "zero_point": zero_point}, {})


@rule(aten="quantize_per_channel")
def quantize_per_channel(t: Tracer, self: Tensor, scales: Tensor, zero_points: Tensor, axis: int, dtype: Any) -> Any:
    return _converted(t, "quantize", self, {"scale": scales, "zero_point": zero_points}, {"axis": int(axis)})


@rule(aten="quantize_per_tensor_dynamic")
def quantize_dynamically(t: Tracer, self: Tensor, dtype: Any, reduce_range: bool) -> Any:
    return _converted(t, "dynamic_quantize", self, {}, {})


@rule(aten="dequantize")
def dequantize(t: Tracer, self: Tensor) -> Any:
    return _converted(t, "dequantize", self, {}, {})


def _converted(t: Tracer, op: str, x: Tensor, given: dict[str, Any], attrs: dict[str, Any]) -> Tensor:
    y = t.new((), x.dtype)
    inputs = {"x": x} | {role: value for role, value in given.items() if isinstance(value, Tensor)}
    t.emit(op, inputs, {"y": y}, attrs | {"dtype": NAMES[y.dtype]})
    return y


# -- torch.ao's operators of exported models, whose integers are plain ones --------------------------------------------


def _decomposed(name: str, op: str, per_channel: bool) -> None:
    def apply(t: Tracer, input: Tensor, scale: Any, zero_point: Any, *more: Any, **named: Any) -> Any:
        attrs = {"axis": int(more[0])} if per_channel else {}
        return _converted(t, op, input, {"scale": scale, "zero_point": zero_point}, attrs)

    ATEN[f"quantized_decomposed.{name}"] = apply


for _op in ("quantize", "dequantize"):
    _decomposed(f"{_op}_per_tensor", _op, False)
    _decomposed(f"{_op}_per_channel", _op, True)
