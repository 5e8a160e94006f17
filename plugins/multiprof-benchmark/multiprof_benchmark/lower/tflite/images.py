"""Images as TensorFlow Lite takes them: batch, height, width, channels; sequences are images of height 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.layouts import image_axes
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.values import Perm, Value

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder

SAME, VALID = int(schema.Padding.SAME), int(schema.Padding.VALID)
Pairs = tuple[tuple[int, int], ...]


class Images:
    """The order of a layer's images: ``perm`` stores (N, spatial …, C)."""

    def __init__(self, layer: Layer, rank: int) -> None:
        form = layer.attrs.get("data_format") or "NC" + "DHW"[3 - rank :]
        if len(form) != layer.x.rank:
            raise NotLoweredError(f"the format {form!r} of a tensor of rank {layer.x.rank}")
        batch, channels, spatial = image_axes(form, rank)
        if batch is None:
            raise NotLoweredError("an image without a batch dimension")
        if rank > 3:
            raise NotLoweredError(f"images of {rank} dimensions")
        self.rank = rank
        self.spatial = spatial
        self.perm: Perm = (batch, *spatial, channels)

    def sizes(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape[axis] for axis in self.spatial)

    def read(self, b: Builder, spec: TensorSpec) -> Value:
        """The image with its channels last; a sequence as an image of height 1."""
        value = b.ordered(b.value(spec), self.perm)
        if self.rank == 1:
            n, length, c = value.shape
            value = b.reshaped(value, (n, 1, length, c))
        return value

    def write(self, b: Builder, layer: Layer, value: Value, role: str = "y") -> None:
        """Take an image as the layer's result."""
        if self.rank == 1:
            n, _, length, c = value.shape
            value = b.reshaped(value, (n, length, c), self.perm, b.name(layer, role))
        b.result(layer, Value(value.number, value.shape, value.dtype, self.perm), role)

    def flat(self, numbers: Sequence[int], fill: int = 1) -> tuple[int, ...]:
        """One number per spatial dimension, with that of a sequence's height."""
        return (fill, *numbers) if self.rank == 1 else tuple(numbers)


def same_pairs(sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Pairs:
    """The padding that SAME stands for: as much as makes ⌈size/stride⌉ windows, the odd element behind."""
    found = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


def padding(
    b: Builder, value: Value, pairs: Pairs, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
    dilation: Sequence[int], fill: float = 0.0, name: str = "",
) -> tuple[Value, int]:  # fmt: skip
    """The image to read and the padding to say: SAME or VALID where they mean these pairs, else a PAD before."""
    if not any(lo or hi for lo, hi in pairs):
        return value, VALID
    if pairs == same_pairs(sizes, kernel, stride, dilation):
        return value, SAME
    if any(lo < 0 or hi < 0 for lo, hi in pairs):
        raise NotLoweredError(f"the padding {pairs} crops")
    inner = ((0, 0), *pairs) if len(pairs) == value.rank - 2 else ((0, 0), (0, 0), *pairs)
    return padded(b, value, (*inner, (0, 0)), fill, name), VALID


def padded(b: Builder, value: Value, pairs: Sequence[tuple[int, int]], fill: float, name: str = "") -> Value:
    """A stored tensor with each stored dimension padded by a pair."""
    shape = [n + lo + hi for n, (lo, hi) in zip(value.shape, pairs, strict=True)]
    made = b.temporary(
        shape, value.dtype, f"{name or 'image'}_pad", value.perm if len(value.perm) == len(shape) else None
    )
    table = b.writer.constant(np.array(pairs, dtype=np.int32), "paddings")
    if fill == 0.0:
        return b.emit("PAD", [value, table], made, "PadOptions")
    constant = b.constant(np.array([fill], dtype=value.dtype))
    return b.emit("PADV2", [value, table, constant], made, "PadV2Options")


def image_shape(spec: TensorSpec, images: Images) -> tuple[int, ...]:
    """The stored shape of an image (four dimensions for a sequence)."""
    shape = shape_of(spec)
    stored = tuple(shape[axis] for axis in images.perm)
    return (stored[0], 1, *stored[1:]) if images.rank == 1 else stored


__all__ = ["SAME", "VALID", "Images", "image_shape", "padded", "padding", "same_pairs"]
