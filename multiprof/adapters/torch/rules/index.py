"""Elements read and written by index tensors along an axis: gather, scatter and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multiprof.adapters.torch.foreign import plain
from multiprof.adapters.torch.rules._common import Tensor, broadcast
from multiprof.adapters.torch.rules._moves import Base, axis_of, like, picked
from multiprof.adapters.torch.rules._strides import is_canonical
from multiprof.adapters.torch.rules.getitem import Parsed
from multiprof.adapters.torch.rules.shape import expanded
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer

# -- reading -----------------------------------------------------------------------------------------------------------


def _axis(x: Tensor, dim: int) -> int:
    return axis_of(dim, x.dim()) if x.dim() else 0


def _fits(x: Tensor, index: Tensor, axis: int) -> bool:
    """Whether torch takes ``index`` for a gather or scatter along ``axis``: no larger than ``x`` elsewhere."""
    return (
        index.dtype is torch.int64
        and index.dim() == x.dim()
        and all(n <= m or i == axis for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)))
    )


@rule("torch.gather", "Tensor.gather", aten="gather")
def gather(t: Tracer, input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Any:
    axis = _axis(input, dim)
    if t.forced is None and (not _fits(input, index, axis) or input.dim() == 0 or index.numel() == 0):
        return NotImplemented
    y = t.new(index.shape, input.dtype)
    t.emit("gather", {"x": input, "indices": index}, {"y": y}, {"axis": axis})
    return y


@rule("torch.take_along_dim", "Tensor.take_along_dim")
def take_along_dim(t: Tracer, input: Tensor, indices: Tensor, dim: int | None = None) -> Any:
    if dim is None or input.dim() != indices.dim() or indices.dtype is not torch.int64 or 0 in indices.shape:
        return NotImplemented
    axis = axis_of(dim, input.dim())
    sizes = list(input.shape)
    sizes[axis] = 1
    wide = list(indices.shape)
    wide[axis] = 1
    common = list(broadcast(sizes, wide))
    common[axis] = input.shape[axis]
    x = input if list(input.shape) == common else expanded(t, input, common)
    common[axis] = indices.shape[axis]
    index = indices if list(indices.shape) == common else expanded(t, indices, common)
    y = t.new(common, input.dtype)
    t.emit("gather", {"x": x, "indices": index}, {"y": y}, {"axis": axis})
    return y


@rule("torch.index_select", "Tensor.index_select", aten="index_select")
def index_select(t: Tracer, input: Tensor, dim: int, index: Tensor) -> Any:
    axis = _axis(input, dim)
    shape = list(input.shape)
    if t.forced is None:
        if input.dim() == 0 or index.dim() > 1 or index.dtype not in (torch.int32, torch.int64):
            return NotImplemented
        shape[axis] = index.numel()
    y = picked(t, input, shape)
    t.emit("gather", {"x": input, "indices": index}, {"y": y}, {"axis": axis})
    return y


@rule("torch.take", "Tensor.take", aten="take")
def take(t: Tracer, input: Tensor, index: Tensor) -> Any:
    if t.forced is None and (index.dtype is not torch.int64 or not is_canonical(index) or not input.numel()):
        return NotImplemented
    y = t.new(index.shape, input.dtype)
    t.emit("gather", {"x": input, "indices": index}, {"y": y})
    return y


@rule("torch.masked_select", "Tensor.masked_select", aten="masked_select")
def masked_select(t: Tracer, input: Tensor, mask: Tensor) -> Any:
    if t.forced is None:
        if mask.dtype is not torch.bool:
            return NotImplemented
        shape = broadcast(input.shape, mask.shape)
        y = t.new((int(t.value(mask).expand(shape).count_nonzero()),), input.dtype)
    else:
        y = t.forced.pop(0)
    t.emit("index", {"x": input, "x0": mask}, {"y": y}, {"axes": (0,)})
    return y


def _given(indices: Any) -> tuple[list[Tensor], list[int]]:
    """The tensors among ``indices`` and the axes they stand for."""
    tensors, axes = [], []
    axis = 0
    for index in indices:
        if index is not None:
            tensors.append(index)
            axes.append(axis)
        axis += index.dim() if index is not None and index.dtype is torch.bool else 1
    return tensors, axes


@rule(aten=("index", "_unsafe_index"))
def index(t: Tracer, input: Tensor, indices: Any) -> Any:
    tensors, axes = _given(indices)
    y = t.new(input.shape, input.dtype)
    inputs = {"x": input} | {f"x{i}": x for i, x in enumerate(tensors)}
    t.emit("index", inputs, {"y": y}, {"axes": tuple(axes)})
    return y


@rule("nn.one_hot")
def one_hot(t: Tracer, input: Tensor, num_classes: int = -1) -> Any:
    """The classes in a row, compared with every element: torch computes it so."""
    if input.dtype is not torch.int64 or input.numel() == 0:
        return NotImplemented
    classes = int(t.value(input).max()) + 1 if num_classes == -1 else num_classes
    if classes < 1:
        return NotImplemented
    shape = (*input.shape, classes)
    row = torch.empty((classes,), dtype=torch.int64, device=META)
    t.emit("arange", {}, {"y": row})
    column = t.view("reshape", input, Base.unsqueeze(input, -1), {"shape": (*input.shape, 1)})
    found = torch.empty(shape, dtype=torch.bool, device=META)
    t.emit("equal", {"x0": row, "x1": column}, {"y": found})
    y = t.new(shape, torch.int64)
    t.emit("cast", {"x": found}, {"y": y}, {"dtype": "int64"})
    return y


# -- writing -----------------------------------------------------------------------------------------------------------


def _written(
    t: Tracer, in_place: bool, op: str, x: Tensor, inputs: dict[str, Tensor | None], attrs: dict[str, Any]
) -> Tensor:
    """Emit a write by index, into ``x`` or into a copy of it; one that combines values is an op of its own."""
    if "reduce" in attrs:
        op = "scatter_reduce" if op == "scatter" else "index_reduce"
    if in_place:
        return t.write(op, x, {"x": x, **inputs}, attrs)
    y = like(t, x)
    t.emit(op, {"x": x, **inputs}, {"y": y}, attrs)
    return y


def _source_fits(x: Tensor, index: Tensor, source: Tensor) -> bool:
    return (
        source.dtype is x.dtype
        and source.dim() == index.dim()
        and all(n <= m for n, m in zip(index.shape, source.shape, strict=True))
    )


Written = Callable[..., Any]


def _both(name: str) -> Callable[[Written], Written]:
    """Register a rule ``(tracer, in_place, x, …)`` for the function and its in-place form."""

    def register(function: Written) -> Written:
        @rule(f"torch.{name}", f"Tensor.{name}", aten=name)
        def copying(t: Tracer, input: Tensor, *args: Any, **kwargs: Any) -> Any:
            if t.forced is None and not is_canonical(input):
                return NotImplemented
            return function(t, False, input, *args, **kwargs)

        @rule(f"Tensor.{name}_", aten=f"{name}_")
        def in_place(t: Tracer, input: Tensor, *args: Any, **kwargs: Any) -> Any:
            return function(t, True, input, *args, **kwargs)

        return function

    return register


_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "sum": "sum",
    "prod": "prod",
    "mean": "mean",
    "amax": "amax",
    "amin": "amin",
}


def _scatter(
    t: Tracer, in_place: bool, x: Tensor, dim: int, index: Tensor, source: Any, reduce: str | None = None
) -> Any:
    axis = _axis(x, dim)
    if t.forced is None and (not _fits(x, index, axis) or x.dim() == 0 or index.numel() == 0):
        return NotImplemented
    attrs: dict[str, Any] = {"axis": axis}
    inputs: dict[str, Tensor | None] = {"indices": index}
    if isinstance(source, Tensor):
        if t.forced is None and not _source_fits(x, index, source):
            return NotImplemented
        inputs["src"] = source
    else:
        attrs["value"] = plain(source)
    if reduce is not None:
        attrs["reduce"] = _REDUCTIONS[reduce]
    return _written(t, in_place, "scatter", x, inputs, attrs)


@_both("scatter")
def scatter(
    t: Tracer,
    in_place: bool,
    x: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: Any = None,
) -> Any:
    return _scatter(t, in_place, x, dim, index, value if src is None else src, reduce)


@_both("scatter_add")
def scatter_add(t: Tracer, in_place: bool, x: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    return _scatter(t, in_place, x, dim, index, src, "sum")


@_both("scatter_reduce")
def scatter_reduce(
    t: Tracer,
    in_place: bool,
    x: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Any:
    return _scatter(t, in_place, x, dim, index, src, reduce)


def _along(t: Tracer, x: Tensor, dim: int, index: Tensor, source: Any) -> int | None:
    """The axis of a write along which a vector of positions runs; ``None`` where torch has to judge."""
    if t.forced is not None:
        return _axis(x, dim)
    if x.dim() == 0 or index.dim() != 1 or index.dtype is not torch.int64:
        return None
    axis = axis_of(dim, x.dim())
    if isinstance(source, Tensor):
        wanted = list(x.shape)
        wanted[axis] = index.numel()
        if source.dtype is not x.dtype or list(source.shape) != wanted:
            return None
    return axis


@_both("index_copy")
def index_copy(t: Tracer, in_place: bool, x: Tensor, dim: int, index: Tensor, source: Tensor) -> Any:
    axis = _along(t, x, dim, index, source)
    if axis is None:
        return NotImplemented
    return _written(t, in_place, "index_put", x, {"x0": index, "src": source}, {"axes": (axis,)})


@_both("index_add")
def index_add(t: Tracer, in_place: bool, x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Any:
    axis = _along(t, x, dim, index, source)
    if axis is None or alpha != 1:  # times a constant: a multiplication, which torch makes a kernel of its own of
        return NotImplemented
    return _written(t, in_place, "index_put", x, {"x0": index, "src": source}, {"axes": (axis,), "reduce": "sum"})


@_both("index_fill")
def index_fill(t: Tracer, in_place: bool, x: Tensor, dim: int, index: Tensor, value: Any) -> Any:
    axis = _along(t, x, dim, index, None)
    if axis is None or (t.forced is None and isinstance(value, Tensor) and (value.dim() or value.dtype is not x.dtype)):
        return NotImplemented
    inputs: dict[str, Tensor | None] = {"x0": index}
    attrs: dict[str, Any] = {"axes": (axis,)}
    if isinstance(value, Tensor):
        inputs["src"] = value
    elif isinstance(value, complex) and not x.is_complex():
        return NotImplemented
    else:
        attrs["value"] = plain(value)
    return _written(t, in_place, "index_put", x, inputs, attrs)


@_both("index_put")
def index_put(t: Tracer, in_place: bool, x: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Any:
    tensors, axes = _given(indices)
    if not tensors:
        return NotImplemented
    if t.forced is None:
        if any(i.dtype is not torch.int64 for i in tensors) or values.dtype is not x.dtype or len(axes) > x.dim():
            return NotImplemented
        parsed = Parsed(x, tensors, axes)
        from_shape = _gathered_sizes(parsed)
        if broadcast(values.shape, from_shape) != from_shape:
            return NotImplemented
    attrs: dict[str, Any] = {"axes": tuple(axes)}
    if accumulate:
        attrs["reduce"] = "sum"
    inputs: dict[str, Tensor | None] = {f"x{i}": index for i, index in enumerate(tensors)}
    return _written(t, in_place, "index_put", x, {**inputs, "src": values}, attrs)


def _gathered_sizes(parsed: Parsed) -> tuple[int, ...]:
    common = broadcast(*[x.shape for x in parsed.tensors])
    rest = [n for axis, n in enumerate(parsed.view.shape) if axis not in parsed.axes]
    first = parsed.axes[0] if parsed.axes[-1] - parsed.axes[0] == len(parsed.axes) - 1 else 0
    return (*rest[:first], *common, *rest[first:])


@rule(aten=("_index_put_impl_", "_unsafe_index_put"))
def _index_put(t: Tracer, input: Tensor, indices: Any, values: Tensor, accumulate: bool = False, *flags: Any) -> Any:
    fresh = bool(t.forced) and t.forced is not None and t.forced[0] is not input
    return index_put(t, not fresh, input, indices, values, accumulate)


@_both("masked_scatter")
def masked_scatter(t: Tracer, in_place: bool, x: Tensor, mask: Tensor, source: Tensor) -> Any:
    if mask.dtype is not torch.bool or source.dtype is not x.dtype or broadcast(mask.shape, x.shape) != tuple(x.shape):
        return NotImplemented
    return _written(t, in_place, "index_put", x, {"x0": mask, "src": source}, {"axes": (0,)})


# -- out of place: a copy with one part replaced -----------------------------------------------------------------------


def _replaced(name: str) -> None:
    @rule(aten=name)
    def replace(t: Tracer, input: Tensor, src: Tensor, *args: Any, **kwargs: Any) -> Any:
        y = t.new(input.shape, input.dtype)
        where = ", ".join([*map(str, args), *(f"{k}={v}" for k, v in kwargs.items())])
        t.emit("index_put", {"x": input, "src": src}, {"y": y}, {"index": f"{name.removesuffix('_scatter')}({where})"})
        return y


for _name in ("slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter"):
    _replaced(_name)
