"""Which part of a tensor a ``slice`` takes, from the description in its attribute ``index``.

Adapters write it as their framework does; the forms are `":, 0:2"` (Python's), `"1[0:3:1], 2[1:5:2]"` (an axis or a
position and its bounds, with TensorFlow's masks beside), and a tuple of bounds for every dimension (TFLite's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from multiprof import Layer

# One item per dimension of x, and None where a dimension is new: a range is kept, an integer drops the dimension.
Cut = tuple["range | int | None", ...]

_BOUNDS = re.compile(r"(\d+)\[(-?\d*):(-?\d*):?(-?\d*)\]")
_DIAGONAL = re.compile(r"diagonal\((-?\d+), (-?\d+), (-?\d+)\)")


def diagonal_of(layer: Layer) -> tuple[int, int, int] | None:
    """(offset, axis, axis) where a slice is a diagonal."""
    found = _DIAGONAL.fullmatch(str(layer.attrs.get("index")))
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def cut_of(layer: Layer) -> tuple[Cut, bool]:
    """The cut, and whether it is the one described: where that cannot be read it is one that gives the same shape.

    Raises `ValueError` where nothing gives the shape of the result.
    """
    shape, target = _known(layer.x.shape), _known(layer.y.shape)
    cut = _read(layer, shape)
    if cut is not None and shape_of(cut) == target:
        return cut, True
    return _fitting(shape, target), False


def shape_of(cut: Cut) -> tuple[int, ...]:
    return tuple(1 if item is None else len(item) for item in cut if not isinstance(item, int))


def _known(shape: Sequence[int | None]) -> tuple[int, ...]:
    if None in shape:
        raise ValueError(f"the shape {tuple(shape)} is not known")
    return tuple(d for d in shape if d is not None)


def _read(layer: Layer, shape: tuple[int, ...]) -> Cut | None:
    index = layer.attrs.get("index")
    try:
        if isinstance(index, tuple):
            return _tuples(index, shape)
        if not isinstance(index, str):
            return None
        bounds = _BOUNDS.findall(index)
        if bounds and len(bounds) == index.count("["):
            return _masked(bounds, layer.attrs, shape) if _is_tensorflow(layer) else _named(bounds, shape)
        return _python(index, shape)
    except (ValueError, IndexError, TypeError):
        return None


def _is_tensorflow(layer: Layer) -> bool:
    """Positions count the items of TensorFlow's index, masks and all; ONNX names axes, whose upper bounds are true."""
    return any(name.endswith("_mask") for name in layer.attrs)


def _python(text: str, shape: tuple[int, ...]) -> Cut:
    items: list[Any] = []
    for word in (word.strip() for word in text.split(",")):
        if word == "...":
            items.append(...)
        elif word == "None":
            items.append(None)
        elif ":" in word:
            items.append(slice(*(int(n) if n else None for n in word.split(":"))))
        elif word:
            items.append(int(word))
    return _resolved(items, shape)


def _resolved(items: list[Any], shape: tuple[int, ...]) -> Cut:
    """An index of Python's, spelt out for every dimension."""
    used = sum(item is not None and item is not ... for item in items)
    if ... in items:
        at = items.index(...)
        items[at : at + 1] = [slice(None)] * (len(shape) - used)
    else:
        items = items + [slice(None)] * (len(shape) - used)
    cut: list[range | int | None] = []
    axis = 0
    for item in items:
        if item is None:
            cut.append(None)
            continue
        size = shape[axis]
        axis += 1
        cut.append(range(*item.indices(size)) if isinstance(item, slice) else range(size)[item])
    return tuple(cut)


def _named(bounds: list[tuple[str, ...]], shape: tuple[int, ...]) -> Cut:
    cut: list[range | int | None] = [range(n) for n in shape]
    for axis, first, last, step in bounds:
        piece = slice(int(first) if first else None, int(last) if last else None, int(step) if step else None)
        cut[int(axis)] = range(*piece.indices(shape[int(axis)]))
    return tuple(cut)


def _masked(bounds: list[tuple[str, ...]], attrs: Mapping[str, Any], shape: tuple[int, ...]) -> Cut:
    """TensorFlow's StridedSlice: bit i of a mask is about position i."""

    def bit(name: str, i: int) -> bool:
        return bool(int(attrs.get(name, 0)) >> i & 1)

    items: list[Any] = []
    for i, (_, first, last, step) in enumerate(bounds):
        if bit("ellipsis_mask", i):
            items.append(...)
        elif bit("new_axis_mask", i):
            items.append(None)
        elif bit("shrink_axis_mask", i):
            items.append(int(first))
        else:
            begin = None if bit("begin_mask", i) else int(first)
            end = None if bit("end_mask", i) else int(last)
            items.append(slice(begin, end, int(step or 1)))
    return _resolved(items, shape)


def _tuples(index: tuple[Any, ...], shape: tuple[int, ...]) -> Cut:
    """(start, stop, step) for every dimension, or that with what becomes of the dimension."""
    cut: list[range | int | None] = []
    axis = 0
    for item in index:
        if len(item) == 2 and isinstance(item[1], str):
            places, fate = item
            if fate == "new":
                cut.append(None)
                continue
        else:
            places, fate = item, "kept"
        taken = range(shape[axis]) if places is None else range(*places)
        axis += 1
        cut.append(taken[0] if fate == "dropped" else taken)
    return tuple(cut)


def _fitting(shape: tuple[int, ...], target: tuple[int, ...]) -> Cut:
    """A cut from the front of every dimension that gives the shape, dropping dimensions where there are too many."""
    added = max(0, len(target) - len(shape))
    wanted = target[added:]
    best: tuple[int, tuple[int, ...]] | None = None
    for kept in combinations(range(len(shape)), len(wanted)):
        if all(n <= shape[axis] for n, axis in zip(wanted, kept, strict=True)):
            same = sum(n == shape[axis] for n, axis in zip(wanted, kept, strict=True))
            if best is None or same > best[0]:
                best = same, kept
    if best is None or any(n != 1 for n in target[:added]):
        raise ValueError(f"no part of {shape} has the shape {target}")
    sizes = dict(zip(best[1], wanted, strict=True))
    return (None,) * added + tuple(range(sizes[axis]) if axis in sizes else 0 for axis in range(len(shape)))


__all__ = ["Cut", "cut_of", "diagonal_of", "shape_of"]
