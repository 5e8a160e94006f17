"""Normalisation from means and products; a batch norm that merges into no other layer is a product and a sum."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.layouts import channel_axis
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.rules.conv import affine
from multiprof_benchmark.lower.tflite.rules.elementwise import arithmetic, broadcast
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


@rule("batch_norm")
def batch_norm(b: Builder, layer: Layer) -> None:
    if layer.attrs.get("batch_stats"):
        raise NotLoweredError("statistics of the batch")
    channels = int(layer.attrs["channels"])
    x = b.value(layer.x)
    axis = channel_axis(x.logical, channels, b.graph.framework)
    scale, shift = affine(b, layer, channels)
    shape = [channels if x.axis(axis) == at else 1 for at in range(x.rank)]
    name = b.name(layer)
    grown = arithmetic(b, "MUL", x, b.constant(scale.reshape(shape).astype(np.float32)), x.perm, f"{name}_scaled")
    b.result(layer, arithmetic(b, "ADD", grown, b.constant(shift.reshape(shape).astype(np.float32)), x.perm, name))


def normalized(b: Builder, x: Value, stored: tuple[int, ...], eps: float, name: str, *, centre: bool = True) -> Value:
    """(x − mean)/√(variance + eps) along stored dimensions; without ``centre`` x/√(mean of squares + eps)."""
    shape = [1 if at in stored else n for at, n in enumerate(x.shape)]

    def mean(value: Value, suffix: str) -> Value:
        y = b.temporary(shape, x.dtype, f"{name}_{suffix}", x.perm)
        return b.emit("MEAN", [value, b.integers(stored)], y, "ReducerOptions", keepDims=True)

    if centre:
        middle = mean(x, "mean")
        spread = mean(arithmetic(b, "SQUARED_DIFFERENCE", x, middle, x.perm, f"{name}_squares"), "variance")
        x = arithmetic(b, "SUB", x, middle, x.perm, f"{name}_centred")
    else:
        spread = mean(arithmetic(b, "MUL", x, x, x.perm, f"{name}_squares"), "variance")
    moved = arithmetic(b, "ADD", spread, b.constant(np.array(eps, np.float32)), spread.perm, f"{name}_moved")
    inverse = b.emit("RSQRT", [moved], b.temporary(shape, x.dtype, f"{name}_inverse", x.perm))
    return arithmetic(b, "MUL", x, inverse, x.perm, f"{name}_normal")


def scaled(b: Builder, layer: Layer, x: Value, place: Any) -> Value:
    """x·weight + bias, where there are such; ``place`` makes a stored constant of one of them."""
    for role, kind in (("weight", "MUL"), ("bias", "ADD")):
        spec = layer.inputs.get(role)
        if spec is not None:
            x = arithmetic(b, kind, x, place(spec), x.perm, f"{b.name(layer)}_{role}")
    return x


@rule("layer_norm", "rms_norm")
def layer_norm(b: Builder, layer: Layer) -> None:
    """Over the last dimensions that together have the elements normalised, else over the one of that size."""
    if len(layer.outputs) > 1:
        raise NotLoweredError("the statistics beside the result")
    size = int(layer.attrs["normalized_size"])
    x = b.value(layer.x)
    axes = _axes(x.logical, size)
    stored = tuple(sorted(x.axis(axis) for axis in axes))
    eps = float(layer.attrs.get("eps") or 1e-5)
    y = normalized(b, x, stored, eps, b.name(layer), centre=layer.op == "layer_norm")
    b.result(layer, scaled(b, layer, y, lambda spec: broadcast(b, b.value(spec), x.perm)))


def _axes(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    for first in range(len(shape) - 1, -1, -1):
        if prod(shape[first:]) == size:
            return tuple(range(first, len(shape)))
    for axis, n in enumerate(shape):
        if n == size:
            return (axis,)
    raise NotLoweredError(f"{size} elements of {shape} normalised together")


@rule("group_norm", "instance_norm")
def group_norm(b: Builder, layer: Layer) -> None:
    if "mean" in layer.inputs:
        raise NotLoweredError("an instance norm with statistics of its own")
    channels = int(layer.attrs["channels"])
    groups = channels if layer.op == "instance_norm" else int(layer.attrs["groups"])
    x = b.plain(b.value(layer.x))
    axis = channel_axis(x.shape, channels, b.graph.framework)
    if axis != 1:
        x = b.ordered(x, (0, axis, *(at for at in range(1, x.rank) if at != axis)))
    flat = b.reshaped(x, (x.shape[0], groups, channels // groups, prod(x.shape[2:])))
    y = normalized(b, flat, (2, 3), float(layer.attrs.get("eps") or 1e-5), b.name(layer))
    y = b.reshaped(y, x.shape, x.perm)
    shape = (1, channels, *(1,) * (x.rank - 2))
    b.result(layer, scaled(b, layer, y, lambda spec: b.constant(b.array(spec).reshape(shape).astype(np.float32))))


@rule("lp_normalize")
def lp_normalize(b: Builder, layer: Layer) -> None:
    if layer.attrs["p"] != 2:
        raise NotLoweredError(f"a {layer.attrs['p']}-norm")
    x = b.value(layer.x)
    axes = tuple(axis % x.rank for axis in layer.attrs["axis"])
    if len(axes) != 1 or x.axis(axes[0]) != x.rank - 1:
        x = b.ordered(x, (*(at for at in straight(x.rank) if at not in axes), *axes))
    if len(axes) != 1:
        raise NotLoweredError("a norm over several dimensions")
    y = b.temporary(x.shape, x.dtype, b.name(layer), x.perm)
    b.result(layer, b.emit("L2_NORMALIZATION", [x], y, "L2NormOptions"))


@rule("local_response_norm")
def local_response_norm(b: Builder, layer: Layer) -> None:
    a = layer.attrs
    x = b.value(layer.x)
    axis = channel_axis(x.logical, int(a["channels"]), b.graph.framework)
    if x.rank != 4:
        raise NotLoweredError("a response norm of no image")
    x = b.ordered(x, (*(at for at in range(4) if at != axis), axis))
    size = int(a["size"])
    y = b.temporary(x.shape, x.dtype, b.name(layer), x.perm)
    settings: dict[str, Any] = {"radius": size // 2, "bias": float(a.get("k", 1)), "beta": float(a.get("beta", 0.75))}
    alpha = float(a.get("alpha", 1e-4)) / size
    b.result(
        layer,
        b.emit("LOCAL_RESPONSE_NORMALIZATION", [x], y, "LocalResponseNormalizationOptions", alpha=alpha, **settings),
    )


__all__ = ["normalized", "scaled", "shape_of"]
