"""Operators that only move elements: reshape, transpose, concatenation, slices, padding, blocks of space."""

from __future__ import annotations

from collections.abc import Sequence

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.slices import DROPPED, slice_ranges, strided_picks
from multiprof.ir import Shape

VIEW = (("y", "x", "view"),)


def axis_of(node: Node, axis: int, rank: int) -> int:
    return normal_axis(axis, rank, where=f"{node.walker.writer.name}: {node.operator.where}")


def count_of(shape: Shape) -> int | None:
    total = 1
    for d in shape:
        if d is None:
            return None
        total *= d
    return total


def reshaped(node: Node, old: Shape, new: Sequence[int | None]) -> Shape:
    """``new`` with its −1 worked out."""
    found = list(new)
    if any(d is not None and d < -1 for d in found) or found.count(-1) > 1:
        raise node.fail(f"it cannot make the shape {tuple(new)}")
    total = count_of(old)
    if -1 in found:
        at = found.index(-1)
        rest = count_of(tuple(found[:at] + found[at + 1 :]))
        if total is None or rest is None:
            found[at] = None
        elif rest == 0 or total % rest:
            raise node.fail(f"{total} elements do not fill the shape {tuple(new)}")
        else:
            found[at] = total // rest
    made = count_of(tuple(found))
    if total is not None and made is not None and total != made:
        raise node.fail(f"{old} has {total} elements, the shape {tuple(found)} has {made}")
    return tuple(found)


@rule("RESHAPE")
def reshape(node: Node) -> None:
    """The shape is operand 1, or an option in older files."""
    x = node.x(0)
    new: Sequence[int | None] | None = node.values(1) if node.has(1) else node.options["new_shape"]
    if new is not None and not node.has(1) and new == (0,):
        new = ()  # a scalar, as some converters write it
    shape = None if new is None else reshaped(node, x.shape, [None if d is None else int(d) for d in new])
    y = node.result(shape)
    node.layer("reshape", {"x": x}, {"y": y}, {"shape": y.shape}, aliases=VIEW)
    node.bind(0, y)


@rule("STABLEHLO_RESHAPE")
def hlo_reshape(node: Node) -> None:
    y = node.result(node.declared(0).shape)
    node.layer("reshape", {"x": node.x()}, {"y": y}, {"shape": y.shape}, aliases=VIEW)
    node.bind(0, y)


@rule("SQUEEZE")
def squeeze(node: Node) -> None:
    shape = node.shape()
    axes = {axis_of(node, a, len(shape)) for a in node.options["squeeze_dims"]}
    if any(shape[a] not in (1, None) for a in axes):
        raise node.fail(f"axes {sorted(axes)} of the shape {shape} are not all 1")
    if not axes and None not in shape:
        axes = {i for i, d in enumerate(shape) if d == 1}
    found = tuple(d for i, d in enumerate(shape) if i not in axes)
    node.emit("reshape", {"x": node.x()}, found, {"shape": found}, aliases=VIEW)


@rule("EXPAND_DIMS")
def expand_dims(node: Node) -> None:
    shape = node.shape()
    axis = axis_of(node, node.need_ints(1, "axis")[0], len(shape) + 1)
    found = (*shape[:axis], 1, *shape[axis:])
    node.emit("reshape", {"x": node.x()}, found, {"shape": found}, aliases=VIEW)


@rule("TRANSPOSE", "STABLEHLO_TRANSPOSE")
def transpose(node: Node) -> None:
    shape = node.shape()
    perm = node.need_ints(1, "permutation") if node.code == "TRANSPOSE" else node.options["permutation"]
    perm = tuple(axis_of(node, p, len(shape)) for p in perm)
    if sorted(perm) != list(range(len(shape))):
        raise node.fail(f"{perm} is no permutation of {len(shape)} axes")
    node.emit("transpose", {"x": node.x()}, tuple(shape[p] for p in perm), {"perm": perm})


def _agree(node: Node, shapes: Sequence[Shape], axis: int) -> Shape:
    """The common shape of operands that may differ along ``axis`` only."""
    found = list(shapes[0])
    for shape in shapes[1:]:
        if len(shape) != len(found):
            raise node.fail(f"the shapes {shapes[0]} and {shape} differ in rank")
        for i, d in enumerate(shape):
            if i == axis or d is None:
                continue
            if found[i] is None:
                found[i] = d
            elif found[i] != d:
                raise node.fail(f"the shapes {shapes[0]} and {shape} differ on axis {i}")
    return tuple(found)


@rule("CONCATENATION", "STABLEHLO_CONCATENATE")
def concatenation(node: Node) -> None:
    operands = node.all()
    if not operands:
        raise node.fail("it joins nothing")
    shapes = [x.shape for x in operands]
    axis = axis_of(node, node.options["axis" if node.code == "CONCATENATION" else "dimension"], len(shapes[0]))
    common = _agree(node, shapes, axis)
    sizes = [shape[axis] for shape in shapes]
    total = None if None in sizes else sum(d for d in sizes if d is not None)
    inputs = {f"x{i}": x for i, x in enumerate(operands)}
    fused = node.options.get("fused_activation_function", 0)
    node.emit("concat", inputs, (*common[:axis], total, *common[axis + 1 :]), {"axis": axis}, fused=fused)


@rule("PACK")
def pack(node: Node) -> None:
    operands = node.all()
    if not operands:
        raise node.fail("it joins nothing")
    axis = axis_of(node, node.options["axis"], operands[0].rank + 1)
    common = _agree(node, [x.shape for x in operands], -1)
    inputs = {f"x{i}": x for i, x in enumerate(operands)}
    node.emit("stack", inputs, (*common[:axis], len(operands), *common[axis:]), {"axis": axis})


def _cut(node: Node, x: int, axis: int, shapes: Sequence[Shape], sizes: Sequence[int | None]) -> None:
    results = [node.result(shape, number) for number, shape in enumerate(shapes)]
    outputs = {f"y{i}": y for i, y in enumerate(results)}
    node.layer("split", {"x": node.x(x)}, outputs, {"axis": axis, "sizes": tuple(sizes)})
    for number, y in enumerate(results):
        node.bind(number, y)


@rule("UNPACK")
def unpack(node: Node) -> None:
    shape = node.shape()
    axis = axis_of(node, node.options["axis"], len(shape))
    if shape[axis] not in (None, node.outputs):
        raise node.fail(f"axis {axis} of {shape} does not fall into {node.outputs} pieces")
    piece = (*shape[:axis], *shape[axis + 1 :])
    _cut(node, 0, axis, [piece] * node.outputs, [1] * node.outputs)


@rule("SPLIT")
def split(node: Node) -> None:
    """Operands: axis, x."""
    shape = node.shape(1)
    axis = axis_of(node, node.need_ints(0, "axis")[0], len(shape))
    size = shape[axis]
    if not node.outputs or (size is not None and size % node.outputs):
        raise node.fail(f"axis {axis} of {shape} does not fall into {node.outputs} equal pieces")
    each = None if size is None else size // node.outputs
    piece = (*shape[:axis], each, *shape[axis + 1 :])
    _cut(node, 1, axis, [piece] * node.outputs, [each] * node.outputs)


@rule("SPLIT_V")
def split_v(node: Node) -> None:
    """Operands: x, sizes of the pieces (one may be −1, the rest), axis."""
    shape = node.shape(0)
    axis = axis_of(node, node.need_ints(2, "axis")[0], len(shape))
    sizes: list[int | None] = list(node.need_ints(1, "sizes"))
    if len(sizes) != node.outputs or sizes.count(-1) > 1:
        raise node.fail(f"the sizes {tuple(sizes)} do not make {node.outputs} pieces")
    size = shape[axis]
    if -1 in sizes:
        at = sizes.index(-1)
        rest = sum(d for i, d in enumerate(sizes) if i != at and d is not None)
        sizes[at] = None if size is None else size - rest
    elif size is not None and sum(d for d in sizes if d is not None) != size:
        raise node.fail(f"the sizes {tuple(sizes)} do not add up to {size}")
    _cut(node, 0, axis, [(*shape[:axis], d, *shape[axis + 1 :]) for d in sizes], sizes)


# -- parts -----------------------------------------------------------------------------------------------------------


def _described(pick: range | None) -> tuple[int, int, int] | None:
    return None if pick is None else (pick.start, pick.stop, pick.step)


@rule("SLICE")
def slice_(node: Node) -> None:
    picks = slice_ranges(node)
    if picks is None:
        size = node.values(2)
        shape = None if size is None or -1 in size else tuple(size)
        node.emit("slice", {"x": node.x()}, shape or (None,) * node.x().rank, {"index": None})
        return
    shape = tuple(None if p is None else len(p) for p in picks)
    node.emit("slice", {"x": node.x()}, shape, {"index": tuple(_described(p) for p in picks)})


@rule("STRIDED_SLICE")
def strided_slice(node: Node) -> None:
    picks = strided_picks(node)
    if picks is None:
        node.emit("slice", {"x": node.x()}, (None,) * len(node.declared(0).shape), {"index": None})
        return
    shape = tuple(pick.size for pick in picks if pick.axis != DROPPED)
    node.emit("slice", {"x": node.x()}, shape, {"index": tuple((_described(p.places), p.axis) for p in picks)})


# -- larger ----------------------------------------------------------------------------------------------------------


@rule("PAD", "PADV2", "MIRROR_PAD")
def pad(node: Node) -> None:
    """Operands: x, a table of (before, after) for every dimension, the value."""
    shape = node.shape(0)
    table = node.values(1)
    attrs: dict[str, object] = {"mode": "constant"}
    if node.code == "MIRROR_PAD":
        attrs["mode"] = "reflect" if node.options["mode"] == 0 else "symmetric"
    elif node.code == "PADV2":
        value = node.values(2)
        attrs["value"] = value[0] if value else None
    if table is None:
        node.emit("pad", {"x": node.x()}, (None,) * len(shape), attrs | {"padding": None})
        return
    if len(table) != 2 * len(shape):
        raise node.fail(f"a table of {len(table)} paddings for the shape {shape}")
    pairs = tuple(zip(table[::2], table[1::2], strict=True))
    if any(p is not None and p < 0 for p in table):
        raise node.fail(f"the paddings {pairs} are negative")
    found = tuple(
        None if d is None or a is None or b is None else d + a + b for d, (a, b) in zip(shape, pairs, strict=True)
    )
    node.emit("pad", {"x": node.x()}, found, attrs | {"padding": pairs})


@rule("TILE")
def tile(node: Node) -> None:
    shape, repeats = node.shape(0), node.values(1)
    if repeats is None:
        node.emit("repeat", {"x": node.x(0), "repeats": node.x(1)}, (None,) * len(shape))
        return
    if len(repeats) != len(shape) or any(r is not None and r < 0 for r in repeats):
        raise node.fail(f"it repeats the shape {shape} {repeats} times")
    found = tuple(None if d is None or r is None else d * r for d, r in zip(shape, repeats, strict=True))
    node.emit("repeat", {"x": node.x()}, found, {"repeats": tuple(repeats)})


@rule("BROADCAST_TO")
def broadcast_to(node: Node) -> None:
    target = node.values(1)
    size = node.shape(1)
    shape = tuple(target) if target is not None else (None,) * (size[0] or 0) if len(size) == 1 else None
    y = node.result(shape)
    node.layer("expand", {"x": node.x()}, {"y": y}, {"shape": y.shape})
    node.bind(0, y)


@rule("STABLEHLO_BROADCAST_IN_DIM")
def broadcast_in_dim(node: Node) -> None:
    y = node.result(node.declared(0).shape)
    attrs = {"shape": y.shape, "axes": node.options["broadcast_dimensions"]}
    node.layer("expand", {"x": node.x()}, {"y": y}, attrs)
    node.bind(0, y)


@rule("REVERSE_V2", "REVERSE_SEQUENCE")
def reverse(node: Node) -> None:
    shape = node.shape()
    axes = node.ints(1) if node.code == "REVERSE_V2" else (node.options["seq_dim"],)
    axis = None if axes is None else tuple(axis_of(node, a, len(shape)) for a in axes)
    node.emit("flip", {"x": node.x()}, shape, {"axis": axis})


@rule("DILATE")
def dilate(node: Node) -> None:
    """Operands: x, how far its elements are to stand apart on each axis, the value between them."""
    shape, factors = node.shape(0), node.need_ints(1, "factors")
    if len(factors) != len(shape) or min(factors, default=1) < 1:
        raise node.fail(f"the factors {factors} do not fit the shape {shape}")
    found = tuple(None if d is None else (d - 1) * f + 1 if d else 0 for d, f in zip(shape, factors, strict=True))
    node.emit("pad", {"x": node.x()}, found, {"mode": "constant", "interior": tuple(f - 1 for f in factors)})


# -- space and channels ----------------------------------------------------------------------------------------------


@rule("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def blocks(node: Node) -> None:
    n, h, w, c = node.shape(0, 4)
    block = node.options["block_size"]
    if block < 1:
        raise node.fail(f"its block size is {block}")
    if node.code == "DEPTH_TO_SPACE":
        if c is not None and c % (block * block):
            raise node.fail(f"{c} channels do not fill blocks of {block}×{block}")
        shape = (n, _times(h, block), _times(w, block), None if c is None else c // (block * block))
    else:
        if any(d is not None and d % block for d in (h, w)):
            raise node.fail(f"{h}×{w} does not fall into blocks of {block}×{block}")
        shape = (n, None if h is None else h // block, None if w is None else w // block, _times(c, block * block))
    op = "pixel_shuffle" if node.code == "DEPTH_TO_SPACE" else "pixel_unshuffle"
    node.emit(op, {"x": node.x()}, shape, {"factor": block})


def _times(size: int | None, factor: int) -> int | None:
    return None if size is None else size * factor


@rule("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")
def batch_blocks(node: Node) -> None:
    """Operands: x, sizes of a block, a table of paddings (before) or of crops (after)."""
    shape = node.shape(0)
    block, table = node.need_ints(1, "block"), node.need_ints(2, "table")
    m = len(block)
    if len(shape) < m + 1 or len(table) != 2 * m or min((*block, 1)) < 1 or min((*table, 0)) < 0:
        raise node.fail(f"blocks of {block} with {table} do not fit the shape {shape}")
    pairs = list(zip(table[::2], table[1::2], strict=True))
    rest = shape[m + 1 :]
    total = 1
    for b in block:
        total *= b
    x = node.x()
    if node.code == "SPACE_TO_BATCH_ND":
        padded = tuple(None if d is None else d + a + b for d, (a, b) in zip(shape[1 : m + 1], pairs, strict=True))
        if any(d is not None and d % b for d, b in zip(padded, block, strict=True)):
            raise node.fail(f"{padded} does not fall into blocks of {block}")
        if any(table):
            made = node.between((shape[0], *padded, *rest), x, True)
            padding = ((0, 0), *pairs, *((0, 0) for _ in rest))
            node.layer("pad", {"x": x}, {"y": made}, {"mode": "constant", "padding": padding}, piece="pad")
            x = made
        spatial = tuple(None if d is None else d // b for d, b in zip(padded, block, strict=True))
        node.emit("transpose", {"x": x}, (_times(shape[0], total), *spatial, *rest), {"block_shape": block})
        return
    if shape[0] is not None and shape[0] % total:
        raise node.fail(f"a batch of {shape[0]} does not fall into blocks of {block}")
    batch = None if shape[0] is None else shape[0] // total
    spatial = tuple(_times(d, b) for d, b in zip(shape[1 : m + 1], block, strict=True))
    attrs = {"block_shape": block}
    if not any(table):
        node.emit("transpose", {"x": x}, (batch, *spatial, *rest), attrs)
        return
    made = node.between((batch, *spatial, *rest), x, True)
    node.layer("transpose", {"x": x}, {"y": made}, attrs, piece="transpose")
    cropped = tuple(None if d is None else d - a - b for d, (a, b) in zip(spatial, pairs, strict=True))
    node.emit("slice", {"x": made}, (batch, *cropped, *rest), {"index": tuple(pairs)})


__all__ = ["axis_of", "count_of"]
