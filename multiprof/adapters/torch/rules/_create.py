"""Tensors out of nothing: small ones are real, so that a model can decide by their values, large ones mere shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._moves import format_strides, is_ordinary, like_strides
from multiprof.adapters.torch.tracer import META, Tracer

Tensor = torch.Tensor

# Elements up to which a tensor made by the model keeps its values: integers are positions, lengths, masks and sizes;
# real numbers are seldom looked at, and every operation on values is done twice.
SMALL_INTEGERS = 65_536
SMALL_FLOATS = 1_024


def is_small(elements: int, dtype: torch.dtype) -> bool:
    return elements <= (SMALL_FLOATS if dtype.is_floating_point or dtype.is_complex else SMALL_INTEGERS)


def keeps_values(t: Tracer, elements: int, dtype: torch.dtype, device: Any) -> bool:
    """Whether a new tensor is to be made for real; where the call is done for real as well, its shape is enough."""
    if t.forced is not None or t.twice or not is_small(elements, dtype):
        return False
    return not _is_meta(device)


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


def new_strides(t: Tracer, x: Tensor, memory_format: Any) -> tuple[int, ...]:
    """Strides of a ``…_like`` tensor; raises `ValueError` where torch's kernels may differ."""
    if t.forced is None and memory_format in (None, torch.preserve_format) and not is_ordinary(x):
        raise ValueError(f"strides {x.stride()}")
    return like_strides(x, memory_format)


def create(
    t: Tracer,
    op: str,
    shape: Sequence[int],
    dtype: torch.dtype,
    attrs: dict[str, Any],
    build: Callable[[], Tensor],
    *,
    stride: Sequence[int] | None = None,
    inputs: dict[str, Tensor] | None = None,
    device: Any = None,
    layout: Any = None,
    memory_format: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **nothing: Any,
) -> Any:
    """Emit a new tensor; ``build`` makes the real one. The keywords are those of torch's factories."""
    if layout not in (None, torch.strided) or any(value is not None for value in nothing.values()):
        return NotImplemented
    if stride is None and memory_format is not None:
        stride = format_strides(shape, memory_format)
    if min(shape, default=0) < 0:
        return NotImplemented
    y = t.new(shape, dtype) if stride is None else t.new_strided(shape, stride, dtype)
    t.emit(op, inputs or {}, {"y": y}, attrs)
    if keeps_values(t, y.numel(), dtype, device):
        real = build()
        if real.stride() != y.stride():
            real = torch.empty_strided(y.shape, y.stride(), dtype=dtype).copy_(real)
        y = t.carry(real, y)
    return y.requires_grad_() if requires_grad else y


def literal(t: Tracer, real: Tensor, device: Any = None) -> Tensor:
    """Emit a tensor that the program spells out, given as a real one."""
    y = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device=META)
    if t.escaped and real.dim() > 0:
        t.untraced(y)
    else:
        t.emit("constant", {}, {"y": y})
    if t.forced is not None or not is_small(real.numel(), real.dtype) or _is_meta(device):
        return y
    t.carry(real, y)
    return y if t.twice else real
