"""The same elements under another shape or order of dimensions: reshape, transpose, expand."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, broadcast
from multiprof.adapters.torch.rules._moves import Base, axis_of, made, sizes
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# -- reshape -----------------------------------------------------------------------------------------------------------


def reshaped(t: Tracer, x: Tensor, shape: Sequence[int]) -> Tensor:
    """Emit ``x`` as ``shape`` (one size may be −1): a view where the strides allow one, else a copy."""
    if t.forced is not None or x.is_contiguous():
        y = made(t, Base.reshape, x, shape)
        return t.view("reshape", x, y, {"shape": tuple(y.shape)})
    try:
        y = Base.view(x, shape)
    except RuntimeError:
        known = tuple(shape)
        if -1 in known:
            rest = -prod(known)
            known = tuple(x.numel() // rest if size == -1 else size for size in known)
        if prod(known) != x.numel() or x.numel() == 0:
            raise
        y = t.new(known, x.dtype)
        t.emit("reshape", {"x": x}, {"y": y}, {"shape": known})
        return y
    return t.view("reshape", x, y, {"shape": tuple(y.shape)})


@rule("torch.reshape", "Tensor.reshape")
def reshape(t: Tracer, input: Tensor, *shape: Any) -> Any:
    return reshaped(t, input, sizes(t, shape))


@rule("Tensor.view", aten=("view", "_unsafe_view", "_reshape_alias"))
def view(t: Tracer, input: Tensor, *shape: Any, **options: Any) -> Any:
    if t.forced is not None:
        y = t.forced.pop(0)
    elif shape and isinstance(shape[0], torch.dtype):
        y = Base.view(input, shape[0])
    else:
        y = Base.view(input, sizes(t, shape), **options)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


@rule("Tensor.view_as")
def view_as(t: Tracer, input: Tensor, other: Tensor) -> Any:
    return view(t, input, other.shape)


@rule("Tensor.reshape_as")
def reshape_as(t: Tracer, input: Tensor, other: Tensor) -> Any:
    return reshaped(t, input, other.shape)


@rule("torch.flatten", "Tensor.flatten")
def flatten(t: Tracer, input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    shape = input.shape
    if not shape:
        return reshaped(t, input, (1,)) if start_dim in (0, -1) and end_dim in (0, -1) else NotImplemented
    start, end = axis_of(start_dim, len(shape)), axis_of(end_dim, len(shape))
    if start == end:
        return input
    if start > end:
        return NotImplemented
    return reshaped(t, input, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


@rule("torch.ravel", "Tensor.ravel")
def ravel(t: Tracer, input: Tensor) -> Any:
    if not input.is_contiguous():  # unlike reshape, ravel copies even where a view would do
        y = t.new((input.numel(),), input.dtype)
        t.emit("reshape", {"x": input}, {"y": y}, {"shape": (input.numel(),)})
        return y
    return reshaped(t, input, (-1,))


@rule("torch.unflatten", "Tensor.unflatten")
def unflatten(t: Tracer, input: Tensor, dim: int, sizes: Any) -> Any:
    y = Base.unflatten(input, dim, sizes)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


@rule("torch.squeeze", "Tensor.squeeze", aten="squeeze")
def squeeze(t: Tracer, input: Tensor, *dim: Any, **options: Any) -> Any:
    y = made(t, Base.squeeze, input, *dim, **options)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


@rule("torch.unsqueeze", "Tensor.unsqueeze", aten="unsqueeze")
def unsqueeze(t: Tracer, input: Tensor, dim: int) -> Any:
    y = made(t, Base.unsqueeze, input, dim)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


@rule("torch.view_as_real", aten="view_as_real")
def view_as_real(t: Tracer, input: Tensor) -> Any:
    y = made(t, torch._C._VariableFunctions.view_as_real, input)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


@rule("torch.view_as_complex", aten="view_as_complex")
def view_as_complex(t: Tracer, input: Tensor) -> Any:
    y = made(t, torch._C._VariableFunctions.view_as_complex, input)
    return t.view("reshape", input, y, {"shape": tuple(y.shape)})


def at_least(t: Tracer, x: Tensor, rank: int) -> Tensor:
    """``x`` with dimensions of size 1 added until it has ``rank``, as ``torch.atleast_1d`` to ``3d`` add them."""
    if x.dim() >= rank:
        return x
    shape = tuple(x.shape)
    if not shape:
        shape = (1,) * rank
    elif rank == 2:
        shape = (1, *shape)
    else:
        shape = (1, *shape, 1) if len(shape) == 1 else (*shape, 1)
    y = x
    if not x.shape or rank == 2:
        for _ in range(rank - x.dim()):
            y = Base.unsqueeze(y, 0)
    elif x.dim() == 1:
        y = Base.unsqueeze(Base.unsqueeze(x, 0), -1)
    else:
        y = Base.unsqueeze(x, -1)
    return t.view("reshape", x, y, {"shape": shape})


def _at_least(t: Tracer, rank: int, tensors: tuple[Any, ...]) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    elif len(tensors) == 1:
        return at_least(t, tensors[0], rank)
    return tuple([at_least(t, x, rank) for x in tensors])


@rule("torch.atleast_1d")
def atleast_1d(t: Tracer, *tensors: Any) -> Any:
    return _at_least(t, 1, tensors)


@rule("torch.atleast_2d")
def atleast_2d(t: Tracer, *tensors: Any) -> Any:
    return _at_least(t, 2, tensors)


@rule("torch.atleast_3d")
def atleast_3d(t: Tracer, *tensors: Any) -> Any:
    return _at_least(t, 3, tensors)


# -- transpose ---------------------------------------------------------------------------------------------------------


def swapped(rank: int, a: int, b: int) -> tuple[int, ...]:
    if rank == 0:
        return ()
    perm = list(range(rank))
    a, b = axis_of(a, rank), axis_of(b, rank)
    perm[a], perm[b] = perm[b], perm[a]
    return tuple(perm)


@rule(
    "torch.transpose",
    "Tensor.transpose",
    "torch.swapaxes",
    "Tensor.swapaxes",
    "torch.swapdims",
    "Tensor.swapdims",
    aten="transpose",
)
def transpose(
    t: Tracer, input: Tensor, dim0: Any = None, dim1: Any = None, *, axis0: Any = None, axis1: Any = None
) -> Any:
    a, b = axis0 if dim0 is None else dim0, axis1 if dim1 is None else dim1
    y = made(t, Base.transpose, input, a, b)
    return t.view("transpose", input, y, {"perm": swapped(input.dim(), a, b)})


@rule("torch.permute", "Tensor.permute", aten="permute")
def permute(t: Tracer, input: Tensor, *dims: Any, **options: Any) -> Any:
    if options:
        dims = (options["dims"],)
    order = sizes(t, dims)
    y = made(t, Base.permute, input, order)
    rank = input.dim()
    return t.view("transpose", input, y, {"perm": tuple([axis % rank for axis in order])})


@rule("torch.movedim", "Tensor.movedim", "torch.moveaxis", "Tensor.moveaxis")
def movedim(t: Tracer, input: Tensor, source: Any, destination: Any) -> Any:
    rank = input.dim()
    sources = [axis_of(a, rank) for a in ((source,) if isinstance(source, int) else source)]
    targets = [axis_of(a, rank) for a in ((destination,) if isinstance(destination, int) else destination)]
    y = Base.movedim(input, source, destination)  # before the arithmetic: it raises where axes repeat
    rest = iter([a for a in range(rank) if a not in sources])
    perm = tuple([sources[targets.index(a)] if a in targets else next(rest) for a in range(rank)])
    return t.view("transpose", input, y, {"perm": perm})


@rule("torch.t", "Tensor.t", aten="t")
def t_(t: Tracer, input: Tensor) -> Any:
    y = made(t, Base.t, input)
    return t.view("transpose", input, y, {"perm": (1, 0) if input.dim() == 2 else tuple(range(input.dim()))})


@rule("Tensor.T.__get__")
def get_t(t: Tracer, input: Tensor) -> Any:
    if input.dim() != 2:
        return NotImplemented  # deprecated: torch warns
    y = Base.t(input)
    return t.view("transpose", input, y, {"perm": (1, 0)})


@rule("Tensor.mT.__get__")
def get_mt(t: Tracer, input: Tensor) -> Any:
    if input.dim() < 2:
        return NotImplemented
    return transpose(t, input, -2, -1)


@rule("Tensor.H.__get__", "Tensor.mH.__get__", "torch.adjoint", "Tensor.adjoint")
def adjoint(t: Tracer, input: Tensor) -> Any:
    if input.dim() != 2 or input.is_complex():
        return NotImplemented  # of complex numbers: also the conjugate
    return transpose(t, input, -2, -1)


# -- expand ------------------------------------------------------------------------------------------------------------


def expanded(t: Tracer, x: Tensor, shape: Sequence[int], **options: Any) -> Tensor:
    y = made(t, Base.expand, x, shape, **options)
    return t.view("expand", x, y, {"shape": tuple(y.shape)})


@rule("Tensor.expand", aten="expand")
def expand(t: Tracer, input: Tensor, *size: Any, **options: Any) -> Any:
    return expanded(t, input, sizes(t, size) if size else options.pop("size"), **options)


@rule("torch.broadcast_to", "Tensor.broadcast_to")
def broadcast_to(t: Tracer, input: Tensor, *size: Any, **options: Any) -> Any:
    return expanded(t, input, sizes(t, size) if size else options["size"])


@rule("Tensor.expand_as")
def expand_as(t: Tracer, input: Tensor, other: Tensor) -> Any:
    return expanded(t, input, other.shape)


@rule("torch.broadcast_tensors")
def broadcast_tensors(t: Tracer, *tensors: Any) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    shape = broadcast(*[x.shape for x in tensors])
    return tuple([x if tuple(x.shape) == shape else expanded(t, x, shape) for x in tensors])


@rule("torch.meshgrid")
def meshgrid(t: Tracer, *tensors: Any, indexing: str | None = None) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy") or any(x.dim() > 1 or x.dtype is not tensors[0].dtype for x in tensors):
        return NotImplemented  # without indexing torch warns
    exchanged = indexing == "xy" and len(tensors) > 1
    order = [1, 0, *range(2, len(tensors))] if exchanged else list(range(len(tensors)))
    shape = [tensors[i].numel() for i in order]
    grids = []
    for i, x in enumerate(tensors):
        column = [1] * len(tensors)
        column[order.index(i)] = x.numel()
        y = t.view("reshape", x, Base.view(x, column), {"shape": tuple(column)})
        grids.append(expanded(t, y, shape))
    return tuple(grids)
