"""Square brackets: parts by position are views, parts by index tensors are gathered or written."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, broadcast
from multiprof.adapters.torch.rules._create import literal
from multiprof.adapters.torch.rules._moves import Base
from multiprof.adapters.torch.rules._strides import elementwise_strides
from multiprof.adapters.torch.rules.copies import cast, copy_into
from multiprof.adapters.torch.rules.creation import fill_in
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer

_take = Base.__getitem__
_EVERYTHING = slice(None)
_INDICES = frozenset((torch.int64, torch.int32, torch.bool))


_NUMBERS = frozenset((int, type(None)))
_BASIC = frozenset((int, type(None), type(Ellipsis)))


def _is_basic(item: Any) -> bool:
    """An index by position in plain Python."""
    kind = type(item)
    if kind is slice:
        return type(item.stop) in _NUMBERS and type(item.start) in _NUMBERS and type(item.step) in _NUMBERS
    return kind in _BASIC


def _position(t: Tracer, item: Any) -> Any:
    """An index that chooses by position, as plain Python; ``NotImplemented`` for what torch reads in other ways."""
    if _is_basic(item):
        return item
    if type(item) is slice:
        bounds = (item.start, item.stop, item.step)
        return slice(*[int(t.value(n)) if isinstance(n, Tensor) else n for n in bounds])
    if type(item) is bool:
        return NotImplemented
    index = getattr(item, "__index__", None)
    return NotImplemented if index is None else index()


def _text(item: Any) -> str:
    if type(item) is slice:
        first, last = "" if item.start is None else item.start, "" if item.stop is None else item.stop
        return f"{first}:{last}" if item.step is None else f"{first}:{last}:{item.step}"
    return "..." if item is Ellipsis else str(item)


class Parsed:
    """An index taken apart: what positions choose first (``view``), then the tensors, with the axis of each in it."""

    __slots__ = ("axes", "tensors", "view")

    def __init__(self, view: Tensor, tensors: list[Tensor], axes: list[int]) -> None:
        self.view = view
        self.tensors = tensors
        self.axes = axes


def _as_index(t: Tracer, item: Any, alone: bool) -> Tensor | None:
    """An index tensor, or a list of numbers or an array as one; ``None`` for what torch reads in other ways."""
    if not isinstance(item, Tensor):
        if alone and type(item) is list and not all(type(n) in (int, bool) for n in item):
            return None  # read as a tuple, with a warning
        real = torch.as_tensor(item)
        if not real.numel():
            real = real.long()
        item = literal(t, real)
    return item if item.dtype in _INDICES else None


def parse(t: Tracer, x: Tensor, index: Any) -> Parsed | None:
    """Emit the view that the positions in ``index`` choose; ``None`` for an index that is left to torch."""
    items = index if type(index) is tuple else (index,)
    plain = tuple([NotImplemented if _is_tensor_like(i) else _position(t, i) for i in items])
    if not any(i is NotImplemented for i in plain):
        y = _take(x, plain)
        return Parsed(t.view("slice", x, y, {"index": ", ".join(map(_text, plain))}), [], [])
    tensors: list[Tensor] = []
    axes: list[int] = []
    positions: list[Any] = []
    axis = 0  # in the result of the positions
    used = sum(_consumes(i) for i in items)
    moving: list[tuple[int, Tensor]] = []  # single positions that are known as shapes only
    for item in items:
        if _is_tensor_like(item):
            tensor = _as_index(t, item, index is item)
            if tensor is None:
                return None
            if tensor.dim() == 0:
                if tensor.dtype is torch.bool:
                    return None
                if tensor.is_meta and id(tensor) not in t.values:
                    moving.append((len(positions), tensor))
                    positions.append(0)
                else:
                    positions.append(int(t.value(tensor)))
                continue
            span = tensor.dim() if tensor.dtype is torch.bool else 1
            if tensor.dtype is torch.bool and tuple(tensor.shape) != tuple(
                x.shape[_source_axis(positions, x, used) :][:span]
            ):
                return None
            tensors.append(tensor)
            axes.append(axis)
            positions.extend([_EVERYTHING] * span)
            axis += span
            continue
        position = _position(t, item)
        if position is NotImplemented:
            return None
        positions.append(position)
        if position is Ellipsis:
            axis += x.dim() - used
        elif type(position) is not int:
            axis += 1
    view = x
    if any(p is not Ellipsis and p != _EVERYTHING for p in positions):
        y = _take(x, tuple(positions))
        if moving:
            inputs = {"x": x} | {f"x{i}": tensor for i, (_, tensor) in enumerate(moving)}
            t.emit("index", inputs, {"y": y}, {"axes": tuple([at for at, _ in moving])}, "", (("y", "x", "view"),))
            t.rebase(y, x)
            view = y
        else:
            view = t.view("slice", x, y, {"index": ", ".join(map(_text, positions))})
    return Parsed(view, tensors, axes)


def _is_tensor_like(item: Any) -> bool:
    return isinstance(item, (Tensor, list, tuple, range)) or getattr(item, "ndim", 0) > 0


def _consumes(item: Any) -> int:
    """How many dimensions of the source an item stands for."""
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, Tensor) and item.dtype is torch.bool:
        return item.dim()
    if not isinstance(item, Tensor) and _is_tensor_like(item):
        array = torch.as_tensor(item)
        return array.dim() if array.dtype is torch.bool else 1
    return 1


def _source_axis(positions: list[Any], x: Tensor, used: int) -> int:
    """The dimension of the source at which the next item stands."""
    return sum(x.dim() - used if p is Ellipsis else int(p is not None) for p in positions)


def gathered_shape(t: Tracer, parsed: Parsed) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape of the gathered elements, and the strides of the indexed view seen under that shape."""
    view = parsed.view
    spans = [x.dim() if x.dtype is torch.bool else 1 for x in parsed.tensors]
    shapes = [(int(t.value(x).count_nonzero()),) if x.dtype is torch.bool else tuple(x.shape) for x in parsed.tensors]
    common = broadcast(*shapes)
    indexed = [axis + i for axis, span in zip(parsed.axes, spans, strict=True) for i in range(span)]
    rest = [axis for axis in range(view.dim()) if axis not in indexed]
    adjacent = indexed[-1] - indexed[0] == len(indexed) - 1
    first = indexed[0] if adjacent else 0
    sizes, strides = view.shape, view.stride()
    before, after = rest[:first], rest[first:]
    shape = (*[sizes[a] for a in before], *common, *[sizes[a] for a in after])
    seen = (*[strides[a] for a in before], *[0] * len(common), *[strides[a] for a in after])
    return shape, seen


def gather(t: Tracer, parsed: Parsed) -> Tensor:
    """Emit the elements that index tensors choose."""
    view = parsed.view
    shape, seen = gathered_shape(t, parsed)
    if 0 in shape or (view.is_contiguous() and 1 not in shape):
        y = t.new(shape, view.dtype)
    else:
        restrided = torch.empty_strided(shape, seen, dtype=view.dtype, device=META)
        y = t.new_strided(shape, elementwise_strides([restrided], shape), view.dtype)
    inputs = {"x": view} | {f"x{i}": tensor for i, tensor in enumerate(parsed.tensors)}
    t.emit("index", inputs, {"y": y}, {"axes": tuple(parsed.axes)})
    return y


@rule("Tensor.__getitem__")
def getitem(t: Tracer, input: Tensor, index: Any) -> Any:
    items = index if type(index) is tuple else (index,)
    for item in items:
        if not _is_basic(item):
            break
    else:
        return t.view("slice", input, _take(input, index), {"index": ", ".join(map(_text, items))})
    parsed = parse(t, input, index)
    if parsed is None:
        return NotImplemented
    return gather(t, parsed) if parsed.tensors else parsed.view


@rule("Tensor.__setitem__")
def setitem(t: Tracer, input: Tensor, index: Any, value: Any) -> Any:
    if not isinstance(value, (Tensor, bool, int, float)):
        return NotImplemented
    mark = len(t.layers)
    parsed = parse(t, input, index)
    if parsed is None:
        return NotImplemented
    if not write_part(t, parsed, value):
        t.rollback(mark)
        return NotImplemented
    return None


def write_part(t: Tracer, parsed: Parsed, value: Any) -> bool:
    view = parsed.view
    if isinstance(value, Tensor):
        while value.dim() > view.dim() and value.shape[0] == 1 and not parsed.tensors:
            value = t.view("reshape", value, Base.squeeze(value, 0), {"shape": tuple(value.shape[1:])})
        if value.dtype is not view.dtype and not parsed.tensors and value.is_complex():
            return False
    if not parsed.tensors:
        if isinstance(value, Tensor):
            copy_into(t, view, value)
        else:
            fill_in(t, view, value)
        return True
    inputs = {f"x{i}": tensor for i, tensor in enumerate(parsed.tensors)}
    single = not isinstance(value, Tensor) or value.numel() == 1
    if single and len(parsed.tensors) == 1 and parsed.tensors[0].dtype is torch.bool and not isinstance(value, Tensor):
        t.write("masked_fill", view, {"x": view, "mask": parsed.tensors[0]}, {"value": value})
        return True
    attrs: dict[str, Any] = {"axes": tuple(parsed.axes)}
    if isinstance(value, Tensor):
        if not single and not any(x.dtype is torch.bool for x in parsed.tensors):
            shape, _ = gathered_shape(t, parsed)
            if value.dim() > len(shape) and value.shape[: value.dim() - len(shape)].numel() != 1:
                return False
            if broadcast(value.shape[max(value.dim() - len(shape), 0) :], shape) != shape:
                return False
        if value.dtype is not view.dtype:
            value = cast(t, value, view.dtype)
        inputs["src"] = value
    else:
        attrs["value"] = value
    t.write("index_put", view, {"x": view, **inputs}, attrs)
    return True
