"""Operators that move, drop or repeat elements, and the sizes of tensors."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import (
    VIEW,
    axes,
    axis_of,
    given_ints,
    int_attr,
    ints,
    number,
    present,
    set_aside,
    str_attr,
    warn,
)
from multiprof.adapters.onnx.rules.pool import keep_quant
from multiprof.errors import ModelError


def reshape(node: Node) -> None:
    """Reshape, Squeeze, Unsqueeze, Flatten: the same elements, in the same memory."""
    keep_quant(node, node.need(0))
    node.layer("reshape", {"x": node.need(0)}, None, {"shape": node.y.shape}, aliases=VIEW)


def identity(node: Node) -> None:
    keep_quant(node, node.need(0))
    node.layer("identity", {"x": node.need(0)}, aliases=VIEW)


def dropout(node: Node) -> None:
    """Dropout at inference, whatever the node says of training; its mask is set everywhere."""
    x = node.need(0)
    if node.version >= 12 and number(node.input(2)):
        warn(node, "trains; it is analysed as at inference, where it passes everything on")
    ratio = node.attr("ratio", 0.5) if node.version < 12 else number(node.input(1))
    node.layer("dropout", {"x": x}, None, {"p": 0.5 if ratio is None else ratio}, aliases=VIEW)
    mask = node.output(1)
    if mask is not None:
        node.layer("fill", {}, mask, {"value": 1}, suffix="mask")


def transpose(node: Node) -> None:
    x = node.need(0)
    perm = given_ints(node, "perm", x.rank) or tuple(reversed(range(x.rank)))
    keep_quant(node, x)
    node.layer("transpose", {"x": x}, None, {"perm": tuple(axis_of(node, p, x.rank) for p in perm)})


def concat(node: Node) -> None:
    operands = present(node)
    if not operands:
        raise ModelError(f"{node.where} joins nothing")
    axis = axis_of(node, int_attr(node, "axis", 1), operands[0].rank)
    node.layer("concat", {f"x{i}": x for i, x in enumerate(operands)}, None, {"axis": axis})


def split(node: Node) -> None:
    x = node.need(0)
    axis = axis_of(node, int_attr(node, "axis", 0), x.rank)
    outputs = {f"y{i}": spec for i, spec in enumerate(node.outputs) if spec is not None}
    sizes = given_ints(node, "split") or ints(node.input(1))
    if sizes is None or len(sizes) != len(node.outputs):
        found = [None if spec is None else spec.shape[axis] for spec in node.outputs]
        sizes = None if None in found else tuple(n for n in found if n is not None)
    attrs: dict[str, Any] = {"axis": axis} | ({} if sizes is None else {"sizes": sizes})
    node.layer("split", {"x": x}, outputs, attrs)


def slice_(node: Node) -> None:
    """The part as Python would write it: ``axis[start:end:step]`` for each axis that is cut."""
    x = node.need(0)
    old = node.version < 10
    starts = given_ints(node, "starts") if old else ints(node.need(1))
    ends = given_ints(node, "ends") if old else ints(node.need(2))
    steps = None if old else ints(node.input(4))
    attrs: dict[str, Any] = {}
    if starts is not None and ends is not None:
        found = axes(node, x.rank, 3)
        if found == ():
            found = tuple(range(len(starts)))
        if found is not None and len(found) == len(starts) == len(ends) and len(steps or starts) == len(starts):
            parts = zip(found, starts, ends, steps or (1,) * len(starts), strict=True)
            attrs["index"] = ", ".join(f"{axis}[{a}:{b}:{step}]" for axis, a, b, step in parts)
    keep_quant(node, x)
    node.layer("slice", {"x": x}, None, attrs)


def expand(node: Node) -> None:
    x = node.need(0)
    # Exporters write the initial state of a recurrent network as stored zeros that are expanded: nothing is learned.
    if x.value is not None and x.value.dtype.kind == "f" and not x.value.any():
        set_aside(node, x)
    node.layer("expand", {"x": x}, None, {"shape": node.y.shape})


def tile(node: Node) -> None:
    """Repeats for every dimension; opset 1 had one axis and a number, as operands."""
    x, repeats = node.need(0), ints(node.need(1))
    operands: dict[str, Any] = {"x": x}
    attrs: dict[str, Any] = {}
    if repeats is None:
        operands["repeats"] = node.need(1)
    elif node.version < 6:
        axis = ints(node.input(2))
        attrs = {"repeats": repeats[0] if repeats else 1} | ({"axis": axis[0]} if axis else {})
    else:
        attrs["repeats"] = repeats
    node.layer("repeat", operands, None, attrs)


def pad(node: Node) -> None:
    """Padding of all dimensions, or (opset 18) of some; opset 1 calls the attribute ``paddings``.

    ONNX Runtime's own Pad has operands, as the standard one has from opset 11 on.
    """
    x = node.need(0)
    old = node.version < 11 and not node.domain
    flat = given_ints(node, "paddings" if "paddings" in node.attrs else "pads") if old else ints(node.need(1))
    value = node.attr("value", 0.0) if old else number(node.input(2)) if node.input(2) is not None else 0
    mode = {"edge": "replicate", "wrap": "circular"}.get(
        str_attr(node, "mode", "constant"), node.attr("mode", "constant")
    )
    attrs: dict[str, Any] = {"mode": mode}
    if mode == "constant" and value is not None:
        attrs["value"] = value
    if flat is not None:
        chosen = ints(node.input(3)) if node.input(3) is not None else range(x.rank)
        if chosen is not None and len(flat) == 2 * len(chosen):
            pairs = [(0, 0)] * x.rank
            for i, axis in enumerate(chosen):
                pairs[axis_of(node, axis, x.rank)] = (flat[i], flat[i + len(chosen)])
            attrs["padding"] = tuple(pairs)
    node.layer("pad", {"x": x}, None, attrs)


def center_crop_pad(node: Node) -> None:
    """Axes that are too long are cut, those that are too short padded, both around the middle."""
    x, y = node.need(0), node.y
    middle = tuple(None if None in (n, m) else min(n, m) for n, m in zip(x.shape, y.shape, strict=True))  # type: ignore[type-var]  # no None is left
    cut, padded = middle != x.shape, middle != y.shape
    source: Any = x
    if cut or not padded:
        target = node.between(middle) if padded else y
        node.layer("slice", {"x": x}, target, {"index": f"the middle {middle}"}, suffix="slice" if padded else "")
        source = target
    if padded:
        attrs: dict[str, Any] = {"mode": "constant", "value": 0}
        if None not in middle and None not in y.shape:
            total = [m - n for n, m in zip(middle, y.shape, strict=True)]  # type: ignore[operator]  # no None is left
            attrs["padding"] = tuple((t // 2, t - t // 2) for t in total)
        node.layer("pad", {"x": source}, None, attrs, suffix="pad" if cut else "")


def depth_to_space(node: Node) -> None:
    attrs = {"factor": int_attr(node, "blocksize", 1), "mode": str_attr(node, "mode", "DCR")}
    node.layer("pixel_shuffle", {"x": node.need(0)}, None, attrs)


def space_to_depth(node: Node) -> None:
    node.layer("pixel_unshuffle", {"x": node.need(0)}, None, {"factor": int_attr(node, "blocksize", 1)})


def triangle(node: Node) -> None:
    diagonal = number(node.input(1)) if node.input(1) is not None else 0
    attrs: dict[str, Any] = {"upper": bool(int_attr(node, "upper", 1))}
    if diagonal is not None:
        attrs["diagonal"] = diagonal
    node.layer("triangle", {"x": node.need(0)}, None, attrs)


def reverse_sequence(node: Node) -> None:
    """Every sequence of the batch is reversed in its own length."""
    attrs = {"axis": (int_attr(node, "time_axis", 0),), "batch_axis": int_attr(node, "batch_axis", 1)}
    node.layer("flip", {"x": node.need(0)}, None, attrs)


def column_to_image(node: Node) -> None:
    """Columns summed into an image: Col2Im."""
    kernel = ints(node.need(2))
    attrs: dict[str, Any] = {}
    if kernel is not None:
        rank = len(kernel)
        flat = given_ints(node, "pads", 2 * rank) or (0,) * (2 * rank)
        attrs = {
            "kernel_size": kernel,
            "stride": given_ints(node, "strides", rank) or (1,) * rank,
            "padding": tuple((flat[i], flat[i + rank]) for i in range(rank)),
            "dilation": given_ints(node, "dilations", rank) or (1,) * rank,
        }
    node.layer("fold", {"x": node.need(0)}, None, attrs)


def sizes(node: Node) -> None:
    """Shape and Size: numbers that stand in the program, or, where nobody knows them before it runs, a copy."""
    x = node.need(0)
    if None in x.shape:
        node.layer("identity", {"x": x}, None, {"shape": x.shape})
    else:
        node.layer("constant", {}, None, {"shape": x.shape})


RULES: dict[str, Rule] = {
    "CenterCropPad": center_crop_pad,
    "Col2Im": column_to_image,
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": reshape,
    "Identity": identity,
    "Pad": pad,
    "Reshape": reshape,
    "ReverseSequence": reverse_sequence,
    "Shape": sizes,
    "Size": sizes,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": reshape,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": reshape,
}
