"""What the rules share: argument forms, the conditions for answering without torch, and output strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._strides import (
    elementwise_strides,
    is_canonical,
    is_dense,
    is_regular,
    settled_strides,
)
from multiprof.adapters.torch.tracer import META, Tracer

__all__ = [
    "Tensor",
    "Unsure",
    "ambiguous",
    "as_tuple",
    "between",
    "broadcast",
    "elementwise_strides",
    "is_canonical",
    "is_dense",
    "is_regular",
    "new_elementwise",
    "new_like",
    "new_solid",
    "normal_axes",
    "normal_axis",
    "plain",
    "same_dtype",
    "settled_strides",
]

Tensor = torch.Tensor

_HALVES = frozenset({torch.float16, torch.bfloat16})


def as_tuple(value: Any, n: int) -> tuple[int, ...]:
    """An argument that may be one number or one per dimension."""
    if isinstance(value, int):
        return (value,) * n
    values = tuple(value)
    return values * n if len(values) == 1 else values


def plain(t: Tracer, first: Tensor, *others: Tensor | None) -> bool:
    """Contiguous strided tensors of one dtype; always true inside an aten rule, where torch made the results."""
    if t.forced is not None:
        return True
    dtype = first.dtype
    if not first.is_contiguous() or first.layout is not torch.strided:
        return False
    return all(o is None or (o.dtype is dtype and o.is_contiguous()) for o in others)


def same_dtype(t: Tracer, first: Tensor, *others: Tensor | None) -> bool:
    """Strided tensors of one dtype, whatever their strides; for ops whose result is contiguous all the same."""
    if t.forced is not None:
        return True
    dtype = first.dtype
    strided = torch.strided
    return first.layout is strided and all(o is None or (o.dtype is dtype and o.layout is strided) for o in others)


class Unsure(Exception):
    """Raised inside a rule, before it emits anything: torch's own kernel shall answer."""


def between(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor between two layers of one rule, of which torch's kernel shows only the last."""
    return torch.empty(shape, dtype=dtype, device=META)


def ambiguous(shape: Sequence[int]) -> bool:
    """Whether a contiguous tensor of this shape is channels-last as well, as (2, 8, 1, 1) is: then it has a choice."""
    return len(shape) == 4 and (shape[1] < 2 or shape[2] * shape[3] < 2 or not shape[0])


def new_like(t: Tracer, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A result with the shape of ``x`` and the strides that one elementwise kernel of torch gives it."""
    if t.forced is not None:
        return t.forced.pop(0)
    shape = x.shape
    if x.is_contiguous() and (not ambiguous(shape) or is_regular(x)):
        return t.new(shape, dtype or x.dtype)
    return new_elementwise(t, (x,), shape, dtype or x.dtype, True)


def new_elementwise(
    t: Tracer, operands: Sequence[Tensor], shape: Sequence[int], dtype: torch.dtype, single: bool
) -> Tensor:
    """A result with the strides torch gives it; raises `Unsure` where they cannot be told.

    ``single`` says that torch computes it by one kernel, on operands that need no conversion to another dtype. Half
    precision is always converted: torch's meta kernels go by way of float32.
    """
    if t.forced is not None:
        return t.forced.pop(0)
    for x in operands:
        if not is_regular(x):
            break
    else:
        return t.new(shape, dtype)
    strides: tuple[int, ...] | None
    if single and not any(x.dtype in _HALVES for x in operands):
        strides = elementwise_strides(operands, shape)
    else:
        strides = settled_strides(operands, shape)
    if strides is None:
        raise Unsure
    return t.new_strided(shape, strides, dtype)


def new_solid(t: Tracer, x: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A contiguous result of a kernel that starts with ``x.contiguous()``; raises `Unsure` where that is x itself.

    For a tensor that is contiguous already it is, with whatever strides it has along dimensions of size 1.
    """
    if t.forced is not None:
        return t.forced.pop(0)
    if x.is_contiguous() and not is_regular(x):
        raise Unsure
    return t.new(shape, dtype)


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The broadcast shape; raises `ValueError` where sizes differ (torch's own error is raised by its kernel)."""
    rank = max(len(s) for s in shapes)
    result = [1] * rank
    for shape in shapes:
        offset = rank - len(shape)
        for i, size in enumerate(shape):
            if size != 1:
                if result[offset + i] not in (1, size):
                    raise ValueError(f"{tuple(shape)} does not broadcast to {tuple(result)}")
                result[offset + i] = size
    return tuple(result)


def normal_axis(axis: int, rank: int) -> int:
    """A non-negative axis; raises `IndexError` where it is out of range."""
    if not -rank <= axis < max(rank, 1):
        raise IndexError(axis)
    return axis % rank if rank else 0


def normal_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """``None`` or an empty list means all axes."""
    if axes is None or (not isinstance(axes, int) and len(axes) == 0):
        return tuple(range(rank))
    if isinstance(axes, int):
        return (normal_axis(axes, rank),)
    result = tuple(normal_axis(a, rank) for a in axes)
    if len(set(result)) != len(result):
        raise ValueError(f"axes {axes} repeat")
    return result
