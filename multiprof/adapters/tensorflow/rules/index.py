"""Elements read and written by index; segments."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import INTEGER_DTYPES, TensorSpec


def _rows(node: Node, table: TensorSpec, indices: TensorSpec, axis: int | None) -> None:
    """An ``embedding`` where they are rows of a table of real weights, else a ``gather``."""
    real = table.dtype not in INTEGER_DTYPES or table.quant is not None
    if axis == 0 and table.rank == 2 and real and table.name in node.walker.weights:
        attrs: dict[str, Any] = {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}
        node.layer("embedding", {"x": indices, "weight": table}, None, attrs)
    else:
        node.layer("gather", {"x": table, "indices": indices}, None, {} if axis is None else {"axis": axis})


@rule("Gather", "GatherV2", "ResourceGather")
def gather(node: Node) -> None:
    """Rows of a tensor, or of what a variable holds."""
    table, indices = node.x(0), node.x(1)
    axis = node.scalar(2) if node.op == "GatherV2" else 0
    found = None if axis is None else normal_axis(int(axis), table.rank, where=node.where)
    _rows(node, table, indices, None if node.attr("batch_dims", 0) else found)


@rule("GatherNd", "ResourceGatherNd")
def gather_nd(node: Node) -> None:
    attrs = {"axes": (int(node.attr("batch_dims", 0)),)}
    node.layer("index", {"x": node.x(0), "x0": node.x(1)}, None, attrs)


_UPDATES = {"Add": "sum", "Sub": "sum", "Max": "amax", "Min": "amin"}


@rule("TensorScatterUpdate", *(f"TensorScatter{how}" for how in _UPDATES))
def tensor_scatter(node: Node) -> None:
    """x, indices, updates."""
    operands = {"x": node.x(0), "x0": node.x(1), "src": node.x(2)}
    how = _UPDATES.get(node.op.removeprefix("TensorScatter"))
    if how is None:
        node.layer("index_put", operands, None, {"axes": (0,)})
    else:
        node.layer("index_reduce", operands, None, {"axes": (0,), "reduce": how})


@rule("ScatterNd")
def scatter_nd(node: Node) -> None:
    """indices, updates, shape: added up in zeros."""
    zeros = node.between(node.y().shape)
    node.layer("fill", {}, zeros, {"value": 0}, piece="zeros")
    operands = {"x": zeros, "x0": node.x(0), "src": node.x(1)}
    node.layer("index_reduce", operands, None, {"axes": (0,), "reduce": "sum"})


@rule("TensorStridedSliceUpdate")
def slice_update(node: Node) -> None:
    node.layer("index_put", {"x": node.x(0), "src": node.x(4)}, None, {"axes": (0,), "index": "slice"})


@rule("OneHot")
def one_hot(node: Node) -> None:
    """indices, depth, the two values."""
    x, y = node.x(0), node.y()
    axis = normal_axis(int(node.attr("axis", -1)), x.rank + 1, where=node.where)
    depth = node.scalar(1)
    node.layer("one_hot", {"x": x}, y, {"axis": axis, "depth": y.shape[axis] if depth is None else depth})


_SEGMENTS = {"Sum": "sum", "Mean": "mean", "Prod": "prod", "Max": "amax", "Min": "amin"}


@rule(
    *(f"{kind}Segment{how}" for kind in ("", "Unsorted") for how in _SEGMENTS if (kind, how) != ("Unsorted", "Mean")),
    *(f"Segment{how}V2" for how in _SEGMENTS if how != "Mean"),
)
def segment(node: Node) -> None:
    how = node.op.removeprefix("Unsorted").removeprefix("Segment").removesuffix("V2")
    node.layer("segment_reduce", {"x": node.x(0), "segments": node.x(1)}, None, {"reduce": _SEGMENTS[how]})


@rule(
    "SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSumWithNumSegments", "SparseSegmentMeanWithNumSegments"
)  # fmt: skip
def sparse_segment(node: Node) -> None:
    """data, indices, segments: rows gathered, then joined."""
    data, indices = node.x(0), node.x(1)
    rows = node.between((*indices.shape, *data.shape[1:]))
    embedding = data.rank == 2 and data.name in node.walker.weights
    if embedding:
        attrs: dict[str, Any] = {"num_embeddings": data.shape[0], "embedding_dim": data.shape[1]}
        node.layer("embedding", {"x": indices, "weight": data}, rows, attrs, piece="rows")
    else:
        node.layer("gather", {"x": data, "indices": indices}, rows, {"axis": 0}, piece="rows")
    reduce = "sum" if "Sum" in node.op else "mean"
    node.layer("segment_reduce", {"x": rows, "segments": node.x(2)}, None, {"reduce": reduce})
