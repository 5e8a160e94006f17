"""Real numbers to integers and back: real = scale·(stored − zero_point)."""

from __future__ import annotations

from typing import Any

import torch

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import DTYPES, WIDENED, Context, Kernel, Tensor, rule
from multiprof_benchmark.lower.values import STEP

_RANGES = {"int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15)}


def limits(dtype: str) -> tuple[int, int]:
    """The least and the greatest stored value; wide types as far as a float tells them apart."""
    if dtype in _RANGES:
        return _RANGES[dtype]
    kind = DTYPES.get(dtype, torch.int8)
    if kind.is_floating_point:
        return -(2**15), 2**15
    found = torch.iinfo(kind)
    return max(found.min, -(2**31)), min(found.max, 2**31 - 128)


def grid(spec: TensorSpec) -> tuple[Tensor, Tensor]:
    """Scale and zero point of a tensor, shaped to broadcast with it; a stated guess where they are not known."""
    q = spec.quant
    if q is None or not q.scale:
        return torch.tensor(STEP), torch.tensor(0.0 if spec.dtype.startswith("int") else 128.0)
    scale, zero = torch.tensor(q.scale), torch.tensor([float(z) for z in q.zero_point] or [0.0])
    if scale.numel() == 1:
        return scale.reshape(()), zero[0]
    shape = [1] * spec.rank
    axis = q.axis if q.axis is not None and q.axis < spec.rank else 0
    shape[axis] = scale.numel()
    return scale.reshape(shape), zero.expand(scale.numel()).reshape(shape)


def _spread(value: Tensor, shape: tuple[int, ...], axis: Any) -> Tensor:
    """A scale for each position along an axis, for blocks of them, or one for all, so that it broadcasts."""
    if value.numel() == 1:
        return value.reshape(())
    if value.dim() == len(shape):
        if tuple(value.shape) == shape or all(n in (1, m) for n, m in zip(value.shape, shape, strict=True)):
            return value
        for i, (n, m) in enumerate(zip(value.shape, shape, strict=True)):
            if n != m and n != 1:
                value = value.repeat_interleave(-(-m // n), i).narrow(i, 0, m)
        return value
    at = int(axis) if isinstance(axis, int) else next(i for i, n in enumerate(shape) if n == value.numel())
    wide = [1] * len(shape)
    wide[at] = value.numel()
    return value.reshape(wide)


def _given(layer: Layer, of: TensorSpec) -> dict[str, Tensor]:
    """Scale and zero point from the tensor itself, where no operands hold them."""
    scale, zero = grid(of)
    return ({} if "scale" in layer.inputs else {"scale": scale}) | (
        {} if "zero_point" in layer.inputs or of.quant is None else {"zero_point": zero}
    )


@rule("quantize")
def quantize(layer: Layer, context: Context) -> Kernel:
    x, axis, low_high, kind = shape_of(layer.x), layer.attrs.get("axis"), limits(layer.y.dtype), _stored(layer.y)

    def run(x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
        steps = torch.round(x.float() / _spread(scale.float(), shape, axis))
        if zero_point is not None:
            steps = steps + _spread(zero_point.float(), shape, axis)
        return steps.clamp(*low_high).to(kind)

    shape = x
    return Kernel(run, fixed=_given(layer, layer.y))


def _stored(spec: TensorSpec) -> torch.dtype:
    return DTYPES.get(spec.dtype) or WIDENED[spec.dtype]


@rule("dequantize")
def dequantize(layer: Layer, context: Context) -> Kernel:
    shape, axis, kind = shape_of(layer.x), layer.attrs.get("axis"), context.type_of(layer.y)

    def run(x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
        steps = x.float()
        if zero_point is not None:
            steps = steps - _spread(zero_point.float(), shape, axis)
        return (steps * _spread(scale.float(), shape, axis)).to(kind)

    return Kernel(run, fixed=_given(layer, layer.x))


@rule("requantize")
def requantize(layer: Layer, context: Context) -> Kernel:
    (a, b), (c, d) = grid(layer.x), grid(layer.y)
    low_high, kind = limits(layer.y.dtype), _stored(layer.y)

    def run(x: Tensor, before: Tensor, zero: Tensor, after: Tensor, shift: Tensor, **_: Tensor) -> Tensor:
        real = (x.float() - zero) * before
        return (torch.round(real / after) + shift).clamp(*low_high).to(kind)

    return Kernel(run, fixed={"before": a, "zero": b, "after": c, "shift": d})


@rule("dynamic_quantize")
def dynamic_quantize(layer: Layer, context: Context) -> Kernel:
    low, high = limits(layer.y.dtype)
    kind, shapes = _stored(layer.y), {role: shape_of(spec) for role, spec in layer.outputs.items()}
    kinds = {role: context.type_of(spec) for role, spec in layer.outputs.items()}

    def run(x: Tensor) -> Tensor | tuple[Tensor, ...]:
        least, most = torch.aminmax(x.float())
        scale = ((most.clamp_min(0) - least.clamp_max(0)) / (high - low)).clamp_min(1e-12)
        zero = torch.round(low - least.clamp_max(0) / scale).clamp(low, high)
        made = {
            "y": (torch.round(x.float() / scale) + zero).clamp(low, high).to(kind), "scale": scale, "zero_point": zero,
        }  # fmt: skip
        found = tuple(made[role].expand(shape).to(kinds[role]) for role, shape in shapes.items())
        return found if len(found) > 1 else found[0]

    return Kernel(run)


@rule("fake_quantize")
def fake_quantize(layer: Layer, context: Context) -> Kernel:
    shape, axis = shape_of(layer.x), layer.attrs.get("axis")
    low, high = (
        limits(str(layer.attrs.get("dtype") or "int8")) if "float" not in str(layer.attrs.get("dtype")) else (-128, 127)
    )
    kind = context.type_of(layer.y)

    def run(x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
        step = _spread(scale.float(), shape, axis)
        zero = _spread(zero_point.float(), shape, axis) if zero_point is not None else torch.zeros_like(step)
        return (((torch.round(x.float() / step) + zero).clamp(low, high) - zero) * step).to(kind)

    return Kernel(run, fixed=_given(layer, layer.y))
