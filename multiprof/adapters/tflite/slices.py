"""Which positions of every axis a slice takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from multiprof.adapters.tflite.node import Node

KEPT, DROPPED, NEW = "kept", "dropped", "new"


class Pick(NamedTuple):
    """Positions taken of an axis, ``None`` where they are not known, and what becomes of the axis."""

    places: range | None
    axis: str = KEPT

    @property
    def size(self) -> int | None:
        return None if self.places is None else len(self.places)


def slice_ranges(node: Node) -> list[range | None] | None:
    """SLICE: operands x, begin, size (−1 is all that follows). ``None`` where begin or size are not known."""
    shape = node.x(0).shape
    begin, size = node.values(1), node.values(2)
    if begin is None or size is None:
        return None
    if not len(begin) == len(size) == len(shape):
        raise node.fail(f"its begin {begin} and size {size} do not fit the shape {shape}")
    found: list[range | None] = []
    for d, b, s in zip(shape, begin, size, strict=True):
        if b is None or s is None or (s == -1 and d is None):
            found.append(None)
            continue
        end = d if s == -1 and d is not None else b + s
        if b < 0 or end < b or (d is not None and end > d):
            raise node.fail(f"it takes {s} elements from {b} on, of {d}")
        found.append(range(b, end))
    return found


def strided_ranges(node: Node) -> list[range | None] | None:
    """The positions that STRIDED_SLICE takes of every axis of x; axes that are dropped have one position."""
    picks = strided_picks(node)
    return None if picks is None else [pick.places for pick in picks if pick.axis != NEW]


def strided_picks(node: Node) -> list[Pick] | None:
    """What STRIDED_SLICE takes of every axis, new ones among them; ``None`` where not even the number is known.

    Operands x, begin, end, strides; a bit of a mask is about one position in them: begin and end count from the ends,
    an ellipsis stands for all axes that are not mentioned, an axis to shrink has one element, which is named.
    """
    shape = node.x(0).shape
    begin, end, strides = node.values(1), node.values(2), node.values(3)
    o = node.options
    count = next((len(v) for v in (begin, end, strides) if v is not None), None)
    if count is None:
        size = node.x(1).shape
        count = size[0] if len(size) == 1 else None
    if count is None or count > 64:
        return None
    begin, end, strides = begin or (None,) * count, end or (None,) * count, strides or (None,) * count
    if not len(begin) == len(end) == len(strides):
        raise node.fail(f"its begin {begin}, end {end} and strides {strides} differ in length")
    ellipsis, new = o["ellipsis_mask"], o["new_axis_mask"]
    mentioned = sum(1 for i in range(count) if not (ellipsis >> i & 1) and not (new >> i & 1))
    found: list[Pick] = []
    axis = 0
    for i in range(count):
        if ellipsis >> i & 1:
            for _ in range(len(shape) - mentioned):
                found.append(Pick(_whole(shape[axis])))
                axis += 1
            continue
        if new >> i & 1:
            found.append(Pick(range(1), NEW))
            continue
        if axis >= len(shape):
            raise node.fail(f"it slices more axes than the shape {shape} has")
        whole_begin, whole_end = o["begin_mask"] >> i & 1, o["end_mask"] >> i & 1
        last = end[i]
        if o["offset"] and last is not None and begin[i] is not None:
            last += begin[i]  # the end counts from the beginning
        if o["shrink_axis_mask"] >> i & 1:
            found.append(Pick(_single(node, shape[axis], begin[i]), DROPPED))
        else:
            places = _span(node, shape[axis], begin[i], whole_begin, last, whole_end, strides[i])
            found.append(Pick(places))
        axis += 1
    found.extend(Pick(_whole(d)) for d in shape[axis:])
    return found


def _whole(size: int | None) -> range | None:
    return None if size is None else range(size)


def _single(node: Node, size: int | None, at: int | None) -> range:
    """One position; where it is not known the first stands for it."""
    if at is None or size is None:
        return range(1)
    place = at + size if at < 0 else at
    if not 0 <= place < size:
        raise node.fail(f"it takes element {at} of {size}")
    return range(place, place + 1)


def _span(
    node: Node, size: int | None, begin: int | None, whole_begin: int, end: int | None, whole_end: int, step: int | None
) -> range | None:
    if step == 0:
        raise node.fail("its stride is 0")
    if step is None or size is None or (begin is None and not whole_begin) or (end is None and not whole_end):
        return None
    first = None if whole_begin else begin
    last = None if whole_end else end
    return range(*slice(first, last, step).indices(size))


__all__ = ["DROPPED", "Pick", "slice_ranges", "strided_picks", "strided_ranges"]
