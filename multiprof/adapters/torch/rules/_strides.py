"""Output strides of elementwise kernels on tensors that are not plainly contiguous."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

Tensor = torch.Tensor
Ints = tuple[int, ...]


def contiguous_strides(shape: Sequence[int]) -> Ints:
    """Strides of a new tensor; a dimension of size 0 counts as one of size 1."""
    strides = [0] * len(shape)
    step = 1
    for i in range(len(shape) - 1, -1, -1):
        strides[i] = step
        step *= shape[i] or 1
    return tuple(strides)


def is_canonical(x: Tensor) -> bool:
    """Whether the strides are those of a new tensor, also where a size of 1 would allow any other."""
    if not x.is_contiguous():
        return False
    shape = x.shape
    return (1 not in shape and 0 not in shape) or x.stride() == contiguous_strides(shape)


def is_regular(x: Tensor) -> bool:
    """Whether every chain of torch's kernels that computes new values gives a contiguous result with new strides.

    So it is for the strides of a new tensor; larger ones along leading dimensions of size 1 change nothing, as
    ``x[:, 0]`` of a single sample has them.
    """
    if not x.is_contiguous():
        return False
    shape = x.shape
    if 1 not in shape and 0 not in shape:
        return True
    strides, expected = x.stride(), contiguous_strides(shape)
    for i, size in enumerate(shape):
        if size != 1:
            return strides[i:] == expected[i:]
        if strides[i] < expected[i] or (i and strides[i] > strides[i - 1]):
            return False
    return True


def is_dense(x: Tensor) -> bool:
    """Non-overlapping and dense: some permutation of the dimensions is contiguous."""
    expected = 1
    for stride, size in sorted((s, d) for s, d in zip(x.stride(), x.shape, strict=True) if d != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def _expanded(x: Tensor, shape: Sequence[int]) -> list[int]:
    """Strides of ``x`` expanded to ``shape``: 0 where it is broadcast."""
    sizes, strides = x.shape, x.stride()
    missing = len(shape) - len(sizes)
    row = [0 if sizes[i] == 1 and shape[i + missing] != 1 else strides[i] for i in range(len(sizes))]
    for i in range(missing - 1, -1, -1):
        row.insert(0, shape[i + 1] * row[0] if shape[i] == 1 and row else int(shape[i] == 1))
    return row


def _is_channels_last(shape: Sequence[int], row: Sequence[int]) -> bool:
    expected = 1
    for i in (1, 3, 2, 0):
        if shape[i] != 1:
            if row[i] != expected:
                return False
            expected *= shape[i]
    return True


def _not_less(a: int, b: int) -> bool:
    return b == 0 or (a != 0 and (a >= b or a % b == 0))


def _sorted_dimensions(rows: Sequence[Sequence[int]], shape: Sequence[int]) -> list[int]:
    """Dimensions by stride, slowest first: an insertion sort in which equal and zero strides leave the order open."""

    def order(a: int, b: int) -> int:
        for row in rows:
            sa, sb = row[a], row[b]
            if sa == 0 or sb == 0:
                continue
            if sa == sb:
                if _not_less(shape[b], shape[a]):
                    continue
                return 1
            return -1 if _not_less(sb, sa) else 1
        return 0

    perm = list(range(len(shape) - 1, -1, -1))
    for i in range(1, len(shape)):
        at = i
        for j in range(i - 1, -1, -1):
            comparison = order(perm[j], perm[at])
            if comparison > 0:
                perm[j], perm[at] = perm[at], perm[j]
                at = j
            elif comparison < 0:
                break
    perm.reverse()
    return perm


def _dense(shape: Sequence[int], perm: Sequence[int]) -> Ints:
    strides = [0] * len(shape)
    step = 1
    for i in reversed(perm):
        strides[i] = step
        step *= shape[i] or 1
    return tuple(strides)


def elementwise_strides(operands: Sequence[Tensor], shape: Sequence[int]) -> Ints:
    """Strides of the result of one elementwise kernel on ``operands``, broadcast to ``shape``.

    As torch._prims_common.compute_elementwise_output_logical_to_physical_perm has it: contiguous and channels-last
    operands give the same; else the dimensions are sorted by the operands' strides, the first operand that can tell
    deciding, and the result is dense in that order.
    """
    if len(shape) < 2:
        return (1,) * len(shape)
    elements = prod(shape)
    contiguous = elements < 2 or all(x.is_contiguous() and x.numel() == elements for x in operands)
    return _kernel_strides([_expanded(x, shape) for x in operands], shape, contiguous)


def _kernel_strides(rows: Sequence[Sequence[int]], shape: Sequence[int], contiguous: bool) -> Ints:
    channels_last = len(shape) == 4 and all(_is_channels_last(shape, row) for row in rows)
    if contiguous and not channels_last:
        return contiguous_strides(shape)
    if channels_last and not contiguous:
        return _dense(shape, (0, 2, 3, 1))
    return _dense(shape, _sorted_dimensions(rows, shape))


def settled_strides(operands: Sequence[Tensor], shape: Sequence[int]) -> Ints | None:
    """Strides that every chain of elementwise kernels on ``operands`` gives; ``None`` where kernels may differ.

    torch writes many functions as several kernels one after the other, and keeps the strides of a dense operand in
    others. All agree where every operand alone leads to the same strides, and these lead to themselves, with and
    without the short cut for contiguous tensors.
    """
    if len(shape) == 0:
        return ()
    if 0 in shape or any(x.shape != shape for x in operands):
        return None
    strides = elementwise_strides(operands, shape)
    if _dense(shape, _sorted_dimensions([strides], shape)) != strides:
        return None
    if strides != contiguous_strides(shape) and (
        _is_contiguous(shape, strides) or _kernel_strides([strides], shape, False) != strides
    ):
        return None
    for x in operands:
        row = x.stride()
        if row != strides and (0 in row or is_dense(x) or _dense(shape, _sorted_dimensions([row], shape)) != strides):
            return None
    return strides


def _is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for i in range(len(shape) - 1, -1, -1):
        if shape[i] != 1:
            if strides[i] != expected:
                return False
            expected *= shape[i]
    return True
