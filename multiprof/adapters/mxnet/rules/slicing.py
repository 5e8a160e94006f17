"""Parts of a tensor by position: slices, splits, crops."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape

Bounds = tuple[int | None, int | None, int]


def _between(call: Call, size: int, bounds: Bounds) -> int:
    """How many elements of ``size`` lie in begin:end:step (src/operator/tensor/matrix_op-inl.h, GetIndexRange)."""
    begin, end, step = bounds
    if step == 0:
        raise call.attrs.wrong("step", "a step other than 0")
    # MXNet refuses what lies outside; Python's slices clamp it, and agree on all that MXNet accepts
    return len(range(*slice(begin, end, step).indices(size)))


# -- slice, slice_axis, slice_like ------------------------------------------------------------------------------------


def _ranges(call: Call) -> list[Bounds]:
    begin = call.attrs.maybe_ints("begin") or ()
    end = call.attrs.maybe_ints("end") or ()
    step = call.attrs.maybe_ints("step") or ()
    if len(begin) != len(end) or len(step) not in (0, len(begin)):
        raise call.attrs.wrong("end", f"a tuple of {len(begin)} places, as begin is")
    steps = [1 if s is None else s for s in step] or [1] * len(begin)
    return list(zip(begin, end, steps, strict=True))


def infer_slice(call: Call) -> None:
    source, ranges = call.shape(0), _ranges(call)
    if source is None:
        return
    if len(ranges) > len(source):
        raise call.attrs.wrong("begin", f"at most {len(source)} places")
    made = list(source)
    for axis, bounds in enumerate(ranges):
        size = source[axis]
        if bounds == (None, None, 1):
            continue
        made[axis] = None if size is None else _between(call, size, bounds)
    call.give(tuple(made))
    _same_elsewhere(call, {axis for axis, bounds in enumerate(ranges) if bounds != (None, None, 1)})


def _same_elsewhere(call: Call, cut: set[int]) -> None:
    """The dimensions that are not cut have the data's sizes."""
    source, result = call.shape(0), call.result()
    if source is not None and result is not None and len(source) == len(result):
        call.expect(0, tuple(dim if axis in cut else result[axis] for axis, dim in enumerate(source)))


def write_slice(call: Call, to: Writing) -> None:
    texts = [":".join("" if b is None else str(b) for b in (begin, end, step)) for begin, end, step in _ranges(call)]
    to.unary(call, "slice", {"index": ", ".join(text.removesuffix(":1") for text in texts)})


def _axis_bounds(call: Call) -> Bounds:
    return call.attrs.integer("begin"), call.attrs.maybe_int("end"), 1


def infer_slice_axis(call: Call) -> None:
    source = call.shape(0)
    if source is None:
        return
    axis = call.axis(call.attrs.integer("axis"), len(source))
    size = source[axis]
    bounds = _axis_bounds(call)
    made = list(source)
    if size is None:
        begin, end, _ = bounds
        # the number is certain where both places count from the same side
        sided = begin is not None and end is not None and (begin < 0) == (end < 0)
        made[axis] = end - begin if sided and end is not None and begin is not None else None
    else:
        made[axis] = _between(call, size, bounds)
        if not made[axis]:
            raise call.error(f"nothing of {size} lies between {bounds[0]} and {bounds[1]}")
    call.give(tuple(made))
    _same_elsewhere(call, {axis})


def write_slice_axis(call: Call, to: Writing) -> None:
    begin, end, _ = _axis_bounds(call)
    rank = to.x(call).rank
    axis = call.axis(call.attrs.integer("axis"), rank)
    text = f"{begin}:{'' if end is None else end}"
    to.unary(call, "slice", {"index": ", ".join([":"] * axis + [text])})


def infer_slice_like(call: Call) -> None:
    """The first elements along the axes (all unless said), as many as the other tensor has."""
    source, other = call.shape(0), call.shape(1)
    if source is None or other is None:
        return
    axes = call.attrs.ints("axes", ())
    if not axes and len(source) != len(other):
        raise call.error(f"the shapes {source} and {other} have different ranks")
    made = list(source)
    for axis in axes or range(len(source)):
        size = other[call.axis(axis, len(other))]
        place = call.axis(axis, len(source))
        limit = source[place]
        if size is not None and limit is not None and size > limit:
            raise call.error(f"dimension {axis} of {source} is smaller than that of {other}")
        made[place] = size
    call.give(tuple(made))


def write_slice_like(call: Call, to: Writing) -> None:
    to.unary(call, "slice", {"index": ", ".join(f":{dim}" for dim in to.y(call).shape)})


# -- Crop: the operator of the first symbol models --------------------------------------------------------------------


def _crop_args(call: Call) -> Args:
    return ("data", "crop_like") if call.attrs.integer("num_args", 1) == 2 else ("data",)


def infer_crop(call: Call) -> None:
    """Height and width are those of the second tensor, or h_w."""
    source = call.rank(0, 4)
    if len(call.args) == 2:
        like = call.rank(1, 4)
        size: Shape = like[2:] if like is not None else (None, None)
    else:
        size = call.attrs.ints("h_w", (0, 0))
        if len(size) != 2:
            raise call.attrs.wrong("h_w", "two sizes")
    if source is None:
        return
    for have, want in zip(source[2:], size, strict=True):
        if have is not None and want is not None and want > have:
            raise call.error(f"cannot crop {source} to {size}")
    call.give((*source[:2], *size))


def write_crop(call: Call, to: Writing) -> None:
    source, made = to.x(call).shape, to.y(call).shape
    offset = call.attrs.ints("offset", (0, 0))
    if call.attrs.flag("center_crop") and None not in source and None not in made:
        offset = tuple((h - w) // 2 for h, w in zip(source[2:], made[2:], strict=True))  # type: ignore[operator]
    parts = [f"{o}:{o + n}" if n is not None else f"{o}:" for o, n in zip(offset, made[2:], strict=False)]
    to.unary(call, "slice", {"index": ", ".join([":", ":", *parts])})


# -- splits -----------------------------------------------------------------------------------------------------------


def _sections(call: Call) -> int:
    if call.op == "SliceChannel":
        return call.attrs.integer("num_outputs", least=1)
    sections = call.attrs.integer("sections", 0)
    return sections if sections > 0 else len(call.attrs.ints("indices", ()))


def infer_split(call: Call) -> None:
    """Equal pieces, or pieces that begin at the indices; squeeze_axis drops the axis, which is 1 then."""
    source, count = call.shape(0), _sections(call)
    squeeze = call.attrs.flag("squeeze_axis")
    if source is None:
        _join_back(call, count, squeeze)
        return
    axis = call.axis(call.attrs.integer("axis", 1), len(source))
    sizes = _sizes(call, source[axis], count)
    for i, size in enumerate(sizes):
        if squeeze and size not in (1, None):
            raise call.error(f"squeeze_axis with pieces of {size}")
        call.give((*source[:axis], *(() if squeeze else (size,)), *source[axis + 1 :]), i)
    _join_back(call, count, squeeze)


def _sizes(call: Call, size: int | None, count: int) -> list[int | None]:
    equal = call.op == "SliceChannel" or call.attrs.integer("sections", 0) > 0
    if equal:
        if size is not None and size % count:
            raise call.error(f"{size} do not divide into {count} equal pieces")
        return [None if size is None else size // count] * count
    begins: list[int | None] = [*call.attrs.ints("indices")]
    ends = [*begins[1:], size]
    made: list[int | None] = []
    for begin, end in zip(begins, ends, strict=True):
        if begin is None or end is None:
            made.append(None)
        elif not 0 <= begin <= end or (size is not None and end > size):
            raise call.attrs.wrong("indices", f"increasing places up to {size}")
        else:
            made.append(end - begin)
    return made


def _join_back(call: Call, count: int, squeeze: bool) -> None:
    """The dimensions off the axis follow from any piece; along it from equal pieces."""
    for i in range(len(call.outs)):
        piece = call.result(i)
        if piece is None:
            continue
        rank = len(piece) + squeeze
        axis = call.axis(call.attrs.integer("axis", 1), rank)
        off = piece if squeeze else piece[:axis] + piece[axis + 1 :]
        size: int | None = None
        if call.op == "SliceChannel":
            one = 1 if squeeze else piece[axis]
            size = None if one is None else one * count
        call.expect(0, (*off[:axis], size, *off[axis:]))


def write_split(call: Call, to: Writing) -> None:
    shape, count = to.x(call).shape, _sections(call)
    axis = call.axis(call.attrs.integer("axis", 1), len(shape))
    sizes = tuple(_sizes(call, shape[axis], count))
    outputs = {f"y{i}": to.specs[entry] for i, entry in enumerate(call.outs)}
    to.layer(call, "split", {"x": to.x(call)}, outputs, {"axis": axis, "sizes": sizes})


RULES: Rules = {
    "slice": Rule(infer_slice, write_slice),
    "slice_axis": Rule(infer_slice_axis, write_slice_axis),
    "slice_like": Rule(infer_slice_like, write_slice_like, ("data", "shape_like"), like=(0,)),
    "Crop": Rule(infer_crop, write_crop, _crop_args),
    "SliceChannel": Rule(infer_split, write_split, outputs=_sections),
    "_split_v2": Rule(infer_split, write_split, outputs=_sections),
}
