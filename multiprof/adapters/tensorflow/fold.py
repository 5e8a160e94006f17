"""The arithmetic of shapes: what small tensors hold where it follows from the shapes alone.

TensorFlow folds such constants before it runs a graph, so that they are no work of the network. One function an
operator, from arrays to arrays, with numpy's meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from multiprof.adapters.tensorflow.node import Node

Array = np.ndarray[Any, Any]
Folder = Callable[["Node", Sequence[Array]], "Array | list[Array] | None"]

# Elements of a tensor whose contents are followed.
MAX_ELEMENTS = 4096


def _plain(function: Callable[..., Any]) -> Folder:
    return lambda node, x: np.asarray(function(*x))


def _whole(x: Array) -> list[int]:
    return [int(v) for v in x.ravel()]


def _axes(x: Array) -> tuple[int, ...]:
    return tuple(_whole(x))


def _reduction(function: Callable[..., Any]) -> Folder:
    return lambda node, x: np.asarray(
        function(x[0], axis=_axes(x[1]), keepdims=bool(node.attr("keep_dims", False))), x[0].dtype
    )


def _divide(node: Node, x: Sequence[Array]) -> Array | None:
    if not np.all(x[1]):
        return None
    if x[0].dtype.kind in "iu":
        return np.asarray(np.trunc(x[0] / x[1]), x[0].dtype)
    return np.asarray(x[0] / x[1])


def _floor(function: Callable[..., Any]) -> Folder:
    return lambda node, x: np.asarray(function(x[0], x[1])) if np.all(x[1]) else None


def _cast(node: Node, x: Sequence[Array]) -> Array | None:
    dtype = node.numpy_dtype()
    return None if dtype is None else x[0].astype(dtype)


def _strided_slice(node: Node, x: Sequence[Array]) -> Array | None:
    value, begin, end, step = x
    index: list[Any] = []
    masks = {
        name: int(node.attr(f"{name}_mask", 0)) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    for i, (b, e, s) in enumerate(zip(_whole(begin), _whole(end), _whole(step), strict=True)):
        bit = 1 << i
        if masks["ellipsis"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(b)
        else:
            index.append(slice(None if masks["begin"] & bit else b, None if masks["end"] & bit else e, s))
    return np.asarray(value[tuple(index)])


def _slice(node: Node, x: Sequence[Array]) -> Array:
    index = [slice(b, None if n < 0 else b + n) for b, n in zip(_whole(x[1]), _whole(x[2]), strict=True)]
    return x[0][tuple(index)]


def _gather(node: Node, x: Sequence[Array]) -> Array | None:
    if int(node.attr("batch_dims", 0)):
        return None
    axis = int(x[2]) if len(x) > 2 else 0
    return np.take(x[0], x[1], axis=axis)


def _concat(node: Node, x: Sequence[Array]) -> Array:
    return np.concatenate(x[:-1], axis=int(x[-1]))


def _range(node: Node, x: Sequence[Array]) -> Array | None:
    start, limit, delta = (v.item() for v in x)
    if not delta or (limit - start) / delta > MAX_ELEMENTS:
        return None
    return np.arange(start, limit, delta, dtype=x[0].dtype)


def _sized(shape: Array) -> bool:
    return bool(np.prod([max(n, 0) for n in _whole(shape)], dtype=object) <= MAX_ELEMENTS)


def _squeeze(node: Node, x: Sequence[Array]) -> Array:
    axes = tuple(node.attr("squeeze_dims", ()) or ())
    return np.squeeze(x[0], axis=axes or None)


def _split(node: Node, x: Sequence[Array]) -> list[Array]:
    return list(np.split(x[1], int(node.attr("num_split", 1)), axis=int(x[0])))


def _unpack(node: Node, x: Sequence[Array]) -> list[Array]:
    axis = int(node.attr("axis", 0))
    return [np.take(x[0], i, axis=axis) for i in range(x[0].shape[axis])]


def _tile(node: Node, x: Sequence[Array]) -> Array | None:
    return np.tile(x[0], _whole(x[1])) if x[0].size * np.prod(x[1], dtype=object) <= MAX_ELEMENTS else None


def _broadcast_args(node: Node, x: Sequence[Array]) -> Array:
    return np.asarray(np.broadcast_shapes(tuple(_whole(x[0])), tuple(_whole(x[1]))), x[0].dtype)


FOLDERS: dict[str, Folder] = {
    **dict.fromkeys(("Add", "AddV2"), _plain(np.add)),
    **dict.fromkeys(("Concat",), lambda node, x: np.concatenate(x[1:], axis=int(x[0]))),
    **dict.fromkeys(("Gather", "GatherV2"), _gather),
    **dict.fromkeys(("RealDiv", "Div", "TruncateDiv"), _divide),
    **dict.fromkeys(("Select", "SelectV2"), _plain(np.where)),
    "Abs": _plain(np.abs),
    "All": _reduction(np.all),
    "Any": _reduction(np.any),
    "BroadcastArgs": _broadcast_args,
    "BroadcastTo": lambda node, x: np.broadcast_to(x[0], _whole(x[1])) if _sized(x[1]) else None,
    "Cast": _cast,
    "Ceil": _plain(np.ceil),
    "ConcatV2": _concat,
    "Equal": _plain(np.equal),
    "ExpandDims": lambda node, x: np.expand_dims(x[0], int(x[1])),
    "Fill": lambda node, x: np.full(_whole(x[0]), x[1]) if _sized(x[0]) else None,
    "Floor": _plain(np.floor),
    "FloorDiv": _floor(np.floor_divide),
    "FloorMod": _floor(np.mod),
    "Greater": _plain(np.greater),
    "GreaterEqual": _plain(np.greater_equal),
    "InvertPermutation": lambda node, x: np.argsort(x[0]).astype(x[0].dtype),
    "Less": _plain(np.less),
    "LessEqual": _plain(np.less_equal),
    "LogicalAnd": _plain(np.logical_and),
    "LogicalNot": _plain(np.logical_not),
    "LogicalOr": _plain(np.logical_or),
    "Max": _reduction(np.max),
    "Maximum": _plain(np.maximum),
    "Min": _reduction(np.min),
    "Minimum": _plain(np.minimum),
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "NotEqual": _plain(np.not_equal),
    "OnesLike": _plain(np.ones_like),
    "Pack": lambda node, x: np.stack(x, axis=int(node.attr("axis", 0))),
    "Prod": _reduction(np.prod),
    "Range": _range,
    "Reshape": lambda node, x: np.reshape(x[0], _whole(x[1])),
    "Rsqrt": _plain(lambda x: 1 / np.sqrt(x)),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _plain(np.sqrt),
    "Square": _plain(np.square),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sub": _plain(np.subtract),
    "Sum": _reduction(np.sum),
    "Tile": _tile,
    "Transpose": lambda node, x: np.transpose(x[0], _whole(x[1])),
    "Unpack": _unpack,
    "ZerosLike": _plain(np.zeros_like),
}  # fmt: skip


def fold(node: Node, operands: Sequence[Array]) -> list[Array] | None:
    """The results of a node whose operands are known; ``None`` where it is not followed."""
    function = FOLDERS.get(node.op)
    if function is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = function(node, operands)
    except (ValueError, IndexError, TypeError, OverflowError, MemoryError):
        return None  # what is wrong with it TensorFlow's own inference says
    if found is None:
        return None
    results = found if isinstance(found, list) else [found]
    return results if all(r.size <= MAX_ELEMENTS for r in results) else None


def sizes(node: Node) -> list[Array] | None:
    """Shape, ShapeN, Size and Rank of operands whose shapes are known."""
    shapes = [value.flat.shape for value in node.inputs]
    dtype = np.int64 if node.numpy_dtype("out_type") == np.dtype(np.int64) else np.int32
    if node.op == "Rank":
        return None if shapes[0].rank is None else [np.asarray(shapes[0].rank, np.int32)]
    if node.op not in ("Shape", "ShapeN", "Size") or not all(shape.is_fully_defined() for shape in shapes):
        return None
    if node.op == "Size":
        return [np.asarray(shapes[0].num_elements(), dtype)]
    return [np.asarray(shape.as_list(), dtype) for shape in shapes]


__all__ = ["FOLDERS", "MAX_ELEMENTS", "fold", "sizes"]
