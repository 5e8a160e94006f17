"""Elements by index: gathers, tables, scattered writes, segments; order, selection and detection."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.shape import axis_of
from multiprof.ir import INTEGER_DTYPES, Shape, TensorSpec


def _is_table(node: Node, number: int) -> bool:
    """A learned table of rows: a weight of two dimensions, of real numbers or quantised ones."""
    x = node.x(number)
    return x.rank == 2 and node.is_weight(number) and (x.quant is not None or x.dtype not in INTEGER_DTYPES)


def _embedding(node: Node, rows: TensorSpec, indices: TensorSpec, shape: Shape) -> None:
    attrs = {"num_embeddings": rows.shape[0], "embedding_dim": rows.shape[1]} if rows.rank == 2 else None
    node.emit("embedding", {"x": indices, "weight": rows}, shape, attrs)


@rule("GATHER")
def gather(node: Node) -> None:
    x, indices = node.x(0), node.x(1)
    axis = axis_of(node, node.options["axis"], x.rank)
    batch = node.options["batch_dims"]
    batch = batch + indices.rank if batch < 0 else batch
    if not 0 <= batch <= min(axis, indices.rank):
        raise node.fail(f"its {batch} batch dimensions do not fit axis {axis} and indices of rank {indices.rank}")
    shape = (*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
    if axis == 0 and _is_table(node, 0):
        _embedding(node, x, indices, shape)
        return
    attrs = {"axis": axis} | ({"batch_dims": batch} if batch else {})
    node.emit("gather", {"x": x, "indices": indices}, shape, attrs)


@rule("GATHER_ND")
def gather_nd(node: Node) -> None:
    """The last dimension of the indices names a place in so many dimensions of x."""
    x, indices = node.x(0), node.x(1)
    if not indices.rank:
        raise node.fail("its indices are a scalar")
    depth = indices.shape[-1]
    if depth is None:
        node.emit("gather", {"x": x, "indices": indices}, None, {"axis": 0})
        return
    if depth > x.rank:
        raise node.fail(f"its indices name {depth} dimensions of {x.shape}")
    node.emit("gather", {"x": x, "indices": indices}, (*indices.shape[:-1], *x.shape[depth:]), {"axis": 0})


@rule("EMBEDDING_LOOKUP")
def embedding_lookup(node: Node) -> None:
    """Operands: indices, table."""
    indices, table = node.x(0), node.x(1)
    if not table.rank:
        raise node.fail("its table is a scalar")
    _embedding(node, table, indices, (*indices.shape, *table.shape[1:]))


@rule("EMBEDDING_LOOKUP_SPARSE")
def embedding_lookup_sparse(node: Node) -> None:
    """Operands: L row numbers, L places, the dense shape, L weights, table. Rows times weights, summed by place; the
    mean divides by the sum of the weights, the square-root mean by the root of that of their squares."""
    rows, places, weights, table = node.x(0), node.x(1), node.x(3), node.x(4)
    if not table.rank:
        raise node.fail("its table is a scalar")
    dense = node.values(2)
    shape = None if dense is None else (*dense[:-1], *table.shape[1:])
    y = node.result(shape)
    looked = node.between((*rows.shape, *table.shape[1:]), table, True)
    scaled = node.between(looked.shape, table, True)
    node.layer("embedding", {"x": rows, "weight": table}, {"y": looked}, piece="rows")
    node.layer("mul", {"x0": looked, "x1": weights}, {"y": scaled}, piece="weights")
    combiner = node.options["combiner"]
    summed = node.between(y.shape, y, True) if combiner else y
    node.layer("segment_reduce", {"x": scaled, "segments": places}, {"y": summed}, {"reduce": "sum"}, piece="sum")
    if combiner:
        total = node.between(y.shape[:1], weights)
        squared = weights
        if combiner == 2:
            squared = node.between(weights.shape, weights)
            node.layer("square", {"x": weights}, {"y": squared}, piece="squares")
        node.layer("segment_reduce", {"x": squared, "segments": places}, {"y": total}, {"reduce": "sum"}, piece="total")
        if combiner == 2:
            root = node.between(total.shape, total)
            node.layer("sqrt", {"x": total}, {"y": root}, piece="root")
            total = root
        node.layer("div", {"x0": summed, "x1": total}, {"y": y}, piece="div")
    node.bind(0, y)


# -- writes ----------------------------------------------------------------------------------------------------------


def _blank(node: Node, y: TensorSpec, value: Any) -> TensorSpec:
    """A tensor of one value, to be written into."""
    made = node.between(y.shape, y, True)
    node.layer("fill", {}, {"y": made}, {"value": value}, piece="fill")
    return made


@rule("SCATTER_ND")
def scatter_nd(node: Node) -> None:
    """Operands: indices, updates, shape of the result. What meets at one place is added."""
    given = node.values(2)
    size = node.shape(2)
    shape = tuple(given) if given is not None else (None,) * (size[0] or 0) if len(size) == 1 else None
    y = node.result(shape)
    inputs = {"x": _blank(node, y, 0), "x0": node.x(0), "src": node.x(1)}
    node.layer("index_reduce", inputs, {"y": y}, {"axes": (0,), "reduce": "sum"})
    node.bind(0, y)


@rule("SPARSE_TO_DENSE")
def sparse_to_dense(node: Node) -> None:
    """Operands: indices, shape of the result, values, the value elsewhere."""
    given = node.values(1)
    y = node.result(None if given is None else tuple(given))
    value = node.values(3)
    inputs = {"x": _blank(node, y, value[0] if value else None), "x0": node.x(0), "src": node.x(2)}
    node.layer("index_put", inputs, {"y": y}, {"axes": (0,)})
    node.bind(0, y)


@rule("DYNAMIC_UPDATE_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE")
def dynamic_update_slice(node: Node) -> None:
    """Operands: x, the part, where it begins (a vector, or a scalar an axis)."""
    begin = node.ints(2) if node.code == "DYNAMIC_UPDATE_SLICE" else None
    node.emit("index_put", {"x": node.x(0), "src": node.x(1)}, node.shape(0), {"index": begin})


@rule("MATRIX_DIAG")
def matrix_diag(node: Node) -> None:
    """Vectors on the diagonals of matrices."""
    shape = node.shape()
    if not shape:
        raise node.fail("its operand is a scalar")
    y = node.result((*shape, shape[-1]))
    node.layer("index_put", {"x": _blank(node, y, 0), "src": node.x()}, {"y": y}, {"index": "diagonal"})
    node.bind(0, y)


@rule("MATRIX_SET_DIAG")
def matrix_set_diag(node: Node) -> None:
    node.emit("index_put", {"x": node.x(0), "src": node.x(1)}, node.shape(0), {"index": "diagonal"})


_REDUCE = {"SUM": "sum", "PROD": "prod", "MAX": "amax", "MIN": "amin"}


@rule("SEGMENT_SUM", *(f"UNSORTED_SEGMENT_{name}" for name in _REDUCE))
def segment(node: Node) -> None:
    """Operands: x, the segment of each of its leading elements, how many segments (sorted ones tell it themselves)."""
    x, segments = node.x(0), node.x(1)
    if node.code == "SEGMENT_SUM":
        ids = node.ints(1)
        number = None if ids is None else ids[-1] + 1 if ids else 0
    else:
        count = node.ints(2)
        number = count[0] if count else None
    if x.rank < segments.rank:
        raise node.fail(f"segments of {segments.shape} for {x.shape}")
    shape = (number, *x.shape[segments.rank :])
    attrs = {"reduce": _REDUCE[node.code.rpartition("_")[2]]}
    node.emit("segment_reduce", {"x": x, "segments": segments}, shape, attrs)


# -- order -----------------------------------------------------------------------------------------------------------


def _several(node: Node, op: str, inputs: dict[str, TensorSpec], made: dict[str, Shape], attrs: dict[str, Any]) -> None:
    """A layer whose outputs, in order, have those roles and shapes, as far as the operator has them."""
    results = {
        role: node.result(shape, number) for number, (role, shape) in enumerate(made.items()) if number < node.outputs
    }
    node.layer(op, inputs, results, attrs)
    for number, y in enumerate(results.values()):
        node.bind(number, y)


@rule("TOPK_V2")
def topk(node: Node) -> None:
    """Operands: x, k. Along the last dimension, sorted."""
    shape = node.shape(0)
    if not shape:
        raise node.fail("its operand is a scalar")
    wanted = node.ints(1)
    k = wanted[0] if wanted else None
    if k is not None and shape[-1] is not None and not 0 <= k <= shape[-1]:
        raise node.fail(f"it takes {k} of {shape[-1]}")
    made: dict[str, Shape] = {"y": (*shape[:-1], k), "indices": (*shape[:-1], k)}
    _several(node, "topk", {"x": node.x(0)}, made, {"axis": len(shape) - 1, "k": k, "n": shape[-1], "sorted": True})


@rule("UNIQUE")
def unique(node: Node) -> None:
    """How many differ shows only in the values."""
    shape = node.shape(0, 1)
    _several(node, "unique", {"x": node.x(0)}, {"y": (None,), "inverse": shape}, {"sorted": False})


@rule("WHERE")
def where(node: Node) -> None:
    """The places of what is set: how many shows only in the values."""
    y = TensorSpec((None, node.x(0).rank), node.declared(0).dtype, node.walker.name_of(node.declared(0)))
    node.layer("nonzero", {"x": node.x(0)}, {"y": y})
    node.bind(0, y)


@rule("ONE_HOT")
def one_hot(node: Node) -> None:
    """Operands: indices, depth, value where the index says, value elsewhere."""
    shape = node.shape(0)
    wanted = node.ints(1)
    depth = wanted[0] if wanted else None
    axis = len(shape) if node.options["axis"] == -1 else node.options["axis"]
    if not 0 <= axis <= len(shape):
        raise node.fail(f"its axis {axis} is not among those of {shape}")
    node.emit("one_hot", {"x": node.x(0)}, (*shape[:axis], depth, *shape[axis:]), {"axis": axis, "depth": depth})


@rule("BUCKETIZE")
def bucketize(node: Node) -> None:
    """The boundaries stand in the options."""
    boundaries = TensorSpec(
        (len(node.options["boundaries"]),), "float32", node.walker.writer.taken(f"{node.name}:boundaries")
    )
    node.walker.writer.declare(boundaries, "constant")
    node.emit("bucketize", {"x": node.x(0), "boundaries": boundaries}, node.shape(0))


@rule("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
def non_max_suppression(node: Node) -> None:
    """Operands: boxes (n, 4), scores (n), how many boxes at most, thresholds. The results have that many places."""
    boxes = node.shape(0, 2)
    most = node.ints(2)
    limit = most[0] if most else None
    made: dict[str, Shape] = {"y": (limit,)}
    if node.code == "NON_MAX_SUPPRESSION_V5":
        made["scores"] = (limit,)
    made["valid"] = ()
    attrs: dict[str, Any] = {"boxes": boxes[0], "classes": 1, "batch": 1, "max_output": limit}
    for name, number in (("iou_threshold", 3), ("score_threshold", 4)):
        value = node.values(number)
        if value:
            attrs[name] = value[0]
    _several(node, "nms", {"boxes": node.x(0), "scores": node.x(1)}, made, attrs)


__all__: list[str] = []
