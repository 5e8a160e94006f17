"""StableHLO operators inside a TFLite file, as far as they are arithmetic or move data in a way that has a name.

Shapes are the file's: these operators are written by converters that know every size. Source: the StableHLO
specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.conv import known
from multiprof.adapters.tflite.rules.shape import axis_of

# The only operator of a subgraph that joins two numbers -> the reduction it makes
_JOINS = {
    "ADD": "sum", "STABLEHLO_ADD": "sum", "MUL": "prod", "STABLEHLO_MULTIPLY": "prod", "MAXIMUM": "max",
    "STABLEHLO_MAXIMUM": "max", "MINIMUM": "min", "STABLEHLO_MINIMUM": "min", "LOGICAL_AND": "all",
    "STABLEHLO_AND": "all", "LOGICAL_OR": "any", "STABLEHLO_OR": "any",
}  # fmt: skip
_WRITES = {"sum": "sum", "prod": "prod", "max": "amax", "min": "amin"}
_FUNCTIONS = {1: "sum", 2: "prod", 3: "min", 4: "max", 5: "all", 6: "any"}  # ReduceWindowFunction


def _join(node: Node, field: str) -> str | None:
    """The reduction that a subgraph of one operator makes."""
    subgraph = node.walker.model.subgraph(node.options[field], node.operator.where)
    return _JOINS.get(subgraph.operators[0].code) if len(subgraph.operators) == 1 else None


def _unknown(node: Node) -> None:
    node.foreign(f"tflite.{node.code}")


@rule("STABLEHLO_CONVOLUTION")
def convolution(node: Node) -> None:
    """Dimensions are named by number. A dilated input is a transposed convolution."""
    o = node.options
    x, weight = node.x(0), node.x(1)
    rank = len(o["input_spatial_dimensions"])
    dims = (*o["input_spatial_dimensions"], o["input_feature_dimension"])
    if x.rank != rank + 2 or weight.rank != rank + 2 or not all(0 <= d < rank + 2 for d in dims):
        raise node.fail(f"its dimensions do not fit {x.shape} and {weight.shape}")
    sizes = known(node, weight.shape, "weight")
    kernel = tuple(sizes[d] for d in o["kernel_spatial_dimensions"])
    groups, c_out = o["feature_group_count"], sizes[o["kernel_output_feature_dimension"]]
    each = sizes[o["kernel_input_feature_dimension"]]
    if o["batch_group_count"] > 1 or len(kernel) != rank or groups < 1:
        _unknown(node)
        return
    flat = o["padding"] or (0,) * (2 * rank)
    attrs: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": o["window_strides"] or (1,) * rank,
        "padding": tuple(zip(flat[::2], flat[1::2], strict=True)),
        "dilation": o["rhs_dilation"] or (1,) * rank,
        "groups": groups,
        "in_channels": each * groups,
        "out_channels": c_out,
    }
    dilated = o["lhs_dilation"] or (1,) * rank
    op = "conv"
    if any(d != 1 for d in dilated):
        op = "conv_transpose"
        attrs["stride"] = dilated
    node.emit(op, {"x": x, "weight": weight}, None, attrs)


@rule("STABLEHLO_DOT_GENERAL")
def dot_general(node: Node) -> None:
    """Batch dimensions come first in the result, then what is left of both operands."""
    o = node.options
    a, b = node.x(0), node.x(1)
    if max(a.rank, b.rank) > 16:
        raise node.fail(f"operands of rank {a.rank} and {b.rank}")
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEF")
    ta, tb = [""] * a.rank, [""] * b.rank
    batch, contracted = [], 1
    for kind in ("batching", "contracting"):
        for i, j in zip(o[f"lhs_{kind}_dimensions"], o[f"rhs_{kind}_dimensions"], strict=True):
            ta[axis_of(node, i, a.rank)] = tb[axis_of(node, j, b.rank)] = letter = next(letters)
            if kind == "batching":
                batch.append((letter, a.shape[i]))
            else:
                size = a.shape[i] if a.shape[i] is not None else b.shape[j]
                if a.shape[i] != b.shape[j] or size is None:
                    raise node.fail(f"{a.shape} and {b.shape} do not match on axes {i} and {j}")
                contracted *= size
    free: list[tuple[str, int | None]] = []
    for terms, spec in ((ta, a), (tb, b)):
        for i, letter in enumerate(terms):
            if not letter:
                terms[i] = next(letters)
                free.append((terms[i], spec.shape[i]))
    out = batch + free
    shape = tuple(size for _, size in out)
    result = "".join(letter for letter, _ in out)
    left, right = "".join(ta), "".join(tb)
    if not o["lhs_contracting_dimensions"]:
        node.emit("einsum", {"x0": a, "x1": b}, shape, {"equation": f"{left},{right}->{result}"})
        return
    swap = node.is_weight(0) and not node.is_weight(1)
    if node.is_weight(0) or node.is_weight(1):
        x, weight, terms_x, terms_w = (b, a, right, left) if swap else (a, b, left, right)
        features = 1
        for letter, size in zip(terms_w, known(node, weight.shape, "weight"), strict=True):
            features *= 1 if letter in terms_x else size
        attrs = {"in_features": contracted, "out_features": features, "equation": f"{terms_x},{terms_w}->{result}"}
        node.emit("linear", {"x": x, "weight": weight}, shape, attrs)
        return
    node.emit("einsum", {"x0": a, "x1": b}, shape, {"equation": f"{left},{right}->{result}"})


@rule("STABLEHLO_REDUCE")
def reduce(node: Node) -> None:
    """Operands: tensors, then the value each begins with; a subgraph joins two numbers."""
    op = _join(node, "body_subgraph_index")
    if op is None or node.outputs != 1:
        _unknown(node)
        return
    axes = tuple(sorted(axis_of(node, a, node.x(0).rank) for a in node.options["dimensions"]))
    shape = tuple(d for i, d in enumerate(node.shape(0)) if i not in axes)
    node.emit(op, {"x": node.x(0)}, shape, {"axis": axes, "keepdim": False})


def _windowed(node: Node, op: str, rows: Sequence[Sequence[int]], padding: Sequence[int] = ()) -> None:
    """A reduction over windows: they are laid out as a new last dimension, and that is reduced.

    ``rows`` are the window's sizes, its strides, how far its elements and how far those of x stand apart.
    """
    x = node.shape(0)
    pairs = list(zip(padding[::2], padding[1::2], strict=True)) or [(0, 0)] * len(x)
    kernel, stride, dilation, base = (tuple(row) or (1,) * len(x) for row in rows)
    if min((*kernel, *stride, *dilation, *base)) < 1:
        raise node.fail(f"its window {kernel}, strides {stride} and dilations {dilation}, {base} must be at least 1")
    total, shape = 1, []
    for size, k, s, d, b, (low, high) in zip(x, kernel, stride, dilation, base, pairs, strict=True):
        total *= k
        reach = (k - 1) * d + 1
        shape.append(None if size is None else max(0, ((size - 1) * b + 1 + low + high - reach) // s + 1))
    y = node.result(shape)
    windows = node.between((*y.shape, total), y, True)
    attrs = {"kernel_size": kernel, "stride": stride, "padding": tuple(pairs), "dilation": dilation}
    node.layer("unfold", {"x": node.x(0)}, {"y": windows}, attrs, piece="windows")
    node.layer(op, {"x": windows}, {"y": y}, {"axis": (y.rank,), "keepdim": False})
    node.bind(0, y)


@rule("STABLEHLO_REDUCE_WINDOW")
def reduce_window(node: Node) -> None:
    op = _join(node, "body_subgraph_index")
    if op is None or node.outputs != 1:
        _unknown(node)
        return
    o = node.options
    rows = (o["window_dimensions"], o["window_strides"], o["window_dilations"], o["base_dilations"])
    _windowed(node, op, rows, o["padding"])


@rule("REDUCE_WINDOW")
def tflite_reduce_window(node: Node) -> None:
    """Operands: x, the value to begin with, sizes of the window, strides, and how far apart its elements stand."""
    op, kernel = _FUNCTIONS.get(node.options["reduce_function"]), node.ints(2)
    if op is None or kernel is None:
        _unknown(node)
        return
    _windowed(node, op, (kernel, node.ints(3) or (), node.ints(4) or (), ()))


@rule("STABLEHLO_SLICE")
def slice_(node: Node) -> None:
    o = node.options
    index = tuple(zip(o["start_indices"], o["limit_indices"], o["strides"], strict=True))
    shape = tuple(max(0, -(-(last - first) // step)) for first, last, step in index)
    node.emit("slice", {"x": node.x(0)}, shape, {"index": index})


@rule("STABLEHLO_DYNAMIC_SLICE")
def dynamic_slice(node: Node) -> None:
    node.emit("slice", {"x": node.x(0)}, node.options["slice_sizes"], {"index": None})


@rule("STABLEHLO_PAD")
def pad(node: Node) -> None:
    """Elements may be laid apart, too; a negative padding crops."""
    o = node.options
    shape = []
    rows = zip(node.shape(0), o["edge_padding_low"], o["edge_padding_high"], o["interior_padding"], strict=True)
    for size, low, high, inner in rows:
        shape.append(None if size is None else max(0, size + low + high + inner * max(0, size - 1)))
    attrs = {
        "padding": tuple(zip(o["edge_padding_low"], o["edge_padding_high"], strict=True)),
        "interior": o["interior_padding"],
        "mode": "constant",
    }
    node.emit("pad", {"x": node.x(0)}, shape, attrs)


@rule("STABLEHLO_GATHER")
def gather(node: Node) -> None:
    attrs = {"axis": next(iter(node.options["start_index_map"]), 0)}
    node.emit("gather", {"x": node.x(0), "indices": node.x(1)}, None, attrs)


@rule("STABLEHLO_SCATTER")
def scatter(node: Node) -> None:
    """Operands: x, indices, updates. The subgraph says how an update meets what is there."""
    number = node.options["update_computation_subgraph_index"]
    subgraph = node.walker.model.subgraph(number, node.operator.where)
    axes = tuple(node.options["scatter_dims_to_operand_dims"])
    inputs = {"x": node.x(0), "x0": node.x(1), "src": node.x(2)}
    if not subgraph.operators:  # the update itself
        node.emit("index_put", inputs, node.shape(0), {"axes": axes})
        return
    op = _WRITES.get(_join(node, "update_computation_subgraph_index") or "")
    if op is None:
        _unknown(node)
        return
    node.emit("index_reduce", inputs, node.shape(0), {"axes": axes, "reduce": op})


@rule("STABLEHLO_SORT")
def sort(node: Node) -> None:
    """Several tensors are sorted by one comparison: the first is sorted, the others follow."""
    operands = node.all()
    if len(operands) != node.outputs:
        raise node.fail(f"it sorts {len(operands)} tensors into {node.outputs}")
    axis = axis_of(node, node.options["dimension"], operands[0].rank)
    for number, x in enumerate(operands):
        y = node.result(x.shape, number)
        if number == 0:
            node.layer("sort", {"x": x}, {"y": y}, {"axis": axis, "n": x.shape[axis]})
        else:
            node.layer("gather", {"x": x, "indices": operands[0]}, {"y": y}, {"axis": axis}, piece=f"follow{number}")
        node.bind(number, y)


@rule("STABLEHLO_CUSTOM_CALL")
def custom_call(node: Node) -> None:
    node.foreign(f"tflite.stablehlo.{node.options['call_target_name'] or 'custom_call'}")


__all__: list[str] = []
