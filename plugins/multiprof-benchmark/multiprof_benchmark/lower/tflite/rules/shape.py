"""Layers that move data. A transpose is a name for another order of the same elements, until an order matters."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.parts import cut_of
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.images import padded
from multiprof_benchmark.lower.tflite.loops import of_step
from multiprof_benchmark.lower.tflite.rules.elementwise import broadcast, common
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, permuted, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


@rule("identity", "dropout", "copy", "dequantize", "quantize", "requantize", "fake_quantize")
def same(b: Builder, layer: Layer) -> None:
    """Nothing, in a program of 32-bit floats."""
    x = b.value(layer.x)
    if x.dtype != b.dtype(layer.y):
        raise NotLoweredError(f"{x.dtype} becomes {b.dtype(layer.y)}")
    b.result(layer, x)


@rule("reshape")
def reshape(b: Builder, layer: Layer) -> None:
    shape = shape_of(layer.y)
    x = b.value(layer.x)
    if [n for n in x.shape if n != 1] == [n for n in x.logical if n != 1] == [n for n in shape if n != 1]:
        larger = [n for n in x.shape if n != 1]
        if len(set(larger)) == len(larger):  # only dimensions of 1 come and go
            b.result(layer, b.reshaped(x, shape, None, b.name(layer)))
            return
    b.result(layer, b.reshaped(b.plain(x), shape, None, b.name(layer)))


@rule("transpose")
def transpose(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    perm = layer.attrs.get("perm")
    if "block_shape" in layer.attrs:
        _blocks(b, layer, b.plain(x))
        return
    if perm is None and x.rank != 2:
        raise NotLoweredError("a transpose that does not say which dimensions go where")
    moves = tuple(axis % x.rank for axis in perm or (1, 0))
    b.result(layer, Value(x.number, x.shape, x.dtype, tuple(moves.index(axis) for axis in x.perm)))


def _blocks(b: Builder, layer: Layer, x: Value) -> None:
    """Space moved into the batch, or back."""
    block = [int(n) for n in layer.attrs["block_shape"]]
    shape = shape_of(layer.y)
    into = shape[0] > x.shape[0]
    kind = "SPACE_TO_BATCH_ND" if into else "BATCH_TO_SPACE_ND"
    options = "SpaceToBatchNDOptions" if into else "BatchToSpaceNDOptions"
    nothing = b.writer.constant(np.zeros((len(block), 2), np.int32), "paddings")
    y = b.temporary(shape, x.dtype, b.name(layer))
    b.result(layer, b.emit(kind, [x, b.integers(block), nothing], y, options))


@rule("concat")
def concat(b: Builder, layer: Layer) -> None:
    specs = [spec for spec in layer.inputs.values() if 0 not in spec.shape]
    perm = common(b, specs, layer.y)
    parts = [b.ordered(b.value(spec), perm) for spec in specs]
    y = b.make(layer.y, perm)
    axis = perm.index(int(layer.attrs.get("axis", 0)) % y.rank)
    b.result(layer, b.emit("CONCATENATION", parts, y, "ConcatenationOptions", axis=axis))


@rule("stack")
def stack(b: Builder, layer: Layer) -> None:
    parts = [b.plain(b.value(spec)) for spec in layer.inputs.values()]
    y = b.make(layer.y, straight(layer.y.rank))
    axis = int(layer.attrs.get("axis", 0)) % y.rank
    if len(parts) == 1:  # of a loop: what its last trip has left stands for them all
        parts *= y.shape[axis]
    b.result(layer, b.emit("PACK", parts, y, "PackOptions", valuesCount=len(parts), axis=axis))


@rule("split")
def split(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    roles = list(layer.outputs)
    shapes = [shape_of(layer.outputs[role]) for role in roles]
    axis = int(layer.attrs.get("axis", 0)) % x.rank
    if all(len(shape) == x.rank - 1 for shape in shapes) and len(shapes) == x.logical[axis]:
        _unpacked(b, layer, x, axis)
        return
    if any(len(shape) != x.rank for shape in shapes):
        raise NotLoweredError("pieces of another rank")
    parts = [
        b.temporary(permuted(s, x.perm), x.dtype, layer.outputs[r].name, x.perm)
        for r, s in zip(roles, shapes, strict=True)
    ]
    where = b.writer.constant(np.array(x.axis(axis), dtype=np.int32), "axis")
    sizes = [shape[axis] for shape in shapes]
    if sum(sizes) != x.logical[axis]:
        raise NotLoweredError("pieces that are not all")
    if len(set(sizes)) == 1:
        b.writer.operator("SPLIT", [where, x.number], [p.number for p in parts], "SplitOptions", numSplits=len(parts))
    else:
        operands = [x.number, b.integers(sizes), where]
        b.writer.operator("SPLIT_V", operands, [p.number for p in parts], "SplitVOptions", numSplits=len(parts))
    for role, part in zip(roles, parts, strict=True):
        b.result(layer, part, role)


def _unpacked(b: Builder, layer: Layer, x: Value, axis: int) -> None:
    """Pieces of one element each, without the dimension they were cut along."""
    kept = [at for at in x.perm if at != axis]
    perm = tuple(at - (at > axis) for at in kept)
    parts = {
        role: b.temporary(permuted(shape_of(spec), perm), x.dtype, spec.name, perm)
        for role, spec in layer.outputs.items()
    }
    numbers = [part.number for part in parts.values()]
    b.writer.operator("UNPACK", [x.number], numbers, "UnpackOptions", num=len(parts), axis=x.axis(axis))
    for role, part in parts.items():
        b.result(layer, part, role)


@rule("slice")
def slice_(b: Builder, layer: Layer) -> None:
    if layer.attrs.get("index") == "step":
        of_step(b, layer)
        return
    x = b.value(layer.x)
    part = _INTERLEAVED.fullmatch(str(layer.attrs.get("index")))
    if part is not None:
        _interleaved(b, layer, b.plain(x), int(part[1]), int(part[2]))
        return
    cut, _ = cut_of(layer)
    kept = [item for item in cut if item is not None]
    if len(kept) != x.rank:
        raise NotLoweredError(f"the part {layer.attrs.get('index')!r}")
    begin, end, step = [], [], []
    for item in kept:
        places = range(item, item + 1) if isinstance(item, int) else item
        begin.append(places.start)
        step.append(places.step)
        end.append(places.start + len(places) * places.step)
    if any(s < 0 for s in step):
        raise NotLoweredError("a part that runs backwards")
    shape = [len(range(lo, hi, s)) for lo, hi, s in zip(begin, end, step, strict=True)]
    stored = permuted(shape, x.perm)
    rest = shape_of(layer.y)
    y = x
    if tuple(stored) != x.shape:
        bounds = [b.integers(permuted(values, x.perm)) for values in (begin, end, step)]
        last = rest == tuple(shape)
        y = b.temporary(stored, x.dtype, b.name(layer) if last else f"{b.name(layer)}_part", x.perm)
        b.emit("STRIDED_SLICE", [x, *bounds], y, "StridedSliceOptions")
    b.result(layer, y if rest == tuple(shape) else b.reshaped(b.plain(y), rest, None, b.name(layer)))


_INTERLEAVED = re.compile(r"part (\d+) of (\d+) of each head")


def _interleaved(b: Builder, layer: Layer, x: Value, number: int, parts: int) -> None:
    """Of (length, batch, heads · parts · size) one part of every head, as (batch · heads, length, size)."""
    rows, length, size = shape_of(layer.y)
    wide = b.reshaped(x, (length * rows, parts, size))
    begin, extent = b.integers((0, number, 0)), b.integers((length * rows, 1, size))
    piece = b.temporary((length * rows, 1, size), x.dtype, f"{b.name(layer)}_part")
    b.emit("SLICE", [wide, begin, extent], piece, "SliceOptions")
    piece = b.reshaped(piece, (length, rows, size))
    b.result(layer, b.plain(Value(piece.number, piece.shape, piece.dtype, (1, 0, 2)), b.name(layer)))


@rule("pad")
def pad(b: Builder, layer: Layer) -> None:
    a = layer.attrs
    x = b.value(layer.x)
    pairs = a["padding"]
    if len(pairs) != x.rank:
        raise NotLoweredError("a padding of other dimensions")
    if any(n < 0 for pair in pairs for n in pair):
        raise NotLoweredError("a padding that crops")
    stored = [tuple(pairs[axis]) for axis in x.perm]
    mode = a.get("mode", "constant")
    if mode == "constant":
        b.result(layer, padded(b, x, stored, float(a.get("value") or 0.0), b.name(layer)))
        return
    kinds = {"reflect": 0, "symmetric": 1}
    if mode not in kinds:
        raise NotLoweredError(f"padding by {mode!r}")
    y = b.make(layer.y, x.perm)
    table = b.writer.constant(np.array(stored, dtype=np.int32), "paddings")
    b.result(layer, b.emit("MIRROR_PAD", [x, table], y, "MirrorPadOptions", mode=kinds[mode]))


@rule("expand")
def expand(b: Builder, layer: Layer) -> None:
    shape = shape_of(layer.y)
    x = broadcast(b, b.value(layer.x), straight(len(shape)))
    if x.shape == shape:
        b.result(layer, x)
        return
    y = b.make(layer.y, straight(len(shape)))
    b.result(layer, b.emit("BROADCAST_TO", [x, b.integers(shape)], y, "BroadcastToOptions", 2))


@rule("repeat")
def repeat(b: Builder, layer: Layer) -> None:
    times = layer.attrs.get("repeats")
    x = b.plain(b.value(layer.x))
    shape = shape_of(layer.y)
    if not isinstance(times, tuple) or len(times) != x.rank:
        raise NotLoweredError("elements repeated each")
    y = b.temporary(shape, x.dtype, b.name(layer))
    b.result(layer, b.emit("TILE", [x, b.integers(times)], y, "TileOptions"))


@rule("flip")
def flip(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    axes = layer.attrs["axis"]
    y = x
    for axis in axes if isinstance(axes, tuple) else (axes,):
        y = reversed_along(b, y, x.axis(axis % x.rank), b.name(layer))
    b.result(layer, y)


def reversed_along(b: Builder, x: Value, stored: int, name: str) -> Value:
    """A stored tensor with one of its dimensions backwards."""
    made = b.temporary(x.shape, x.dtype, f"{name}_reversed", x.perm)
    return b.emit("REVERSE_V2", [x, b.integers((stored,))], made, "ReverseV2Options")


@rule("embedding", "gather")
def gather(b: Builder, layer: Layer) -> None:
    """Rows of a table, or of an activation, by index."""
    if layer.op == "embedding":
        table, places, axis = b.value(layer.inputs["weight"]), b.plain(b.value(layer.x)), 0
    else:
        table, places = b.plain(b.value(layer.x)), b.plain(b.value(layer.inputs["indices"]))
        axis = int(layer.attrs.get("axis", 0)) % table.rank
    shape = shape_of(layer.y)
    wanted = (*table.shape[:axis], *places.shape, *table.shape[axis + 1 :])
    if wanted != shape:
        raise NotLoweredError(f"elements of {table.shape} by {places.shape} along {axis}")
    if places.dtype not in ("int32", "int64"):
        places = b.emit("CAST", [places], b.temporary(places.shape, "int32", f"{b.name(layer)}_places"), "CastOptions")
    y = b.make(layer.y, straight(len(shape)))
    b.result(layer, b.emit("GATHER", [table, places], y, "GatherOptions", axis=axis))


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(b: Builder, layer: Layer) -> None:
    """By a reshape and a transpose: DEPTH_TO_SPACE takes the channels in another order."""
    x = b.plain(b.value(layer.x))
    factor = int(layer.attrs["factor"])
    n, c, h, w = x.shape
    if shape_of(layer.y) == (n, c // factor**2, h * factor, w * factor):
        parts, moves = (n, c // factor**2, factor, factor, h, w), (0, 1, 4, 2, 5, 3)
    elif shape_of(layer.y) == (n, c * factor**2, h // factor, w // factor):
        parts, moves = (n, c, h // factor, factor, w // factor, factor), (0, 1, 3, 5, 2, 4)
    else:
        raise NotLoweredError("images with their channels last")
    wide = b.reshaped(x, parts)
    made = b.temporary([parts[at] for at in moves], x.dtype, f"{b.name(layer)}_turned")
    b.emit("TRANSPOSE", [wide, b.integers(moves)], made, "TransposeOptions")
    b.result(layer, b.reshaped(made, shape_of(layer.y), None, b.name(layer)))


@rule("channel_shuffle")
def channel_shuffle(b: Builder, layer: Layer) -> None:
    x = b.value(layer.x)
    groups = int(layer.attrs["groups"])
    axis = x.axis(1 if x.rank == 4 and x.logical[1] % groups == 0 else x.rank - 1)
    before, channels, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = b.reshaped(x, (prod(before), groups, channels // groups, prod(behind)))
    made = b.temporary((prod(before), channels // groups, groups, prod(behind)), x.dtype, f"{b.name(layer)}_turned")
    b.emit("TRANSPOSE", [wide, b.integers((0, 2, 1, 3))], made, "TransposeOptions")
    b.result(layer, b.reshaped(made, x.shape, x.perm, b.name(layer)))


@rule("fill", "arange", "constant")
def made_up(b: Builder, layer: Layer) -> None:
    """Known before anything runs."""
    shape = shape_of(layer.y)
    if layer.op == "arange":
        array = np.arange(prod(shape)).reshape(shape)
    else:
        array = np.full(shape, layer.attrs.get("value") or 0)
    b.result(layer, b.constant(array.astype(b.dtype(layer.y)), layer.y.name))
