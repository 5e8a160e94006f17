"""The arithmetic of shapes: broadcasting, windows, products. A dimension may be ``None`` where nobody knows it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from multiprof.errors import ModelError
from multiprof.ir import Shape


def broadcast(*shapes: Shape, where: str = "operands") -> Shape:
    """The common shape of operands under numpy's rules; raises `ModelError` when there is none."""
    rank = max((len(s) for s in shapes), default=0)
    result: list[int | None] = []
    for place in range(rank, 0, -1):
        dims = [s[-place] for s in shapes if len(s) >= place]
        sizes = {d for d in dims if d != 1}
        known = sizes - {None}
        if len(known) > 1:
            raise ModelError(f"{where}: the shapes {', '.join(map(str, shapes))} do not broadcast")
        result.append(known.pop() if known else None if None in sizes else 1)
    return tuple(result)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1, *, lower: bool = False) -> tuple[int, int]:
    """(before, after) so that the output has ⌈size/stride⌉ elements; ``lower`` puts the odd one before."""
    reach = (kernel - 1) * dilation + 1
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    small = total // 2
    return (total - small, small) if lower else (small, total - small)


def window_output(
    size: int | None,
    kernel: int,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    dilation: int = 1,
    *,
    ceil_mode: bool = False,
    where: str = "window",
) -> int | None:
    """⌊(size + padding − dilation·(kernel − 1) − 1)/stride⌋ + 1, or ⌈…⌉; `ModelError` when no window fits.

    In ceil mode a last window that would start in the padding behind the input is left out, as PyTorch and ONNX do.
    """
    if kernel < 1 or stride < 1 or dilation < 1:
        raise ModelError(f"{where}: kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1")
    if size is None:
        return None
    room = size + sum(padding) - dilation * (kernel - 1) - 1
    if room < 0:
        raise ModelError(f"{where}: a kernel of {kernel} (dilation {dilation}) does not fit {size} with {padding}")
    if not ceil_mode:
        return room // stride + 1
    outputs = -(-room // stride) + 1
    return outputs - 1 if (outputs - 1) * stride >= size + padding[0] else outputs


def transposed_output(
    size: int | None, kernel: int, stride: int, padding: tuple[int, int], dilation: int, output_padding: int
) -> int | None:
    """(size − 1)·stride − padding + dilation·(kernel − 1) + output_padding + 1."""
    if size is None:
        return None
    return (size - 1) * stride - sum(padding) + dilation * (kernel - 1) + output_padding + 1


def matmul_output(a: Shape, b: Shape, *, where: str = "matmul") -> tuple[Shape, int | None]:
    """Shape and contracted size of a product under numpy's rules (vectors are promoted and dropped again)."""
    if not a or not b:
        raise ModelError(f"{where}: a product takes no scalars, got {a} and {b}")
    left = (1, *a) if len(a) == 1 else a
    right = (*b, 1) if len(b) == 1 else b
    inner = left[-1] if left[-1] is not None else right[-2]
    if None not in (left[-1], right[-2]) and left[-1] != right[-2]:
        raise ModelError(f"{where}: {a} and {b} do not match: {left[-1]} against {right[-2]}")
    shape = [*broadcast(left[:-2], right[:-2], where=where)]
    if len(a) > 1:
        shape.append(left[-2])
    if len(b) > 1:
        shape.append(right[-1])
    return tuple(shape), inner


def normal_axis(axis: int, rank: int, *, where: str = "axis") -> int:
    """``axis`` counted from the front; raises `ModelError` when there is none of that number."""
    if not -rank <= axis < max(rank, 1):
        raise ModelError(f"{where}: axis {axis} of a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def reduced(shape: Shape, axes: Sequence[int], keepdim: bool) -> Shape:
    """The shape after a reduction over ``axes`` (non-negative)."""
    gone = set(axes)
    if keepdim:
        return tuple(1 if i in gone else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in gone)


def numel(shape: Shape) -> int | None:
    """Number of elements; ``None`` when a dimension is unknown."""
    return None if None in shape else prod(shape)  # type: ignore[arg-type]  # no None is left


__all__ = [
    "broadcast",
    "matmul_output",
    "normal_axis",
    "numel",
    "reduced",
    "same_padding",
    "transposed_output",
    "window_output",
]
