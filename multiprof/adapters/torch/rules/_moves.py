"""What the rules that move, cut and make tensors share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._strides import contiguous_strides, elementwise_strides, is_canonical, is_dense
from multiprof.adapters.torch.tracer import Tracer

Tensor = torch.Tensor
Base = torch._C.TensorBase


def made(t: Tracer, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """The view that one of torch's own functions returns; inside an aten rule, the one it has returned already."""
    return t.forced.pop(0) if t.forced is not None else function(*args, **kwargs)


def number(t: Tracer, value: Any) -> int:
    """An integer argument that may be given as a tensor, of which then the value is needed."""
    if type(value) is int:
        return value
    if isinstance(value, Tensor):
        return int(t.value(value))
    return int(value.__index__())


def sizes(t: Tracer, args: Sequence[Any]) -> tuple[int, ...]:
    """A shape given as one sequence or as several numbers."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return tuple([n if type(n) is int else number(t, n) for n in args])


def like_strides(x: Tensor, memory_format: torch.memory_format | None = torch.preserve_format) -> tuple[int, ...]:
    """Strides of a copy of ``x``: those of ``x`` where it is dense, else dense in the same order of dimensions."""
    if memory_format is None or memory_format is torch.preserve_format:
        return x.stride() if x.is_contiguous() or is_dense(x) else elementwise_strides([x], x.shape)
    return format_strides(x.shape, memory_format)


def format_strides(shape: Sequence[int], memory_format: torch.memory_format | None) -> tuple[int, ...]:
    """Strides of a new tensor in a memory format; raises `ValueError` for a format the rank does not have."""
    if memory_format is None or memory_format is torch.contiguous_format:
        return contiguous_strides(shape)
    rank = {torch.channels_last: 4, torch.channels_last_3d: 5}.get(memory_format)
    if rank != len(shape):
        raise ValueError(f"{memory_format} of rank {len(shape)}")
    strides = [0] * rank
    step = 1
    for axis in (1, *range(rank - 1, 1, -1), 0):
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def is_ordinary(x: Tensor) -> bool:
    """Whether all of torch's kernels agree on the strides of a result like ``x``: dense, no odd strides of sizes 1."""
    return is_canonical(x) or (is_dense(x) and 1 not in x.shape and 0 not in x.shape)


def like(t: Tracer, x: Tensor) -> Tensor:
    """A new tensor with the shape and strides of ``x``; raises `ValueError` where kernels may differ."""
    if t.forced is not None:
        return t.forced.pop(0)
    if not is_ordinary(x):
        raise ValueError(f"strides {x.stride()}")
    return t.new_strided(x.shape, x.stride(), x.dtype)


_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def suggested_format(x: Tensor) -> torch.memory_format:
    """c10's suggest_memory_format: channels last where the strides of an image or a volume look like it."""
    rank = x.dim()
    if rank not in _LAST:
        return torch.contiguous_format
    shape, strides = x.shape, x.stride()
    if strides[1] == 0 or strides[1] > strides[-1]:
        return torch.contiguous_format
    least = 0
    for axis in (1, *range(rank - 1, 1, -1), 0):
        if shape[axis] == 0 or strides[axis] < least or (axis == 0 and least == strides[1]):
            return torch.contiguous_format
        least = strides[axis] * max(shape[axis], 1)
    return _LAST[rank]


def picked(t: Tracer, x: Tensor, shape: Sequence[int]) -> Tensor:
    """The result of picking positions along one axis of ``x``; raises `ValueError` where kernels differ."""
    if t.forced is not None or is_canonical(x):
        return t.new(shape, x.dtype)
    if 1 in shape or 1 in x.shape:
        raise ValueError(f"strides {x.stride()}")
    return t.new_strided(shape, format_strides(shape, suggested_format(x)), x.dtype)


def axis_of(axis: Any, rank: int) -> int:
    """A non-negative axis; raises `IndexError` where it is out of range."""
    number = int(axis.__index__())
    if not -rank <= number < rank:
        raise IndexError(axis)
    return number % rank


def cut(x: Tensor, axis: int, what: str) -> dict[str, Any]:
    """The attribute of a slice along one axis."""
    return {"index": ":, " * (axis % x.dim()) + what}
