"""Operations that only move or drop data: free, each with the reason. The bytes they move are still traffic.

Where a layer does not read all of its inputs once and write all of its outputs once, the row has its own traffic.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from multiprof.cost import Cost, Traffic, free, moved_bytes
from multiprof.errors import PluginError
from multiprof.formulas._primitives import known_shape
from multiprof.ir import ALIAS_ROLE, BITS, VIEW, WRITE, Layer, TensorSpec


def reads_what_it_writes(layer: Layer) -> Traffic:
    """A part of the input is copied: as much is read as is written, and a view moves nothing."""
    _, written = moved_bytes(layer)
    return written, written


def reads_by_index(layer: Layer) -> Traffic:
    """The indices and the elements they name are read, the result is written."""
    written = layer.y.nbytes
    return sum(spec.nbytes for spec in _indices(layer)) + written, written


def writes_by_index(layer: Layer) -> Traffic:
    """Indices and source are read and the indexed part is written; out of place, all of x is copied before.

    A part chosen by a mask, with a single source value, may be all of x, and counts so.
    """
    x = layer.x
    indices = _indices(layer)
    source = layer.inputs.get("src")
    part = written_elements(layer)
    item = TensorSpec((part,), x.dtype).nbytes
    read = sum(spec.nbytes for spec in indices)
    if source is not None:
        read += min(source.nbytes, (part * BITS[source.dtype] + 7) // 8)
    if any(kind == WRITE for _, _, kind in layer.aliases):
        return read, item
    return read + x.nbytes, layer.y.nbytes + item


def combines_by_index(layer: Layer) -> Traffic:
    """As `writes_by_index`, and the part is read before it is written."""
    read, written = writes_by_index(layer)
    return read + TensorSpec((written_elements(layer),), layer.x.dtype).nbytes, written


def reads_the_source(layer: Layer) -> Traffic:
    """x is read and written elsewhere; what stood at the destination is not read."""
    if any(kind == VIEW for _, _, kind in layer.aliases):
        return 0, 0
    return layer.x.nbytes, layer.y.nbytes


def nothing_moves(layer: Layer) -> Traffic:
    """The result is the input itself."""
    return 0, 0


def _indices(layer: Layer) -> list[TensorSpec]:
    """The index tensors: role ``indices``, or x0, x1 …"""
    return [spec for role, spec in layer.inputs.items() if role not in ("x", "src") and not role.startswith(ALIAS_ROLE)]


def written_elements(layer: Layer) -> int:
    """How many elements of x an indexed write touches.

    A source of several values is as large as the indexed part (one that is broadcast counts as it stands: the indices
    may hold whole coordinates in their last dimension, so that they do not tell). A single value is spread over a part
    that follows from the indices and the dimensions they leave, or from nothing known before the model runs where an
    index is a mask.
    """
    if "indices" in layer.inputs:
        return layer.inputs["indices"].numel
    indices, source = _indices(layer), layer.inputs.get("src")
    if source is not None and source.numel > 1:
        return source.numel
    shape = known_shape(layer.x)
    if any(spec.dtype == "bool" for spec in indices):
        return prod(shape)
    rank = max((spec.rank for spec in indices), default=0)
    padded = [(1,) * (rank - spec.rank) + known_shape(spec) for spec in indices]
    named: int = prod(max(sizes) for sizes in zip(*padded, strict=True))  # the indices, broadcast against each other
    taken = layer.attrs.get("axes", range(len(indices)))
    return named * prod(n for axis, n in enumerate(shape) if axis not in taken)


def _replaces(layer: Layer) -> Cost:
    """Nothing: a write that combines values with those there is another op, which must not pass for this one."""
    if layer.attrs.get("reduce"):
        raise PluginError(
            f"layer {layer.name}: {layer.op} replaces values; what combines them is scatter_reduce or index_reduce"
        )
    return Cost()


FORMULAS = (
    free("reshape", reason="a view, or a copy of the same elements"),
    free("transpose", reason="a view, or a copy in another order"),
    free("slice", reason="a view, or a copy of a part", traffic=reads_what_it_writes),
    free("split", reason="views, or copies of parts", traffic=reads_what_it_writes),
    free("expand", reason="a view, or copies of the same elements"),
    free("repeat", reason="copies of the same elements"),
    free("concat", "stack", reason="copies side by side"),
    free("pad", reason="a copy with constants, or with copies of its own elements, around it"),
    free("flip", "roll", reason="a copy in another order"),
    free("unfold", reason="a view, or copies of windows"),
    free("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", reason="a view, or a copy in another order"),
    free("triangle", reason="a copy with zeros, chosen by position"),
    free("gather", "index", reason="a gather of elements", traffic=reads_by_index),
    replace(
        free("scatter", "index_put", reason="elements written where an index says", traffic=writes_by_index),
        price=_replaces,
    ),
    free("max_unpool", "one_hot", reason="elements written where an index says"),
    free("copy", reason="a copy", traffic=reads_the_source),
    free("dropout", reason="absent at inference", traffic=nothing_moves),
    free("identity", reason="nothing happens", traffic=nothing_moves),
)
