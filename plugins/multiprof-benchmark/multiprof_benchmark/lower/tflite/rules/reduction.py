"""Sums, means and extremes along axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.rules.elementwise import arithmetic
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

KINDS = {
    "sum": "SUM", "mean": "MEAN", "max": "REDUCE_MAX", "min": "REDUCE_MIN", "prod": "REDUCE_PROD", "any": "REDUCE_ANY",
    "all": "REDUCE_ALL",
}  # fmt: skip


def axes_of(layer: Layer, rank: int) -> tuple[int, ...]:
    """The reduced axes, all of them where none is named."""
    axes = layer.attrs.get("axis")
    if axes is None or axes == ():
        return straight(rank)
    return tuple(axis % rank for axis in (axes if isinstance(axes, tuple) else (axes,)))


def reduced(b: Builder, kind: str, x: Value, axes: tuple[int, ...], name: str) -> Value:
    """A stored tensor reduced along axes of the Graph, which stay with one element."""
    stored = sorted(x.axis(axis) for axis in axes)
    shape = [1 if at in stored else n for at, n in enumerate(x.shape)]
    y = b.temporary(shape, x.dtype, name, x.perm)
    return b.emit(kind, [x, b.integers(stored)], y, "ReducerOptions", keepDims=True)


@rule(*KINDS)
def reduce(b: Builder, layer: Layer) -> None:
    if "indices" in layer.outputs:
        raise NotLoweredError("the positions of the extremes")
    x = b.value(layer.x)
    shape = shape_of(layer.y)
    axes = axes_of(layer, x.rank)
    if len(shape) == x.rank:
        b.result(layer, reduced(b, KINDS[layer.op], x, axes, b.name(layer)))
        return
    y = reduced(b, KINDS[layer.op], x, axes, f"{b.name(layer)}_kept")
    b.result(layer, b.reshaped(b.plain(y), shape, None, b.name(layer)))


@rule("argmax", "argmin")
def position(b: Builder, layer: Layer) -> None:
    x = b.plain(b.value(layer.x))
    axes = axes_of(layer, x.rank)
    if len(axes) != 1:
        raise NotLoweredError("a position among several axes")
    kept = tuple(n for at, n in enumerate(x.shape) if at != axes[0])
    y = b.temporary(kept, b.dtype(layer.y), f"{b.name(layer)}_flat")
    options = "ArgMaxOptions" if layer.op == "argmax" else "ArgMinOptions"
    kind = b.writer_type(y.dtype)
    b.emit("ARG_MAX" if layer.op == "argmax" else "ARG_MIN", [x, b.integers(axes)], y, options, outputType=kind)
    b.result(layer, b.reshaped(y, shape_of(layer.y), None, b.name(layer)))


@rule("variance", "std")
def variance(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    axes = axes_of(layer, x.rank)
    name = b.name(layer)
    mean = reduced(b, "MEAN", x, axes, f"{name}_mean")
    spread = arithmetic(b, "SQUARED_DIFFERENCE", x, mean, x.perm)
    y = reduced(b, "MEAN", spread, axes, f"{name}_variance")
    if layer.op == "std":
        made = b.temporary(y.shape, y.dtype, f"{name}_root", y.perm)
        y = b.emit("SQRT", [y], made)
    for role, value in (("y", y), ("mean", mean)):
        if role in layer.outputs:
            b.result(layer, b.reshaped(b.plain(value), shape_of(layer.outputs[role])), role)
