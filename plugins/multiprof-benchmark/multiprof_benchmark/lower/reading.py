"""What every lowering reads of a layer, and what it raises where that is not enough to run it."""

from __future__ import annotations

from typing import Any

from multiprof import Layer, TensorSpec


class NotLoweredError(Exception):
    """The layer cannot be lowered; the message says why."""


def shape_of(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a tensor; `NotLoweredError` where a dimension is not known."""
    if None in spec.shape:
        raise NotLoweredError(f"the shape {spec.shape} is not known")
    return tuple(d for d in spec.shape if d is not None)


def ints(value: Any, rank: int) -> tuple[int, ...]:
    """An attribute with one integer for each spatial dimension; 1 for each where it is left out."""
    return (1,) * rank if value is None else tuple(int(n) for n in value)


def pairs_of(layer: Layer) -> tuple[tuple[int, int], ...]:
    """The padding as pairs; `NotLoweredError` where it is not known."""
    a = layer.attrs
    pairs = a.get("padding", ((0, 0),) * len(a["kernel_size"]))
    if pairs is None or any(p is None or None in p for p in pairs):
        raise NotLoweredError("its padding is not known")
    return tuple((int(lo), int(hi)) for lo, hi in pairs)


__all__ = ["NotLoweredError", "ints", "pairs_of", "shape_of"]
