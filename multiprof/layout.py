"""How ops that move elements about move what the dimensions of a tensor see of the input."""

from __future__ import annotations

from fractions import Fraction

from multiprof.ir import Layer, Shape
from multiprof.windows import Axes, Axis, Look, meet, nothing


def same_extent(layer: Layer, look: Look) -> Axes:
    """What is cut or repeated along a dimension is not followed there; the other dimensions are untouched."""
    x = look(layer.x)
    if x is None or len(x) != layer.y.rank:
        return nothing(layer, look)
    return tuple(a if b == c else None for a, b, c in zip(x, layer.x.shape, layer.y.shape, strict=True))


def pad(layer: Layer, look: Look) -> Axes:
    return look(layer.x) or nothing(layer, look)


def concat(layer: Layer, look: Look) -> Axes:
    axis = layer.attrs.get("axis")
    rank = layer.y.rank
    operands = [found for spec in layer.inputs.values() if (found := look(spec)) is not None]
    if not isinstance(axis, int) or any(len(found) != rank for found in operands):
        return nothing(layer, look)
    return tuple(None if place == axis % rank else meet([found[place] for found in operands]) for place in range(rank))


def stack(layer: Layer, look: Look) -> Axes:
    axis = layer.attrs.get("axis")
    rank = layer.y.rank
    operands = [found for spec in layer.inputs.values() if (found := look(spec)) is not None]
    if not isinstance(axis, int) or any(len(found) != rank - 1 for found in operands):
        return nothing(layer, look)
    met = [meet([found[place] for found in operands]) for place in range(rank - 1)]
    return (*met[: axis % rank], None, *met[axis % rank :])


def transpose(layer: Layer, look: Look) -> Axes:
    x, perm = look(layer.x), layer.attrs.get("perm")
    if x is None or not isinstance(perm, (tuple, list)) or len(perm) != len(x):
        return nothing(layer, look)
    return tuple(x[place] for place in perm)


def reshape(layer: Layer, look: Look) -> Axes:
    """A dimension is followed where it comes out alone; merged and split ones are not."""
    x = look(layer.x)
    if x is None:
        return nothing(layer, look)
    result: list[Axis | None] = [None] * layer.y.rank
    for old, new in _groups(layer.x.shape, layer.y.shape):
        if len(old) == len(new) == 1:
            result[new[0]] = x[old[0]]
    return tuple(result)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Shortest runs of dimensions of equal product, without those of extent 1 that stand beside others."""
    if before == after:
        return [([place], [place]) for place in range(len(before))]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) and j < len(after):
        old, new = [i], [j]
        a, b = before[i], after[j]
        while a != b:
            if not a or not b:  # unknown or empty: nothing can be told from the products
                return groups
            if a < b:
                i += 1
                if i == len(before):
                    return groups
                old.append(i)
                a *= before[i] or 0
            else:
                j += 1
                if j == len(after):
                    return groups
                new.append(j)
                b *= after[j] or 0
        if len(old) > 1:
            old = [place for place in old if before[place] != 1]
        if len(new) > 1:
            new = [place for place in new if after[place] != 1]
        groups.append((old, new))
        i, j = i + 1, j + 1
    return groups


def shuffle(layer: Layer, look: Look) -> Axes:
    """Pixel shuffle and its inverse: a dimension grows by the factor (so many neighbours see the same) or shrinks."""
    x = look(layer.x)
    if x is None or len(x) != layer.y.rank:
        return nothing(layer, look)
    factor = layer.attrs.get("factor") or 0
    result: list[Axis | None] = []
    for axis, before, after in zip(x, layer.x.shape, layer.y.shape, strict=True):
        if axis is None or before is None or after is None:
            result.append(None)
        elif before == after:
            result.append(axis)
        elif after == before * factor:
            result.append(axis.repeated(Fraction(factor)))
        elif before == after * factor:
            result.append(axis.window(factor - 1, factor))
        else:
            result.append(None)
    return tuple(result)


__all__ = ["concat", "pad", "reshape", "same_extent", "shuffle", "stack", "transpose"]
