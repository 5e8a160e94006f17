"""Rounding to what integers can stand for, before a model is quantised: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
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
