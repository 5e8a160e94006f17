"""Operations that move, drop or repeat elements."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.tensorflow.node import VIEW_OF_X, Node
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import TensorSpec


@rule(
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics", "CheckNumericsV2", "IdentityN",
    "EnsureShape", "DebugIdentityV2", "XlaSharding", "XlaOptimizationBarrier",
)  # fmt: skip
def same(node: Node) -> None:
    """Nothing happens at inference: the results are the operands."""
    for number in range(len(node.outputs)):
        node.bind(number, node.value(number))


@rule("Reshape", "Squeeze", "ExpandDims")
def reshape(node: Node) -> None:
    node.view("reshape", {"shape": node.y().shape})


@rule("Transpose", "ConjugateTranspose")
def transpose(node: Node) -> None:
    x, perm = node.x(), node.ints(1)
    if perm == tuple(range(x.rank)):
        node.same()
    else:
        node.layer("transpose", {"x": x}, None, {} if perm is None else {"perm": perm})


@rule("Concat", "ConcatV2")
def concat(node: Node) -> None:
    last = len(node.inputs) - 1
    place, parts = (0, range(1, last + 1)) if node.op == "Concat" else (last, range(last))
    axis = node.scalar(place)
    if len(parts) == 1:
        node.same(of=parts[0])
        return
    operands = {f"x{i}": node.x(number) for i, number in enumerate(parts)}
    attrs = {} if axis is None else {"axis": normal_axis(int(axis), operands["x0"].rank, where=node.where)}
    node.layer("concat", operands, None, attrs)


@rule("Pack", "ParallelConcat")
def pack(node: Node) -> None:
    y = node.y()
    axis = int(node.attr("axis", 0)) % max(y.rank, 1)
    node.layer("stack", {f"x{i}": node.x(i) for i in range(len(node.inputs))}, y, {"axis": axis})


@rule("Unpack")
def unpack(node: Node) -> None:
    x = node.x()
    axis = normal_axis(int(node.attr("axis", 0)), x.rank, where=node.where)
    count = len(node.outputs)
    node.layer("split", {"x": x}, {f"y{i}": node.y(i) for i in range(count)}, {"axis": axis, "sizes": (1,) * count})


@rule("Split", "SplitV")
def split(node: Node) -> None:
    """axis and x, or x, sizes and axis."""
    place, number = (1, 0) if node.op == "Split" else (0, 2)
    x, axis = node.x(place), node.scalar(number)
    outputs = {f"y{i}": node.y(i) for i in range(len(node.outputs))}
    if len(outputs) == 1:
        node.same(of=place)
        return
    attrs: dict[str, Any] = {}
    if axis is not None:
        attrs["axis"] = normal_axis(int(axis), x.rank, where=node.where)
        sizes = tuple(y.shape[attrs["axis"]] for y in outputs.values())
        if None not in sizes:
            attrs["sizes"] = sizes
    node.layer("split", {"x": x}, outputs, attrs)


@rule("Slice")
def slice_(node: Node) -> None:
    begin, size = node.ints(1), node.ints(2)
    attrs = {}
    if begin is not None and size is not None:
        parts = zip(begin, size, strict=False)
        attrs["index"] = ", ".join(f"{i}[{b}:{'' if n < 0 else b + n}]" for i, (b, n) in enumerate(parts))
    node.layer("slice", {"x": node.x(0)}, None, attrs)


@rule("StridedSlice")
def strided_slice(node: Node) -> None:
    """A part by position; where only dimensions of 1 come or go it is a reshape."""
    x, y = node.x(0), node.y()
    if None not in x.shape and None not in y.shape and x.numel == y.numel and not _backwards(node):
        node.layer("reshape", {"x": x}, y, {"shape": y.shape}, aliases=VIEW_OF_X)
        return
    found = [node.ints(i) for i in (1, 2, 3)]
    attrs: dict[str, Any] = {}
    if None not in found:
        begin, end, step = found
        attrs["index"] = ", ".join(
            f"{i}[{b}:{e}:{s}]"
            for i, (b, e, s) in enumerate(zip(begin, end, step, strict=False))  # type: ignore[arg-type]  # no None is left
        )
        attrs |= {
            name: int(node.attr(name, 0))
            for name in ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
            if node.attr(name, 0)
        }
    node.layer("slice", {"x": x}, y, attrs)


def _backwards(node: Node) -> bool:
    steps = node.ints(3)
    return steps is None or any(s < 0 for s in steps)


@rule("BroadcastTo")
def broadcast_to(node: Node) -> None:
    node.layer("expand", {"x": node.x()}, None, {"shape": node.y().shape})


@rule("Tile")
def tile(node: Node) -> None:
    repeats = node.ints(1)
    if repeats is None:
        node.layer("repeat", {"x": node.x(0), "repeats": node.x(1)})
    else:
        node.layer("repeat", {"x": node.x(0)}, None, {"repeats": repeats})


@rule("Reverse", "ReverseV2")
def reverse(node: Node) -> None:
    found = node.const(1)
    axis: tuple[int, ...] = ()
    if found is not None:
        flat = found.ravel().tolist()
        axis = tuple(i for i, v in enumerate(flat) if v) if node.op == "Reverse" else tuple(int(v) for v in flat)
    node.layer("flip", {"x": node.x()}, None, {"axis": axis})


@rule("ReverseSequence")
def reverse_sequence(node: Node) -> None:
    node.layer("flip", {"x": node.x()}, None, {"axis": (int(node.attr("seq_dim", 0)),)})


@rule("Roll")
def roll(node: Node) -> None:
    attrs = {"shift": node.ints(1) or (), "axis": node.ints(2) or ()}
    node.layer("roll", {"x": node.x()}, None, attrs)


@rule("Pad", "PadV2", "MirrorPad")
def pad(node: Node) -> None:
    flat = node.ints(1)
    mode = {"REFLECT": "reflect", "SYMMETRIC": "replicate"}.get(node.attr("mode", ""), "constant")
    attrs: dict[str, Any] = {"mode": mode}
    if mode == "constant":
        value = node.scalar(2) if node.op == "PadV2" else 0
        attrs |= {} if value is None else {"value": value}
    if flat is not None:
        attrs["padding"] = tuple((flat[i], flat[i + 1]) for i in range(0, len(flat), 2))
        if not any(flat):
            node.same()
            return
    node.layer("pad", {"x": node.x()}, None, attrs)


@rule("DepthToSpace", "SpaceToDepth")
def blocks(node: Node) -> None:
    op = "pixel_shuffle" if node.op == "DepthToSpace" else "pixel_unshuffle"
    node.layer(op, {"x": node.x()}, None, {"factor": int(node.attr("block_size", 1))})


@rule("SpaceToBatchND", "SpaceToBatch")
def space_to_batch(node: Node) -> None:
    """Padded, then cut into blocks whose positions become samples: a transposition of the blocks."""
    x, y = node.x(), node.y()
    flat = node.ints(2) if node.op == "SpaceToBatchND" else node.ints(1)
    if flat is None or any(flat):
        made = x
        if flat is not None:
            pairs = [(0, 0)] * x.rank
            for i in range(0, len(flat), 2):
                pairs[1 + i // 2] = (flat[i], flat[i + 1])
            shape = [None if n is None else n + sum(p) for n, p in zip(x.shape, pairs, strict=True)]
            made = node.between(shape)
            node.layer("pad", {"x": x}, made, {"padding": tuple(pairs), "mode": "constant", "value": 0}, piece="pad")
        x = made
    node.layer("transpose", {"x": x}, y, {"blocks": node.ints(1) or ()})


@rule("BatchToSpaceND", "BatchToSpace")
def batch_to_space(node: Node) -> None:
    """The way back, then cropped."""
    x, y = node.x(), node.y()
    flat = node.ints(2) if node.op == "BatchToSpaceND" else node.ints(1)
    if flat is None or not any(flat):
        node.layer("transpose", {"x": x}, y, {"blocks": node.ints(1) or ()})
        return
    shape = list(y.shape)
    for i in range(0, len(flat), 2):
        size = shape[1 + i // 2]
        shape[1 + i // 2] = None if size is None else size + flat[i] + flat[i + 1]
    made = node.between(shape)
    node.layer("transpose", {"x": x}, made, {"blocks": node.ints(1) or ()}, piece="blocks")
    crops = tuple((flat[i], flat[i + 1]) for i in range(0, len(flat), 2))
    node.layer("slice", {"x": made}, y, {"index": f"cropped by {flat}", "crops": crops}, piece="crop")


@rule("ExtractImagePatches", "ExtractVolumePatches")
def patches(node: Node) -> None:
    attrs = {"kernel_size": tuple(node.attr("ksizes") or ())[1:-1], "stride": tuple(node.attr("strides") or ())[1:-1]}
    if node.attr("rates"):
        attrs["dilation"] = tuple(node.attr("rates"))[1:-1]
    node.layer("unfold", {"x": node.x()}, None, attrs)


@rule("MatrixBandPart", "BatchMatrixBandPart")
def band(node: Node) -> None:
    """Everything outside some diagonals becomes zero."""
    lower, upper = node.scalar(1), node.scalar(2)
    attrs: dict[str, Any] = {"upper": lower == 0}
    if lower is not None and upper is not None:
        attrs["diagonal"] = -int(upper) if lower == 0 and upper else int(lower) if lower > 0 else 0
    node.layer("triangle", {"x": node.x()}, None, attrs)


@rule("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3", "DiagPart")
def diagonal(node: Node) -> None:
    node.layer("slice", {"x": node.x()}, None, {"index": "diagonal"})


@rule("MatrixDiag", "MatrixDiagV2", "MatrixDiagV3", "Diag", "MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3")
def on_diagonal(node: Node) -> None:
    """A diagonal written into zeros, or into what is there."""
    if "Set" in node.op:
        x, source = node.x(0), node.x(1)
    else:
        source = node.x(0)
        x = node.between(node.y().shape)
        node.layer("fill", {}, x, {"value": 0}, piece="zeros")
    node.layer("index_put", {"x": x, "src": source}, None, {"axes": (0,), "index": "diagonal"})


@rule("Shape", "ShapeN", "Size", "Rank")
def sizes(node: Node) -> None:
    """Sizes nobody knows before the model runs; known ones were followed as numbers."""
    for number in range(len(node.outputs)):
        node.layer("constant", {}, node.y(number), piece="" if not number else str(number))


@rule("Copy", "CopyHost")
def copy(node: Node) -> None:
    node.unary("copy")


def flat_view(node: Node, x: TensorSpec, shape: tuple[int | None, ...], piece: str) -> TensorSpec:
    """``x`` under another shape, as a layer that moves nothing."""
    made = node.between(shape, x.dtype)
    node.layer("reshape", {"x": x}, made, {"shape": shape}, piece=piece, aliases=VIEW_OF_X)
    return made
