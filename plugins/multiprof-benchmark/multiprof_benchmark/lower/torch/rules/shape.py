"""What moves elements, or only says how they are seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice, permutations
from math import prod

import torch

from multiprof import Layer
from multiprof_benchmark.lower.parts import Cut, cut_of, diagonal_of
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule

_HEADS = re.compile(r"part (\d+) of (\d+) of each head")
View = Callable[[Tensor], Tensor]


def is_view(layer: Layer) -> bool:
    """Whether the layer says that its results share memory with its operand."""
    return any(kind == "view" for _, _, kind in layer.aliases)


def moved(layer: Layer, view: View) -> View:
    """A view where the layer is one, else its elements in memory of their own: the traffic is part of its time."""
    if is_view(layer):
        return view

    def copy(x: Tensor) -> Tensor:
        y = view(x)
        return y.clone(memory_format=torch.contiguous_format) if y._base is not None or y is x else y.contiguous()

    return copy


@rule("reshape")
def reshape(layer: Layer, context: Context) -> View:
    y = shape_of(layer.y)
    return moved(layer, lambda x: x.reshape(y))


@rule("transpose")
def transpose(layer: Layer, context: Context) -> Kernel:
    perm, x, y = layer.attrs.get("perm"), shape_of(layer.x), shape_of(layer.y)
    if perm is None and layer.attrs.get("block_shape") is not None:
        return Kernel(moved(layer, _blocks(x, y, tuple(layer.attrs["block_shape"]))))
    notes: tuple[str, ...] = ()
    if perm is None:
        perm = next((p for p in _orders(len(x)) if tuple(x[i] for i in p) == y), None)
        if perm is None or len(x) != len(y):
            raise NotLoweredError(f"no order of {x} gives {y}")
        notes = ("the order of the dimensions is one that gives the shape",)
    order = tuple(perm)
    return Kernel(moved(layer, lambda x: x.permute(order)), notes=notes)


def _orders(rank: int) -> list[tuple[int, ...]]:
    """The reversed order first, which is what a transposition without an order means."""
    return [tuple(reversed(range(rank))), *islice(permutations(range(rank)), 5040)]


def _blocks(x: tuple[int, ...], y: tuple[int, ...], block: tuple[int, ...]) -> View:
    """Blocks of space moved into the batch, or back."""
    m, total = len(block), prod(block)
    into_batch = y[0] == x[0] * total
    wide = y if not into_batch else x
    apart = [n for d, b in zip(wide[1 : m + 1], block, strict=True) for n in (d // b, b)]
    rest = wide[m + 1 :]
    batch = wide[0]
    outer = [2 * i + 1 for i in range(m)]
    inner = [2 * i + 2 for i in range(m)]
    tail = list(range(2 * m + 1, 2 * m + 1 + len(rest)))
    perm = (*inner, 0, *outer, *tail)
    if into_batch:
        return lambda t: t.reshape(batch, *apart, *rest).permute(perm).reshape(y)
    inverse = tuple(perm.index(i) for i in range(len(perm)))
    seen = (*block, batch, *apart[::2], *rest)
    return lambda t: t.reshape(seen).permute(inverse).reshape(y)


@rule("slice")
def slice_(layer: Layer, context: Context) -> Kernel:
    x, y = shape_of(layer.x), shape_of(layer.y)
    diagonal = diagonal_of(layer)
    if diagonal is not None:
        offset, first, second = diagonal
        return Kernel(moved(layer, lambda x: torch.diagonal(x, offset, first, second)))
    if layer.attrs.get("index") in ("real", "imag"):
        return Kernel((lambda x: x.real) if layer.attrs["index"] == "real" else (lambda x: x.imag))
    if len(x) >= 2 and y == (*x[:-2], min(x[-2:])) and str(layer.attrs.get("index")).startswith("diagonal"):
        return Kernel(moved(layer, lambda x: torch.diagonal(x, 0, -2, -1)))
    heads = _HEADS.fullmatch(str(layer.attrs.get("index")))
    if heads and len(x) == len(y) == 3:
        return Kernel(moved(layer, _interleaved(y, int(heads[1]), int(heads[2]))))
    cut, exact = cut_of(layer)
    notes = () if exact else ("a part of the same shape, from the front",)
    return Kernel(moved(layer, cutter(cut)), notes=notes)


def _interleaved(y: tuple[int, ...], number: int, parts: int) -> View:
    """(L, N, heads·parts·D) → part of (N·heads, L, D), as GluonNLP interleaves queries, keys and values."""
    joint, length, width = y
    return lambda x: x.reshape(length, joint, parts, width)[:, :, number].transpose(0, 1)


def cutter(cut: Cut) -> View:
    """The function that takes a part; a dimension taken backwards is flipped, which copies."""
    items: list[slice | int | None] = []
    flipped = []
    kept = 0
    for item in cut:
        if isinstance(item, range):
            if item.step < 0:
                flipped.append(kept)
                item = item[::-1]
            items.append(slice(item.start, item.stop, item.step) if len(item) else slice(0, 0))
            kept += 1
        else:
            items.append(item)
            kept += item is None
    index = tuple(items)
    if flipped:
        return lambda x: x[index].flip(flipped)
    return lambda x: x[index]


@rule("expand")
def expand(layer: Layer, context: Context) -> View:
    y, x = shape_of(layer.y), shape_of(layer.x)
    if len(x) <= len(y):
        return moved(layer, lambda x: x.expand(y))
    return moved(layer, lambda t: t.reshape(x[len(x) - len(y) :]).expand(y))


@rule("concat", "stack")
def join(layer: Layer, context: Context) -> Kernel:
    axis = int(layer.attrs.get("axis", 0))
    roles = sorted((r for r in layer.inputs if r[0] == "x"), key=lambda r: int(r[1:] or 0))
    function: Callable[..., Tensor] = torch.cat if layer.op == "concat" else torch.stack
    times, rest = divmod(shape_of(layer.y)[axis], len(roles))
    if layer.op == "stack" and times > 1 and not rest:  # what the trips of a loop made, one behind the other
        note = "the last trip's value stands for those of all trips"
        return Kernel(lambda **operands: torch.stack([operands[r] for r in roles] * times, axis), notes=(note,))
    return Kernel(lambda **operands: function([operands[role] for role in roles], axis))


@rule("split")
def split(layer: Layer, context: Context) -> Kernel:
    """Pieces along an axis; pieces of one element may come without it."""
    axis, x = int(layer.attrs.get("axis", 0)), shape_of(layer.x)
    shapes = [shape_of(spec) for spec in layer.outputs.values()]
    copies = not is_view(layer)
    if all(len(shape) == len(x) - 1 for shape in shapes):
        if len(shapes) == x[axis]:
            return Kernel(lambda x: tuple(t.contiguous() if copies else t for t in x.unbind(axis)))
        return Kernel(lambda x: tuple(x.select(axis, i) for i in range(len(shapes))))
    sizes = tuple(layer.attrs.get("sizes") or ())
    numbers = [int(role[1:]) for role in layer.outputs]  # results that nobody reads may be left out
    if len(sizes) <= max(numbers) or any(sizes[n] != s[axis] for n, s in zip(numbers, shapes, strict=True)):
        sizes, numbers = tuple(shape[axis] for shape in shapes), list(range(len(shapes)))
    if sum(sizes) < x[axis]:
        sizes = (*sizes, x[axis] - sum(sizes))

    def run(x: Tensor) -> tuple[Tensor, ...]:
        pieces = torch.split_with_sizes(x, sizes, axis)
        return tuple(
            (pieces[n].contiguous() if copies else pieces[n]).reshape(shape)
            for n, shape in zip(numbers, shapes, strict=True)
        )

    return Kernel(run)


@rule("repeat")
def repeat(layer: Layer, context: Context) -> Kernel:
    repeats, axis, x, y = layer.attrs.get("repeats"), layer.attrs.get("axis"), shape_of(layer.x), shape_of(layer.y)
    if isinstance(repeats, int):
        if axis is None:
            return Kernel(lambda x, repeats=repeats: x.repeat_interleave(repeats).reshape(y))
        return Kernel(lambda x, repeats=repeats: x.repeat_interleave(repeats, axis))
    if repeats is not None:
        times = tuple(repeats)
    else:
        rank = max(len(x), len(y))
        wide = (1,) * (rank - len(x)) + x
        times = tuple(m // n if n else 1 for m, n in zip(y, wide, strict=True))
    return Kernel(lambda x, repeats=None: x.repeat(times))


@rule("flip")
def flip(layer: Layer, context: Context) -> Kernel:
    axis = layer.attrs.get("axis")
    axes = tuple(range(layer.x.rank)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    return Kernel(lambda x, lengths=None: x.flip(axes))


@rule("roll")
def roll(layer: Layer, context: Context) -> Kernel:
    axis, shift = layer.attrs.get("axis"), layer.attrs.get("shift")
    if shift is None:
        return Kernel(lambda x: x.roll(1, 0), notes=("rolled by one: how far is not known",))
    shifts = (shift,) if isinstance(shift, int) else tuple(shift)
    if axis is None or axis == ():
        return Kernel(lambda x: x.roll(shifts[0]))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return Kernel(lambda x: x.roll(shifts, axes))


@rule("copy", "identity", "dropout")
def same(layer: Layer, context: Context) -> Kernel:
    """Nothing, or a copy; with ``dest`` into memory that is there already."""
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    if layer.op != "copy":
        return Kernel(lambda x: x.reshape(y) if x.shape != y else x)

    def run(x: Tensor, dest: Tensor | None = None) -> Tensor:
        if dest is not None:
            return x.to(kind).expand(y)
        return x.to(kind, copy=True, memory_format=torch.contiguous_format).reshape(y)

    return Kernel(run)


@rule("triangle")
def triangle(layer: Layer, context: Context) -> Kernel:
    diagonal, function = int(layer.attrs.get("diagonal") or 0), torch.triu if layer.attrs.get("upper") else torch.tril
    return Kernel(lambda x: function(x, diagonal))
