"""Pooling over windows of two dimensions and one, and over all there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, ints, pairs_of, shape_of
from multiprof_benchmark.lower.tflite.images import SAME, VALID, Images, image_shape, padded, same_pairs
from multiprof_benchmark.lower.tflite.table import rule

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

Ints = Sequence[int]
LOWEST = float(np.finfo(np.float32).min)


@rule("max_pool", "avg_pool")
def pool(b: Builder, layer: Layer) -> None:
    """A mean that leaves its padding out is SAME where that is the same padding; a sum over what there is, else, is
    multiplied by one over how many elements each window counts."""
    a = layer.attrs
    rank = len(a["kernel_size"])
    if rank == 3:
        volume(b, layer)
        return
    if "indices" in layer.outputs and layer.outputs["indices"].name in b.wanted:
        raise NotLoweredError("the positions of the maxima")
    images = Images(layer, rank)
    kernel = images.flat(a["kernel_size"])
    stride = images.flat(ints(a.get("stride") or a["kernel_size"], rank))
    if any(d != 1 for d in ints(a.get("dilation"), rank)):
        raise NotLoweredError("pooling over dilated windows")
    mean = layer.op == "avg_pool"
    x = images.read(b, layer.x)
    sizes = x.shape[1:3]
    shape = image_shape(layer.y, images)
    before = tuple(lo for lo, _ in (pairs_of(layer) if rank > 1 else ((0, 0), *pairs_of(layer))))
    reach = tuple((m - 1) * s + k for m, s, k in zip(shape[1:3], stride, kernel, strict=True))
    pairs = tuple((lo, max(r - n - lo, 0)) for lo, r, n in zip(before, reach, sizes, strict=True))
    include = bool(a.get("count_include_pad"))
    how, share = VALID, None
    if any(lo or hi for lo, hi in pairs):
        if pairs == same_pairs(sizes, kernel, stride, (1, 1)) and not (mean and include):
            how = SAME
        else:
            if mean and (not include or any(hi > lo for lo, hi in pairs)):
                share = _share(sizes, kernel, stride, pairs, shape[1:3], include, before)
            x = padded(b, x, ((0, 0), *pairs, (0, 0)), 0.0 if mean else LOWEST, b.name(layer))
    if mean and a.get("divisor") is not None:
        share = np.full(shape[1:3], kernel[0] * kernel[1] / a["divisor"], np.float32)
    name = b.name(layer)
    kind = "AVERAGE_POOL_2D" if mean else "MAX_POOL_2D"
    plain = share is None and rank == 2
    y = b.temporary(shape, x.dtype, name if plain else f"{name}_window")
    b.emit(kind, [x], y, "Pool2DOptions", padding=how, strideH=stride[0], strideW=stride[1], filterHeight=kernel[0],
           filterWidth=kernel[1], fusedActivationFunction=0 if share is not None else b.activation(layer))  # fmt: skip
    if share is not None:
        factors = b.constant(share.reshape(1, *share.shape, 1).astype(np.float32))
        made = b.temporary(shape, x.dtype, name if rank == 2 else f"{name}_mean")
        y = b.emit("MUL", [y, factors], made, "MulOptions", fusedActivationFunction=b.activation(layer))
    images.write(b, layer, y)


def volume(b: Builder, layer: Layer) -> None:
    """Pooling in three dimensions: of every image of the stack, then of every column through it."""
    a = layer.attrs
    images = Images(layer, 3)
    kernel, stride = tuple(a["kernel_size"]), ints(a.get("stride") or a["kernel_size"], 3)
    shape = image_shape(layer.y, images)
    x = images.read(b, layer.x)
    reach = tuple((m - 1) * s + k for m, s, k in zip(shape[1:4], stride, kernel, strict=True))
    if any(lo or hi for lo, hi in pairs_of(layer)) or any(r > n for r, n in zip(reach, x.shape[1:4], strict=True)):
        raise NotLoweredError("pooling in three dimensions with padding")
    if any(d != 1 for d in ints(a.get("dilation"), 3)) or a.get("divisor") is not None:
        raise NotLoweredError("pooling in three dimensions, dilated or with a divisor of its own")
    kind = "AVERAGE_POOL_2D" if layer.op == "avg_pool" else "MAX_POOL_2D"
    n, depth, height, width, channels = x.shape
    flat = b.reshaped(x, (n * depth, height, width, channels))
    y = b.temporary((n * depth, *shape[2:4], channels), x.dtype, f"{b.name(layer)}_images")
    b.emit(kind, [flat], y, "Pool2DOptions", padding=VALID, strideH=stride[1], strideW=stride[2],
           filterHeight=kernel[1], filterWidth=kernel[2])  # fmt: skip
    columns = b.reshaped(y, (n, depth, shape[2] * shape[3], channels))
    y = b.temporary((n, shape[1], shape[2] * shape[3], channels), x.dtype, f"{b.name(layer)}_columns")
    b.emit(kind, [columns], y, "Pool2DOptions", padding=VALID, strideH=stride[0], strideW=1, filterHeight=kernel[0],
           filterWidth=1, fusedActivationFunction=b.activation(layer))  # fmt: skip
    images.write(b, layer, b.reshaped(y, shape, images.perm, b.name(layer)))


def _share(
    sizes: Ints, kernel: Ints, stride: Ints, pairs: Sequence[tuple[int, int]], made: Ints, include: bool, before: Ints
) -> Any:
    """Elements of a window over those that a mean counts, for every window."""
    counts = []
    for n, k, s, (lo, _), m, declared in zip(sizes, kernel, stride, pairs, made, before, strict=True):
        starts = np.arange(m) * s - lo
        first, last = (-declared, n + declared) if include else (0, n)
        counts.append(np.minimum(starts + k, last) - np.maximum(starts, first))
    return (kernel[0] * kernel[1]) / np.outer(*counts)


@rule("adaptive_avg_pool", "adaptive_max_pool")
def adaptive(b: Builder, layer: Layer) -> None:
    """Windows of equal size, or all there is."""
    size = tuple(layer.attrs["output_size"])
    rank = len(size)
    images = Images(layer, rank)
    mean = layer.op == "adaptive_avg_pool"
    given = images.sizes(shape_of(layer.x))
    x = images.read(b, layer.x)
    shape = image_shape(layer.y, images)
    if all(n == 1 for n in size):
        y = b.temporary(shape, x.dtype, b.name(layer) if rank > 1 else f"{b.name(layer)}_mean")
        axes = b.integers(range(1, x.rank - 1))
        b.emit("MEAN" if mean else "REDUCE_MAX", [x, axes], y, "ReducerOptions", keepDims=True)
        images.write(b, layer, y)
        return
    if rank == 3 or any(n % m for n, m in zip(given, size, strict=True)):
        raise NotLoweredError(f"windows of {given} that tile into {size} unevenly")
    kernel = images.flat([n // m for n, m in zip(given, size, strict=True)])
    y = b.temporary(shape, x.dtype, b.name(layer) if rank > 1 else f"{b.name(layer)}_window")
    b.emit("AVERAGE_POOL_2D" if mean else "MAX_POOL_2D", [x], y, "Pool2DOptions", padding=VALID, strideH=kernel[0],
           strideW=kernel[1], filterHeight=kernel[0], filterWidth=kernel[1])  # fmt: skip
    images.write(b, layer, y)
