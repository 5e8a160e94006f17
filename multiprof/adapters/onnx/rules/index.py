"""Elements read and written by index."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Operand, axis_of, int_attr, like_first, number, ranked, str_attr
from multiprof.ir import INTEGER_DTYPES, TensorSpec

# Integers that stand for real numbers, where they are a table of weights.
_STORED = frozenset(("int8", "uint8", "int4", "uint4", "int2", "uint2"))
_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def emit_rows(node: Node, x: Tensor, indices: Operand, y: TensorSpec | None, axis: int, suffix: str = "") -> None:
    """Elements along an axis: an ``embedding`` where they are rows of a table of weights, else a ``gather``.

    A table is two-dimensional and real, or of a few bits, as real numbers are stored that are dequantised behind the
    gather. The indices are integers.
    """
    real = x.dtype not in INTEGER_DTYPES or x.dtype in _STORED
    spec = indices.spec if isinstance(indices, Tensor) else indices
    if axis == 0 and x.rank == 2 and x.weight and real and spec.dtype in ("int32", "int64"):
        attrs = {"num_embeddings": x.shape[0], "embedding_dim": x.shape[1]}
        node.layer("embedding", {"x": indices, "weight": x}, y, attrs, suffix=suffix)
    else:
        node.layer("gather", {"x": x, "indices": indices}, y, {"axis": axis}, suffix=suffix)


def gather(node: Node) -> None:
    x = node.need(0)
    emit_rows(node, x, node.need(1), None, axis_of(node, int_attr(node, "axis", 0), x.rank))


def gather_elements(node: Node) -> None:
    x = node.need(0)
    attrs = {"axis": axis_of(node, int_attr(node, "axis", 0), x.rank)}
    node.layer("gather", {"x": x, "indices": node.need(1)}, None, attrs)


def gather_nd(node: Node) -> None:
    """The last dimension of the indices is a position in the first dimensions of x behind ``batch_dims``."""
    attrs = {"axes": (int_attr(node, "batch_dims", 0),)}
    node.layer("index", {"x": node.need(0), "x0": node.need(1)}, None, attrs)


def scatter_elements(node: Node) -> None:
    """Elements written, or combined with those there."""
    x = node.need(0)
    operands = {"x": x, "indices": node.need(1), "src": node.need(2)}
    attrs: dict[str, Any] = {"axis": axis_of(node, int_attr(node, "axis", 0), x.rank)}
    how = _REDUCTIONS.get(str_attr(node, "reduction", "none"))
    if how is None:
        node.layer("scatter", operands, None, attrs)
    else:
        node.layer("scatter_reduce", operands, None, attrs | {"reduce": how})


def scatter_nd(node: Node) -> None:
    operands = {"x": node.need(0), "x0": node.need(1), "src": node.need(2)}
    attrs: dict[str, Any] = {"axes": (0,)}
    how = _REDUCTIONS.get(str_attr(node, "reduction", "none"))
    if how is None:
        node.layer("index_put", operands, None, attrs)
    else:
        node.layer("index_reduce", operands, None, attrs | {"reduce": how})


def tensor_scatter(node: Node) -> None:
    """New keys or values written into a cache, at 0 unless an operand says where."""
    x, update, places = node.need(0), node.need(1), node.input(2)
    axis = axis_of(node, int_attr(node, "axis", -2), x.rank)
    operands = {"x": x, "src": update}
    attrs: dict[str, Any] = {"axes": (axis,), "mode": str_attr(node, "mode", "linear")}
    if places is not None:
        operands["x0"] = places
    else:
        attrs["index"] = f"{axis}[0:{update.shape[axis]}:1]"
    node.layer("index_put", operands, None, attrs)


def compress(node: Node) -> None:
    """Slices along an axis, or elements of the flattened tensor, where a condition is set."""
    x = node.need(0)
    axis = axis_of(node, int_attr(node, "axis", 0), x.rank) if "axis" in node.attrs else 0
    node.layer("index", {"x": x, "x0": node.need(1)}, None, {"axes": (axis,)})


def one_hot(node: Node) -> None:
    """``depth`` and the two values are operands; the result's size tells the depth where that is unknown."""
    x, depth = node.need(0), number(node.need(1))
    rank = x.rank + 1
    axis = axis_of(node, int_attr(node, "axis", -1), rank)
    known = node.y.shape[axis] if depth is None else int(depth)
    node.layer("one_hot", {"x": x}, None, {"axis": axis, "depth": known})


def nonzero(node: Node) -> None:
    node.layer("nonzero", {"x": node.need(0)})


def unique(node: Node) -> None:
    attrs: dict[str, Any] = {"sorted": bool(int_attr(node, "sorted", 1))}
    if "axis" in node.attrs:
        attrs["axis"] = axis_of(node, int_attr(node, "axis", 0), node.need(0).rank)
    made = dict(zip(("y", "indices", "inverse", "counts"), (node.output(i) for i in range(4)), strict=True))
    node.layer("unique", {"x": node.need(0)}, made, attrs)


RULES: dict[str, Rule] = {
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "NonZero": nonzero,
    "OneHot": one_hot,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TensorScatter": tensor_scatter,
    "Unique": unique,
}
# onnx's own inference refuses Scatter in opsets that have replaced it.
INFER: dict[tuple[str, str], Infer] = ranked({("", "Scatter"): like_first})
