"""Tensors put together, padded and repeated: new memory, no arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._moves import (
    Base,
    axis_of,
    format_strides,
    is_ordinary,
    number,
    sizes,
    suggested_format,
)
from multiprof.adapters.torch.rules._strides import is_canonical
from multiprof.adapters.torch.rules.copies import copy_into
from multiprof.adapters.torch.rules.shape import at_least
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _is_legacy_empty(x: Tensor) -> bool:
    """A one-dimensional tensor without elements joins with anything."""
    return x.shape == (0,)


def joined(t: Tracer, tensors: Sequence[Tensor], dim: int) -> Any:
    """Emit the concatenation of ``tensors`` along ``dim``."""
    tensors = list(tensors)
    parts = [x for x in tensors if not _is_legacy_empty(x)] or tensors
    first = parts[0]
    rank = first.dim()
    axis = 0 if _is_legacy_empty(first) else axis_of(dim, rank)
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        for x in tensors:
            if x.dtype is not first.dtype or x.layout is not torch.strided:
                return NotImplemented
        shape = list(first.shape)
        total = 0
        for x in parts:
            size = list(x.shape)
            total += size[axis]
            size[axis] = shape[axis]
            if size != shape:
                return NotImplemented
        shape[axis] = total
        formats = {suggested_format(x) for x in tensors}
        y = (
            t.new_strided(shape, format_strides(shape, formats.pop()), first.dtype)
            if len(formats) == 1
            else t.new(shape, first.dtype)
        )
    t.emit("concat", {f"x{i}": x for i, x in enumerate(parts)}, {"y": y}, {"axis": axis})
    return y


@rule("torch.cat", "torch.concat", "torch.concatenate", aten=("cat", "concat"))
def cat(t: Tracer, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Any:
    return joined(t, tensors, dim if axis is None else axis)


@rule("torch.stack", aten="stack")
def stack(t: Tracer, tensors: Any, dim: int = 0) -> Any:
    tensors = list(tensors)
    first = tensors[0]
    axis = axis_of(dim, first.dim() + 1)
    if t.forced is None and any(x.shape != first.shape or x.dtype is not first.dtype for x in tensors):
        return NotImplemented
    if t.forced is None and first.dim() in (3, 4) and not all(map(is_canonical, tensors)):
        return NotImplemented  # may look as if channels were last
    shape = tuple(first.shape)
    y = t.new((*shape[:axis], len(tensors), *shape[axis:]), first.dtype)
    t.emit("stack", {f"x{i}": x for i, x in enumerate(tensors)}, {"y": y}, {"axis": axis})
    return y


@rule("torch.hstack")
def hstack(t: Tracer, tensors: Any) -> Any:
    parts = [at_least(t, x, 1) for x in tensors]
    return joined(t, parts, 0 if parts[0].dim() == 1 else 1)


@rule("torch.vstack", "torch.row_stack")
def vstack(t: Tracer, tensors: Any) -> Any:
    return joined(t, [at_least(t, x, 2) for x in tensors], 0)


@rule("torch.dstack")
def dstack(t: Tracer, tensors: Any) -> Any:
    return joined(t, [at_least(t, x, 3) for x in tensors], 2)


@rule("torch.column_stack")
def column_stack(t: Tracer, tensors: Any) -> Any:
    parts = []
    for x in tensors:
        column = x if x.dim() > 1 else Base.reshape(x, (x.numel(), 1))
        parts.append(t.view("reshape", x, column, {"shape": tuple(column.shape)}))
    return joined(t, parts, 1)


@rule("torch.block_diag", aten="block_diag")
def block_diag(t: Tracer, *tensors: Any) -> Any:
    """Zeros, with every tensor written onto the diagonal."""
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    if any(x.dtype is not given[0].dtype or x.dim() > 2 for x in given):
        return NotImplemented
    blocks = [at_least(t, x, 2) for x in given]
    y = t.new([sum(x.shape[axis] for x in blocks) for axis in (0, 1)], given[0].dtype)
    t.emit("fill", {}, {"y": y}, {"value": 0})
    row = column = 0
    for x in blocks:
        height, width = x.shape
        place = (slice(row, row + height), slice(column, column + width))
        index = f"{row}:{row + height}, {column}:{column + width}"
        copy_into(t, t.view("slice", y, Base.__getitem__(y, place), {"index": index}), x)
        row, column = row + height, column + width
    return y


# -- pad ---------------------------------------------------------------------------------------------------------------


def padded(t: Tracer, x: Tensor, amounts: Sequence[int], mode: str, value: Any) -> Any:
    """Emit padding given in torch's order: the last dimension first, (before, after) each."""
    rank = x.dim()
    if len(amounts) % 2 or len(amounts) > 2 * rank:
        return NotImplemented
    pairs = [(0, 0)] * (rank - len(amounts) // 2)
    pairs += [(amounts[i], amounts[i + 1]) for i in range(len(amounts) - 2, -1, -2)]
    if t.forced is not None:
        y = t.forced.pop(0)
    else:
        shape = tuple([n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True)])
        if min(shape, default=1) < 1 or x.numel() == 0:
            return NotImplemented
        if mode == "constant" and max(amounts, default=0) <= 0:  # torch makes a clone
            if any(amounts) or not is_ordinary(x):
                return NotImplemented
            y = t.new_strided(shape, x.stride(), x.dtype)
        else:
            layout = suggested_format(x)
            if mode != "constant" and layout is not torch.contiguous_format:
                return NotImplemented
            y = t.new_strided(shape, format_strides(shape, layout), x.dtype)
    attrs: dict[str, Any] = {"padding": tuple(pairs), "mode": mode}
    if mode == "constant":
        attrs["value"] = 0 if value is None else value
    t.emit("pad", {"x": x}, {"y": y}, attrs)
    return y


@rule("F.pad")
def pad(t: Tracer, input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    pad = [number(t, n) for n in pad]
    if mode == "constant":
        return padded(t, input, pad, mode, value)
    spatial = len(pad) // 2
    if value not in (None, 0, 0.0) or input.dim() not in (spatial + 1, spatial + 2) or not 1 <= spatial <= 3:
        return NotImplemented
    sizes = input.shape[-1 : -spatial - 1 : -1]
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    for size, pair in zip(sizes, pairs, strict=True):
        # reflection shows no element twice, and neither wraps around more than once
        if min(pair) < 0 or max(pair) > {"reflect": size - 1, "circular": size, "replicate": max(pair)}[mode]:
            return NotImplemented
    return padded(t, input, pad, mode, None)


@rule("torch.constant_pad_nd", aten="constant_pad_nd")
def constant_pad_nd(t: Tracer, input: Tensor, pad: Any, value: Any = 0) -> Any:
    return padded(t, input, [number(t, n) for n in pad], "constant", value)


@rule(aten=("reflection_pad1d", "reflection_pad2d", "reflection_pad3d"))
def reflection_pad(t: Tracer, input: Tensor, padding: Any) -> Any:
    return padded(t, input, padding, "reflect", None)


@rule(aten=("replication_pad1d", "replication_pad2d", "replication_pad3d"))
def replication_pad(t: Tracer, input: Tensor, padding: Any) -> Any:
    return padded(t, input, padding, "replicate", None)


# -- repeat ------------------------------------------------------------------------------------------------------------


def repeated(t: Tracer, x: Tensor, repeats: tuple[int, ...]) -> Any:
    rank = x.dim()
    if len(repeats) < rank or min(repeats, default=0) < 0:
        return NotImplemented
    shape = (1,) * (len(repeats) - rank) + tuple(x.shape)
    y = t.new([n * r for n, r in zip(shape, repeats, strict=True)], x.dtype)
    t.emit("repeat", {"x": x}, {"y": y}, {"repeats": repeats})
    return y


@rule("Tensor.repeat", aten="repeat")
def repeat(t: Tracer, input: Tensor, *repeats: Any, **options: Any) -> Any:
    return repeated(t, input, sizes(t, repeats or (options["repeats"],)))


@rule("torch.tile", "Tensor.tile")
def tile(t: Tracer, input: Tensor, *dims: Any, **options: Any) -> Any:
    repeats = sizes(t, dims or (options["dims"],))
    return repeated(t, input, (1,) * (input.dim() - len(repeats)) + repeats)


@rule("torch.repeat_interleave", "Tensor.repeat_interleave")
def repeat_interleave(
    t: Tracer, input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: Any = None
) -> Any:
    if repeats is None:
        return NotImplemented  # of a tensor of counts: positions
    x = input
    if dim is None:
        if not x.is_contiguous():
            return NotImplemented
        x = t.view("reshape", x, Base.reshape(x, (-1,)), {"shape": (x.numel(),)}) if x.dim() != 1 else x
        dim = 0
    if x.dim() == 0:
        return NotImplemented
    axis = axis_of(dim, x.dim())
    shape = list(x.shape)
    inputs = {"x": x}
    attrs: dict[str, Any] = {"axis": axis}
    if isinstance(repeats, Tensor):
        if repeats.dim() > 1 or repeats.dtype not in (torch.int32, torch.int64):
            return NotImplemented
        if repeats.numel() not in (1, shape[axis]):
            return NotImplemented
        if output_size is None:
            counts = t.value(repeats)
            output_size = int(counts.sum()) * (shape[axis] if counts.numel() == 1 else 1)
        inputs["repeats"] = repeats
        shape[axis] = number(t, output_size)
        y = t.new(shape, x.dtype)
        t.emit("repeat", inputs, {"y": y}, attrs)
        return y
    count = number(t, repeats)
    if count < 0 or output_size not in (None, count * shape[axis]):
        return NotImplemented
    shape[axis] *= count
    y = t.new(shape, x.dtype)
    t.emit("repeat", inputs, {"y": y}, attrs | {"repeats": count})
    return y
