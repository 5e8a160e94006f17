"""Parts of tensors, as views: split, select, narrow, diagonal, windows."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._moves import Base, axis_of, cut, made, number
from multiprof.adapters.torch.rules._strides import is_canonical
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_torch = torch._C._VariableFunctions


def _pieces(t: Tracer, x: Tensor, axis: int, function: Any, *args: Any) -> Any:
    """Emit the views that ``function`` cuts ``x`` into along ``axis``."""
    if t.forced is not None:
        pieces: Any = tuple(t.forced)
        t.forced.clear()
    else:
        pieces = function(x, *args)
    axis = axis_of(axis, x.dim())
    whole = not pieces or pieces[0].dim() == x.dim()
    t.views("split", x, pieces, {"axis": axis, "sizes": tuple([y.shape[axis] if whole else 1 for y in pieces])})
    return pieces


@rule("torch.split", "Tensor.split", "torch.unsafe_split", "Tensor.unsafe_split", aten=("split", "unsafe_split"))
def split(
    t: Tracer, tensor: Tensor, split_size: Any = None, dim: int = 0, *, split_size_or_sections: Any = None
) -> Any:
    size = split_size_or_sections if split_size is None else split_size
    if isinstance(size, (list, tuple)):
        return _pieces(t, tensor, dim, Base.split_with_sizes, [number(t, n) for n in size], dim)
    return _pieces(t, tensor, dim, Base.split, size if t.forced is not None else number(t, size), dim)


@rule(
    "torch.split_with_sizes",
    "Tensor.split_with_sizes",
    "torch.unsafe_split_with_sizes",
    "Tensor.unsafe_split_with_sizes",
    aten=("split_with_sizes", "unsafe_split_with_sizes"),
)
def split_with_sizes(t: Tracer, tensor: Tensor, split_sizes: Any, dim: int = 0) -> Any:
    return _pieces(t, tensor, dim, Base.split_with_sizes, split_sizes, dim)


@rule("torch.chunk", "Tensor.chunk", "torch.unsafe_chunk", "Tensor.unsafe_chunk", aten=("chunk", "unsafe_chunk"))
def chunk(t: Tracer, input: Tensor, chunks: int, dim: int = 0) -> Any:
    return _pieces(t, input, dim, Base.chunk, chunks, dim)


@rule("torch.unbind", "Tensor.unbind", aten="unbind")
def unbind(t: Tracer, input: Tensor, dim: int = 0) -> Any:
    return _pieces(t, input, dim, Base.unbind, dim)


@rule("torch.tensor_split", "Tensor.tensor_split")
def tensor_split(
    t: Tracer,
    input: Tensor,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
) -> Any:
    where = next(a for a in (indices_or_sections, indices, sections) if a is not None)
    if isinstance(where, Tensor):
        where = t.value(where).tolist()
    return _pieces(t, input, dim, Base.tensor_split, where, dim)


@rule("torch.hsplit", "Tensor.hsplit")
def hsplit(t: Tracer, input: Tensor, indices_or_sections: Any) -> Any:
    return _pieces(t, input, 0 if input.dim() == 1 else 1, Base.hsplit, indices_or_sections)


@rule("torch.vsplit", "Tensor.vsplit")
def vsplit(t: Tracer, input: Tensor, indices_or_sections: Any) -> Any:
    return _pieces(t, input, 0, Base.vsplit, indices_or_sections)


@rule("torch.dsplit", "Tensor.dsplit")
def dsplit(t: Tracer, input: Tensor, indices_or_sections: Any) -> Any:
    return _pieces(t, input, 2, Base.dsplit, indices_or_sections)


# -- one part ----------------------------------------------------------------------------------------------------------


@rule("torch.select", "Tensor.select", aten="select")
def select(t: Tracer, input: Tensor, dim: int, index: Any) -> Any:
    index = number(t, index)
    y = made(t, Base.select, input, dim, index)
    return t.view("slice", input, y, cut(input, dim, str(index)))


@rule("torch.narrow", "Tensor.narrow", aten="narrow")
def narrow(t: Tracer, input: Tensor, dim: int, start: Any, length: Any) -> Any:
    start, length = number(t, start), number(t, length)
    y = made(t, Base.narrow, input, dim, start, length)
    return t.view("slice", input, y, cut(input, dim, f"{start}:{start + length}"))


@rule(aten="slice")
def slice_(t: Tracer, input: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    y = t.new(input.shape, input.dtype)
    first = "" if start is None else start
    last = "" if end is None or end >= input.shape[dim] else end
    part = f"{first}:{last}" if step == 1 else f"{first}:{last}:{step}"
    return t.view("slice", input, y, cut(input, dim, part))


@rule("torch.diagonal", "Tensor.diagonal", aten="diagonal")
def diagonal(t: Tracer, input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    y = made(t, Base.diagonal, input, offset, dim1, dim2)
    return t.view("slice", input, y, {"index": f"diagonal({offset}, {dim1}, {dim2})"})


@rule("linalg.diagonal")
def linalg_diagonal(t: Tracer, A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    return diagonal(t, A, offset, dim1, dim2)


def _copied_diagonal(t: Tracer, x: Tensor, offset: int, dim1: int, dim2: int) -> Tensor:
    shape = () if t.forced is not None else Base.diagonal(x, offset, dim1, dim2).shape
    y = t.new(shape, x.dtype)
    t.emit("slice", {"x": x}, {"y": y}, {"index": f"diagonal({offset}, {dim1}, {dim2})"})
    return y


@rule("torch.diag", "Tensor.diag")
def diag(t: Tracer, input: Tensor, diagonal: int = 0) -> Any:
    if input.dim() == 2:
        return _copied_diagonal(t, input, diagonal, 0, 1)
    return diag_embed(t, input, diagonal) if input.dim() == 1 else NotImplemented


@rule("torch.diagonal_copy", aten="diagonal_copy")
def diagonal_copy(t: Tracer, input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return _copied_diagonal(t, input, offset, dim1, dim2)


@rule("torch.narrow_copy", "Tensor.narrow_copy", aten="narrow_copy")
def narrow_copy(t: Tracer, input: Tensor, dim: int, start: Any, length: Any) -> Any:
    start, length = number(t, start), number(t, length)
    y = t.new(Base.narrow(input, dim, start, length).shape, input.dtype)
    t.emit("slice", {"x": input}, {"y": y}, cut(input, dim, f"{start}:{start + length}"))
    return y


@rule("torch.diag_embed", "Tensor.diag_embed", aten="diag_embed")
def diag_embed(t: Tracer, input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Zeros, with the input along a diagonal: a fill and a write."""
    rank = input.dim() + 1
    a, b = sorted((axis_of(dim1, rank), axis_of(dim2, rank)))
    if input.dim() == 0 or a == b or (t.forced is None and not is_canonical(input)):
        return NotImplemented
    shape = list(input.shape[:-1])
    size = input.shape[-1] + abs(offset)
    shape[a:a] = [size]
    shape[b:b] = [size]
    y = t.new(shape, input.dtype)
    t.emit("fill", {}, {"y": y}, {"value": 0})
    part = {"index": f"diagonal({offset}, {dim1}, {dim2})"}
    return t.write("index_put", y, {"x": y, "src": input}, part)


@rule("torch.as_strided", "Tensor.as_strided", aten="as_strided")
def as_strided(t: Tracer, input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    y = made(t, Base.as_strided, input, size, stride, storage_offset)
    index = f"as_strided({tuple(size)}, {tuple(stride)}, {y.storage_offset()})"
    return t.view("slice", input, y, {"index": index})


@rule("Tensor.unfold", aten="unfold")
def unfold(t: Tracer, input: Tensor, dimension: int, size: int, step: int) -> Any:
    y = made(t, Base.unfold, input, dimension, size, step)
    axis = axis_of(dimension, input.dim()) if input.dim() else 0
    return t.view("unfold", input, y, {"kernel_size": (size,), "stride": (step,), "axis": axis})


@rule("torch.real", "Tensor.real.__get__", aten="real")
def real(t: Tracer, input: Tensor) -> Any:
    if not input.is_complex():
        return input
    y = made(t, _torch.real, input)
    return t.view("slice", input, y, {"index": "real"})


@rule("torch.imag", "Tensor.imag.__get__", aten="imag")
def imag(t: Tracer, input: Tensor) -> Any:
    y = made(t, _torch.imag, input)
    return t.view("slice", input, y, {"index": "imag"})
