"""Elements read and written at places that tensors name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Prepare, Tensor, rule

_REDUCE = {"sum": "sum", "prod": "prod", "mean": "mean", "amax": "amax", "amin": "amin"}


def _integers(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.int64, torch.int32, torch.bool) else x.long()


def _within(size: int) -> Prepare:
    """Positions along an axis, those from its end (negative) as torch wants them, and computed ones kept in range."""
    return lambda at: at if at.dtype == torch.bool or size == 0 else _integers(at).remainder(size)


@rule("gather")
def gather(layer: Layer, context: Context) -> Kernel:
    """Rows by index (numpy's take), or single elements (its take_along_axis), by the shapes."""
    x, at, y = shape_of(layer.x), shape_of(layer.inputs["indices"]), shape_of(layer.y)
    if "axis" not in layer.attrs and y == at:
        return Kernel(lambda x, indices: torch.take(x, indices.long()))
    axis = int(layer.attrs.get("axis") or 0)
    return replace(_gather(layer, x, at, y, axis), prepare={"indices": _within(x[axis])})


def _gather(layer: Layer, x: tuple[int, ...], at: tuple[int, ...], y: tuple[int, ...], axis: int) -> Kernel:
    batch = int(layer.attrs.get("batch_dims") or 0)
    if not batch and (*x[:axis], *at, *x[axis + 1 :]) == y:
        if len(at) == 1:
            return Kernel(lambda x, indices: x.index_select(axis, _integers(indices)))
        return Kernel(lambda x, indices: x.index_select(axis, _integers(indices).reshape(-1)).reshape(y))
    if len(at) == len(x) and at == y:
        return Kernel(lambda x, indices: torch.gather(x, axis, indices.long()))
    for shared in [batch] if batch else range(1, min(axis, len(at)) + 1):
        if (*x[:axis], *at[shared:], *x[axis + 1 :]) == y and x[:shared] == at[:shared]:
            return Kernel(_batched(x, at, y, axis, shared))
    if len(at) == len(x) and all(n in (m, 1) for i, (n, m) in enumerate(zip(at, y, strict=True)) if i != axis):
        return Kernel(lambda x, indices: torch.take_along_dim(x, indices.long(), axis))
    raise NotLoweredError(f"{at} places along axis {axis} of {x} do not give {y}")


def _batched(x: tuple[int, ...], at: tuple[int, ...], y: tuple[int, ...], axis: int, shared: int) -> Any:
    """The leading dimensions belong together: one gather along the axis in each of them."""

    def run(x: Tensor, indices: Tensor) -> Tensor:
        lead = x.shape[:shared]
        apart = x.reshape(-1, *x.shape[shared:])
        places = indices.reshape(apart.shape[0], -1).long()
        rows = torch.arange(apart.shape[0], device=x.device)[:, None]
        moved = apart.movedim(axis - shared + 1, 1)
        return moved[rows, places].movedim(1, axis - shared + 1).reshape(*lead, *y[shared:])

    return run


def _operands(layer: Layer) -> list[str]:
    return sorted((r for r in layer.inputs if r[0] == "x" and r[1:].isdigit()), key=lambda r: int(r[1:]))


def _positions(axes: Sequence[int], tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """Python's index: tensors at their axes, everything elsewhere."""
    found: list[Any] = []
    for axis, tensor in zip(axes, tensors, strict=True):
        found += [slice(None)] * (axis - _width(found))
        found.append(tensor)
    return tuple(found)


def _width(items: Sequence[Any]) -> int:
    return sum(t.dim() if isinstance(t, Tensor) and t.dtype == torch.bool else 1 for t in items)


@rule("index")
def index(layer: Layer, context: Context) -> Kernel:
    """One index tensor for each of the axes, or one whose last dimension holds positions on several (GatherND)."""
    x, y = shape_of(layer.x), layer.y.shape
    roles, axes = _operands(layer), tuple(layer.attrs.get("axes") or ())
    if len(roles) == 1 and axes == (0,) and layer.inputs[roles[0]].dtype != "bool":
        at = shape_of(layer.inputs[roles[0]])
        depth = at[-1] if at else 0
        if (*at, *x[1:]) != y and 0 < depth <= len(x) and (*at[:-1], *x[depth:]) == y:
            sizes = torch.tensor(x[:depth])
            return Kernel(lambda x, x0, sizes: x[tuple(x0.long().remainder(sizes).unbind(-1))], fixed={"sizes": sizes})
    if layer.attrs.get("lengths"):
        return _packed(tuple(layer.attrs["lengths"]), axes[0], x)
    if not roles:
        return Kernel(lambda x: x.clone().reshape(shape_of(layer.y)))
    if len(axes) != len(roles):
        raise NotLoweredError(f"{len(roles)} index tensors for the axes {axes}")
    scalars = all(layer.inputs[role].rank == 0 for role in roles)
    if scalars and len(y) == len(x):  # a part that begins at computed places
        return Kernel(_dynamic(axes, roles, shape_of(layer.y)))
    within = {role: _within(x[axis]) for role, axis in zip(roles, axes, strict=True)}
    if None in y:
        return Kernel(lambda x, **at: x[_positions(axes, [at[role] for role in roles])], within)
    shape = shape_of(layer.y)
    return Kernel(lambda x, **at: x[_positions(axes, [at[role] for role in roles])].reshape(shape), within)


def _packed(lengths: tuple[int, ...], axis: int, x: tuple[int, ...]) -> Kernel:
    """Sequences of falling lengths as rows, time first (pack_padded_sequence)."""
    time = x[axis]
    rows = [
        n * time + t if axis else t * x[1] + n for t in range(lengths[0]) for n, size in enumerate(lengths) if size > t
    ]
    return Kernel(lambda x, rows, x0: x.flatten(0, 1).index_select(0, rows), fixed={"rows": torch.tensor(rows)})


def _padded(sizes: tuple[int, ...], x: tuple[int, ...]) -> Kernel:
    """Packed rows back in their places, time first (pad_packed_sequence)."""
    rows = torch.tensor([t * x[1] + n for t, size in enumerate(sizes) for n in range(size)])

    def run(x: Tensor, src: Tensor, rows: Tensor, x0: Tensor) -> Tensor:
        return x.flatten(0, 1).index_copy(0, rows, src).reshape(x.shape)

    return Kernel(run, fixed={"rows": rows})


def _dynamic(axes: tuple[int, ...], roles: list[str], y: tuple[int, ...]) -> Any:
    def run(x: Tensor, **at: Tensor) -> Tensor:
        for axis, role in zip(axes, roles, strict=True):
            places = torch.arange(y[axis], device=x.device) + at[role].clamp(0, x.shape[axis] - y[axis])
            x = x.index_select(axis, places)
        return x[tuple(slice(0, n) for n in y)]

    return run


@rule("scatter")
def scatter(layer: Layer, context: Context) -> Kernel:
    axis, x, at = int(layer.attrs.get("axis") or 0), shape_of(layer.x), shape_of(layer.inputs["indices"])
    value = layer.attrs.get("value", 0)
    if len(at) != len(x):
        return Kernel(_scatter_rows(value))
    return Kernel(
        lambda x, indices, src=None: (
            x.scatter(axis, indices.long(), value)
            if src is None
            else x.scatter(axis, indices.long(), src.expand(at).to(x.dtype))
        )
    )


def _scatter_rows(value: Any) -> Any:
    """Positions in the last dimension of the index tensor (ScatterND)."""

    def run(x: Tensor, indices: Tensor, src: Tensor | None = None) -> Tensor:
        made = x.clone()
        made[tuple(indices.long().unbind(-1))] = made.new_tensor(value) if src is None else src.to(x.dtype)
        return made

    return run


@rule("index_put")
def index_put(layer: Layer, context: Context) -> Kernel:
    x, roles, axes = shape_of(layer.inputs["x"]), _operands(layer), tuple(layer.attrs.get("axes") or ())
    value = layer.attrs.get("value", 0)
    source = layer.inputs.get("src")
    if layer.attrs.get("batch_sizes"):
        return _padded(tuple(layer.attrs["batch_sizes"]), x)
    if not roles:
        if source is None:
            raise NotLoweredError("what is written where is not known")
        part = tuple(slice(0, n) for n in shape_of(source)) if source.rank == len(x) else (0,) * (len(x) - source.rank)

        def front(x: Tensor, src: Tensor) -> Tensor:
            made = x.clone()
            made[part] = src.to(x.dtype)
            return made

        return Kernel(front, notes=("written at the front: where is not known",))
    depth = shape_of(layer.inputs[roles[0]])[-1:] if len(roles) == 1 else ()
    several = bool(
        depth and source is not None and axes == (0,) and depth[0] <= len(x)
        and shape_of(source) == (*shape_of(layer.inputs[roles[0]])[:-1], *x[depth[0] :])
        and shape_of(source) != (*shape_of(layer.inputs[roles[0]]), *x[1:])
    )  # fmt: skip

    def run(x: Tensor, src: Tensor | None = None, **at: Tensor) -> Tensor:
        made = x.clone()
        tensors = [_integers(at[role]) for role in roles]
        place = tuple(tensors[0].unbind(-1)) if several else _positions(axes or tuple(range(len(tensors))), tensors)
        made[place] = made.new_tensor(value) if src is None else src.to(x.dtype)
        return made

    return Kernel(run)


@rule("scatter_reduce", "index_reduce")
def reduce(layer: Layer, context: Context) -> Kernel:
    how = _REDUCE[layer.attrs["reduce"]]
    x = shape_of(layer.inputs["x"])
    if layer.op == "scatter_reduce":
        axis, at = int(layer.attrs.get("axis") or 0), shape_of(layer.inputs["indices"])
        if len(at) == len(x):
            return Kernel(lambda x, indices, src: x.scatter_reduce(axis, indices.long(), src.expand(at), how))
        raise NotLoweredError(f"places {at} in {x}")
    roles = _operands(layer)
    if len(roles) != 1 or how != "sum":
        raise NotLoweredError(f"{how} at the places of {len(roles)} tensors")
    role = roles[0]
    at = shape_of(layer.inputs[role])
    rows = "src" in layer.inputs and shape_of(layer.inputs["src"]) == (*at[:-1], *x[at[-1] :]) if at else False

    def run(x: Tensor, src: Tensor | None = None, **places: Tensor) -> Tensor:
        found = places[role].long()
        given = tuple(found.unbind(-1)) if rows else (found,)
        return x.index_put(given, x.new_ones(()) if src is None else src.to(x.dtype), accumulate=True)

    return Kernel(run)


@rule("segment_reduce")
def segment_reduce(layer: Layer, context: Context) -> Kernel:
    how, y = _REDUCE[layer.attrs["reduce"]], shape_of(layer.y)

    def run(x: Tensor, segments: Tensor) -> Tensor:
        place = segments.long().reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)
        return x.new_zeros(y).scatter_reduce(0, place, x, how, include_self=False)

    return Kernel(run)


@rule("one_hot")
def one_hot(layer: Layer, context: Context) -> Kernel:
    axis, depth, kind = int(layer.attrs.get("axis", -1)), int(layer.attrs["depth"]), context.type_of(layer.y)
    rank = layer.y.rank - 1
    last = axis in (-1, rank)

    def run(x: Tensor) -> Tensor:
        y = F.one_hot(x.long().clamp(0, depth - 1), depth)
        return (y if last else y.movedim(-1, axis)).to(kind)

    return Kernel(run)


@rule("max_unpool")
def max_unpool(layer: Layer, context: Context) -> Kernel:
    x, y = shape_of(layer.x), shape_of(layer.y)
    rank = len(x) - 2
    while rank > 0 and x[:-rank] != y[:-rank]:
        rank -= 1
    rank = max(rank, 1)

    def run(x: Tensor, indices: Tensor) -> Tensor:
        flat = x.reshape(*x.shape[:-rank], -1)
        size = 1
        for n in y[-rank:]:
            size *= n
        made = flat.new_zeros(*flat.shape[:-1], size)
        return made.scatter(-1, indices.long().reshape(flat.shape).remainder(size), flat).reshape(y)

    return Kernel(run)
