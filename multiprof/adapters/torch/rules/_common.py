"""What the rules share: argument forms, the conditions for answering without torch, and output strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.tracer import Tracer

Tensor = torch.Tensor


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
    return first.layout is torch.strided and all(o is None or o.dtype is dtype for o in others)


def is_dense(x: Tensor) -> bool:
    """Non-overlapping and dense: some permutation of the dimensions is contiguous."""
    expected = 1
    for stride, size in sorted((s, d) for s, d in zip(x.stride(), x.shape, strict=True) if d != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def new_like(t: Tracer, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A result with the shape of ``x`` and the strides torch's elementwise kernels give it."""
    if t.forced is not None:
        return t.forced.pop(0)
    if x.is_contiguous():
        return t.new(x.shape, dtype or x.dtype)
    return t.new_strided(x.shape, elementwise_strides([x], x.shape), dtype or x.dtype)


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


def elementwise_strides(operands: Sequence[Tensor], shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of an elementwise result: c10::TensorIterator's reorder_dimensions and allocation.

    Dimensions are sorted by the operands' strides, the first operand that can tell deciding; the result is dense in
    that order.
    """
    rank = len(shape)
    if rank == 0:
        return ()
    rows = []
    for x in operands:
        if x.dim() == 0 and len(operands) > 1:
            continue  # a wrapped number or zero-dimensional tensor has no say
        offset = rank - x.dim()
        strides, sizes = x.stride(), x.shape
        rows.append([
            0 if i < offset or (sizes[i - offset] == 1 and shape[i] != 1) else strides[i - offset] for i in range(rank)
        ])

    def ambiguous_or_greater(a: int, b: int) -> int:
        for row in rows:
            sa, sb = row[a], row[b]
            if sa == 0 or sb == 0:
                continue
            if sa < sb:
                return -1
            if sa > sb:
                return 1
            if shape[a] > shape[b]:
                return 1
        return 0

    # Insertion sort, fastest dimension first, as TensorIterator does it (ambiguous pairs keep their order).
    perm = list(range(rank - 1, -1, -1))
    for i in range(1, rank):
        dim1 = i
        for dim0 in range(i - 1, -1, -1):
            order = ambiguous_or_greater(perm[dim0], perm[dim1])
            if order > 0:
                perm[dim0], perm[dim1] = perm[dim1], perm[dim0]
                dim1 = dim0
            elif order < 0:
                break
    strides_out = [0] * rank
    step = 1
    for d in perm:
        strides_out[d] = step
        step *= max(shape[d], 1)
    return tuple(strides_out)


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
