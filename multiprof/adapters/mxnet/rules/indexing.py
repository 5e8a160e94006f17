"""Elements by index, and where they are written."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape


def infer_take(call: Call) -> None:
    source, indices = call.shape(0), call.shape(1)
    if source is None or indices is None:
        return
    axis = call.axis(call.attrs.integer("axis", 0), len(source))
    call.give((*source[:axis], *indices, *source[axis + 1 :]))


def write_take(call: Call, to: Writing) -> None:
    """Rows of a learned matrix are an embedding."""
    table, indices = to.x(call, 0), to.x(call, 1)
    axis = call.axis(call.attrs.integer("axis", 0), table.rank)
    if axis == 0 and table.rank == 2 and to.is_weight(table):
        attrs: dict[str, Any] = {"num_embeddings": table.shape[0], "embedding_dim": table.shape[1]}
        to.layer(call, "embedding", {"x": indices, "weight": table}, None, attrs)
    else:
        to.layer(call, "gather", {"x": table, "indices": indices}, None, {"axis": axis})


def infer_batch_take(call: Call) -> None:
    source = call.rank(0, 2)
    if source is not None:
        call.expect(1, source[:1])
    call.give(call.shape(1))


def infer_pick(call: Call) -> None:
    """One element along the axis; the indices have the result's shape, with the axis as 1 or without it."""
    source = call.shape(0)
    if source is None:
        return
    axis = call.attrs.integer("axis", -1)
    if call.attrs.values.get("axis", "").strip() == "None":
        call.give((1,))
        return
    at = call.axis(axis, len(source))
    without: Shape = source[:at] + source[at + 1 :]
    kept: Shape = (*source[:at], 1, *source[at + 1 :])
    indices = call.shape(1)
    if indices is not None:
        call.expect(1, kept if len(indices) == len(source) else without)
    elif call.attrs.flag("keepdims"):
        call.expect(1, kept)
    else:
        call.expect(1, without or (1,))
    call.give(kept if call.attrs.flag("keepdims") else without or (1,))


def write_pick(call: Call, to: Writing) -> None:
    rank = to.x(call).rank
    axis = call.axis(call.attrs.integer("axis", -1), rank) if call.op == "pick" else 1
    to.layer(call, "gather", {"x": to.x(call, 0), "indices": to.x(call, 1)}, None, {"axis": axis})


def infer_gather_nd(call: Call) -> None:
    """indices is (M, …): M leading dimensions are indexed."""
    source, indices = call.shape(0), call.shape(1)
    if source is None or indices is None:
        return
    count = indices[0] if indices else None
    if count is None:
        return
    if count > len(source):
        raise call.error(f"{count} indices into data of rank {len(source)}")
    call.give((*indices[1:], *source[count:]))


def write_gather_nd(call: Call, to: Writing) -> None:
    indices = to.x(call, 1)
    count = indices.shape[0] if indices.shape else None
    axes = tuple(range(count)) if count is not None and count <= to.x(call).rank else ()
    to.layer(call, "index", {"x": to.x(call, 0), "x0": indices}, None, {"axes": axes})


def infer_scatter_nd(call: Call) -> None:
    call.give(call.attrs.ints("shape"))


def write_scatter_nd(call: Call, to: Writing) -> None:
    """Zeros, into which the data is written by index."""
    y = to.y(call)
    zeros = to.between(call, y.shape)
    to.layer(call, "fill", {}, {"y": zeros}, {"value": 0}, "zeros")
    to.layer(call, "index_put", {"x": zeros, "x0": to.x(call, 1), "src": to.x(call, 0)}, None, {})


def infer_one_hot(call: Call) -> None:
    source, depth = call.shape(0), call.attrs.integer("depth", least=0)
    if source is not None:
        call.give((*source, depth))
    result = call.result()
    if result is not None:
        call.expect(0, result[:-1])


def write_one_hot(call: Call, to: Writing) -> None:
    to.unary(call, "one_hot", {"axis": to.x(call).rank, "depth": call.attrs.integer("depth")})


def infer_mask(call: Call) -> None:
    """How many rows a mask leaves depends on its values."""
    source = call.shape(0)
    if source is not None:
        axis = call.axis(call.attrs.integer("axis", 0), len(source))
        call.expect(1, (source[axis],))
        call.give((*source[:axis], None, *source[axis + 1 :]))


def write_mask(call: Call, to: Writing) -> None:
    axis = call.axis(call.attrs.integer("axis", 0), to.x(call).rank)
    to.layer(call, "index", {"x": to.x(call, 0), "x0": to.x(call, 1)}, None, {"axes": (axis,)})


def infer_index_copy(call: Call) -> None:
    infer_same(call)
    source, new = call.shape(0), call.shape(2)
    if source is not None:
        call.expect(2, (None, *source[1:]))
    if new is not None:
        call.expect(1, new[:1])


def write_index_copy(call: Call, to: Writing) -> None:
    inputs = {"x": to.x(call, 0), "x0": to.x(call, 1), "src": to.x(call, 2)}
    to.layer(call, "index_put", inputs, None, {"axes": (0,)})


# -- sequences of several lengths -------------------------------------------------------------------------------------


def _sequence_args(call: Call) -> Args:
    return ("data", "sequence_length") if call.attrs.flag("use_sequence_length") else ("data",)


def _time_axis(call: Call) -> int:
    axis = call.attrs.integer("axis", 0)
    if axis not in (0, 1):
        raise call.attrs.wrong("axis", "0 or 1")
    return axis


def infer_sequence(call: Call) -> None:
    """Data is (T, N, …), or (N, T, …) with axis 1; there is one length for each of the N."""
    source, axis = call.shape(0), _time_axis(call)
    if source is not None:
        if len(source) < 2:
            raise call.error(f"the data has the shape {source}, of rank {len(source)}; at least 2 are needed")
        call.expect(1, (source[1 - axis],))
        call.give((source[1 - axis], *source[2:]) if call.op == "SequenceLast" else source)
    if call.op != "SequenceLast":
        call.expect(0, call.result())


def write_sequence_mask(call: Call, to: Writing) -> None:
    """What lies behind its sequence's end gets the value."""
    if len(call.args) < 2:
        to.unary(call, "identity")
        return
    x, axis = to.x(call), _time_axis(call)
    place, mask = to.between(call, x.shape[axis : axis + 1], "int64"), to.between(call, x.shape[:2], "bool")
    to.layer(call, "arange", {}, {"y": place}, None, "arange")
    to.layer(call, "greater_equal", {"x0": place, "x1": to.x(call, 1)}, {"y": mask}, None, "greater_equal")
    to.layer(call, "masked_fill", {"x": x, "mask": mask}, None, {"value": call.attrs.number("value", 0.0)})


def write_sequence_last(call: Call, to: Writing) -> None:
    axis = _time_axis(call)
    if len(call.args) < 2:
        to.unary(call, "slice", {"index": ":, -1" if axis else "-1"})
    else:
        to.layer(call, "gather", {"x": to.x(call, 0), "indices": to.x(call, 1)}, None, {"axis": axis})


def write_sequence_reverse(call: Call, to: Writing) -> None:
    axis = _time_axis(call)
    if len(call.args) < 2:
        to.unary(call, "flip", {"axis": (axis,)})
    else:
        to.layer(call, "gather", {"x": to.x(call, 0), "indices": to.x(call, 1)}, None, {"axis": axis})


RULES: Rules = {
    "take": Rule(infer_take, write_take, ("a", "indices"), like=(0,)),
    "batch_take": Rule(infer_batch_take, write_pick, ("a", "indices"), like=(0,)),
    "pick": Rule(infer_pick, write_pick, ("data", "index"), like=(0,)),
    "gather_nd": Rule(infer_gather_nd, write_gather_nd, ("data", "indices"), like=(0,)),
    "scatter_nd": Rule(infer_scatter_nd, write_scatter_nd, ("data", "indices"), like=(0,)),
    "one_hot": Rule(
        infer_one_hot, write_one_hot, ("indices",), like=(), dtype=lambda c: c.attrs.dtype("dtype", "float32")
    ),
    "_contrib_boolean_mask": Rule(infer_mask, write_mask, ("data", "index"), like=(0,)),
    "_contrib_index_copy": Rule(infer_index_copy, write_index_copy, ("old", "index", "new"), like=(0, 2)),
    "SequenceMask": Rule(infer_sequence, write_sequence_mask, _sequence_args, like=(0,)),
    "SequenceLast": Rule(infer_sequence, write_sequence_last, _sequence_args, like=(0,)),
    "SequenceReverse": Rule(infer_sequence, write_sequence_reverse, _sequence_args, like=(0,)),
}
