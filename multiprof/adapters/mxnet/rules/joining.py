"""Tensors joined, repeated, padded, broadcast and turned round."""

from __future__ import annotations

from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call, unify
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape

# -- concat and stack -------------------------------------------------------------------------------------------------


def _axis_name(call: Call) -> tuple[str, int]:
    return ("axis", 0) if call.op in ("_npi_concatenate", "_npi_stack", "stack") else ("dim", 1)


def infer_concat(call: Call) -> None:
    """All but the axis agree; along it the result is the sum, from which a single unknown operand follows."""
    shapes = [call.shape(i) for i in range(len(call.ins))]
    known = next((shape for shape in (*shapes, call.result()) if shape is not None), None)
    if known is None:
        return
    rank = len(known)
    axis = call.axis(call.attrs.integer(*_axis_name(call)), rank)
    off: Shape = (None,) * (rank - 1)
    sizes: list[int | None] = []
    try:
        for shape in (*shapes, call.result()):
            if shape is not None:
                if len(shape) != rank:
                    raise ValueError
                off = unify(off, shape[:axis] + shape[axis + 1 :]) or ()
            sizes.append(None if shape is None else shape[axis])
    except ValueError:
        raise call.error(f"the shapes {', '.join(map(str, shapes))} do not join along axis {axis}") from None
    total = sizes.pop()
    if None not in sizes:
        total = sum(size for size in sizes if size is not None)
    elif total is not None and sizes.count(None) == 1:
        rest = total - sum(size for size in sizes if size is not None)
        if rest < 0:
            raise call.error(f"the shapes {', '.join(map(str, shapes))} are larger than the result's {total}")
        sizes[sizes.index(None)] = rest
    for i, size in enumerate(sizes):
        call.expect(i, (*off[:axis], size, *off[axis:]))
    call.give((*off[:axis], total, *off[axis:]))


def write_concat(call: Call, to: Writing) -> None:
    rank = to.y(call).rank
    axis = call.axis(call.attrs.integer(*_axis_name(call)), rank)
    to.layer(call, "concat", to.operands(call), None, {"axis": axis})


def infer_stack(call: Call) -> None:
    shapes = [call.shape(i) for i in range(len(call.ins))]
    result = call.result()
    common = None
    try:
        if result is not None:
            axis = call.axis(call.attrs.integer("axis", 0), len(result))
            common = result[:axis] + result[axis + 1 :]
        for shape in shapes:
            common = unify(common, shape)
    except ValueError:
        raise call.error(f"the shapes {', '.join(map(str, shapes))} are not one") from None
    if common is None:
        return
    for i in range(len(shapes)):
        call.expect(i, common)
    axis = call.axis(call.attrs.integer("axis", 0), len(common) + 1)
    call.give((*common[:axis], len(shapes), *common[axis:]))


def write_stack(call: Call, to: Writing) -> None:
    axis = call.axis(call.attrs.integer("axis", 0), to.y(call).rank)
    to.layer(call, "stack", to.operands(call), None, {"axis": axis})


# -- copies of elements -----------------------------------------------------------------------------------------------


def infer_tile(call: Call) -> None:
    source, reps = call.shape(0), call.attrs.ints("reps", ())
    if source is None:
        return
    rank = max(len(source), len(reps))
    dims = (1,) * (rank - len(source)) + source
    times = (1,) * (rank - len(reps)) + reps
    call.give(tuple(None if dim is None else dim * n for dim, n in zip(dims, times, strict=True)))


def write_tile(call: Call, to: Writing) -> None:
    reps = call.attrs.ints("reps", ())
    to.unary(call, "repeat", {"repeats": (1,) * (to.y(call).rank - len(reps)) + reps})


def infer_repeat(call: Call) -> None:
    """Without an axis the data is flattened."""
    source, count, axis = call.shape(0), call.attrs.integer("repeats", least=0), call.attrs.maybe_int("axis")
    if source is None:
        return
    if axis is None:
        total = numel(source)
        call.give((None if total is None else total * count,))
        return
    at = call.axis(axis, len(source))
    dim = source[at]
    call.give((*source[:at], None if dim is None else dim * count, *source[at + 1 :]))


def write_repeat(call: Call, to: Writing) -> None:
    axis = call.attrs.maybe_int("axis")
    attrs = {"repeats": call.attrs.integer("repeats")}
    if axis is not None:
        attrs["axis"] = call.axis(axis, to.x(call).rank)
    to.unary(call, "repeat", attrs)


def infer_broadcast_to(call: Call) -> None:
    """0 keeps the data's size."""
    source, shape = call.shape(0), call.attrs.ints("shape", ())
    if source is None:
        return
    if len(shape) < len(source) or (len(shape) != len(source) and call.op == "broadcast_to"):
        raise call.attrs.wrong("shape", f"a shape for data of rank {len(source)}")
    padded = (1,) * (len(shape) - len(source)) + source
    call.give(tuple(_spread(call, dim, size) for dim, size in zip(padded, shape, strict=True)))


def _spread(call: Call, dim: int | None, size: int) -> int | None:
    if size in (0, -1, -2):
        return dim
    if dim not in (1, None, size):
        raise call.error(f"a dimension of {dim} is not broadcast to {size}")
    return size


def infer_broadcast_axis(call: Call) -> None:
    source = call.shape(0)
    axes, sizes = call.attrs.ints("axis", ()), call.attrs.ints("size", ())
    if len(axes) != len(sizes):
        raise call.attrs.wrong("size", f"{len(axes)} sizes")
    if source is None:
        return
    made = list(source)
    for axis, size in zip(axes, sizes, strict=True):
        at = call.axis(axis, len(source))
        if source[at] not in (1, None):
            raise call.error(f"dimension {axis} of {source} is not 1")
        made[at] = size
    call.give(tuple(made))


def infer_broadcast_like(call: Call) -> None:
    source, other = call.shape(0), call.shape(1)
    if source is None or other is None:
        return
    mine, theirs = call.attrs.ints("lhs_axes", ()), call.attrs.ints("rhs_axes", ())
    if len(mine) != len(theirs) or (not mine and len(source) != len(other)):
        raise call.error(f"the shapes {source} and {other} do not match along axes {mine} and {theirs}")
    made = list(source)
    for a, b in zip(mine or range(len(source)), theirs or range(len(other)), strict=True):
        at = call.axis(a, len(source))
        size = other[call.axis(b, len(other))]
        if size is None or (source[at] == size):
            made[at] = size
        else:
            made[at] = _spread(call, source[at], size)
    call.give(tuple(made))


def write_expand(call: Call, to: Writing) -> None:
    to.unary(call, "expand", {"shape": to.y(call).shape})


# -- padding and order ------------------------------------------------------------------------------------------------


def _pairs(call: Call) -> tuple[tuple[int, int], ...]:
    widths = call.attrs.ints("pad_width")
    if len(widths) % 2 or min(widths) < 0:
        raise call.attrs.wrong("pad_width", "pairs of numbers of at least 0")
    return tuple(zip(widths[::2], widths[1::2], strict=True))


def infer_pad(call: Call) -> None:
    source, pairs = call.shape(0), _pairs(call)
    if source is None:
        return
    if len(pairs) != len(source):
        raise call.attrs.wrong("pad_width", f"{len(source)} pairs")
    call.give(tuple(None if dim is None else dim + a + b for dim, (a, b) in zip(source, pairs, strict=True)))


def write_pad(call: Call, to: Writing) -> None:
    mode = call.attrs.one_of("mode", ("constant", "edge", "reflect"), "constant")
    attrs = {"padding": _pairs(call), "mode": "replicate" if mode == "edge" else mode}
    if mode == "constant":
        attrs["value"] = call.attrs.number("constant_value", 0.0)  # type: ignore[assignment]  # attributes are of any type
    to.unary(call, "pad", attrs)


def infer_flip(call: Call) -> None:
    call.give(call.shape(0))
    call.expect(0, call.result())


def write_flip(call: Call, to: Writing) -> None:
    axes = call.attrs.ints("axis", tuple(range(to.x(call).rank)))
    to.unary(call, "flip", {"axis": tuple(call.axis(axis, to.x(call).rank) for axis in axes)})


def infer_depth_to_space(call: Call) -> None:
    source, block = call.rank(0, 4), call.attrs.integer("block_size", least=1)
    if source is None:
        return
    n, c, h, w = source
    square = block * block
    if call.op == "depth_to_space":
        if c is not None and c % square:
            raise call.error(f"{c} channels do not divide into blocks of {square}")
        call.give((n, None if c is None else c // square, *(None if d is None else d * block for d in (h, w))))
        return
    if any(d is not None and d % block for d in (h, w)):
        raise call.error(f"{h}×{w} does not divide into blocks of {block}")
    call.give((n, None if c is None else c * square, *(None if d is None else d // block for d in (h, w))))


def write_depth_to_space(call: Call, to: Writing) -> None:
    op = "pixel_shuffle" if call.op == "depth_to_space" else "pixel_unshuffle"
    to.unary(call, op, {"factor": call.attrs.integer("block_size")})


_CONCAT = Rule(infer_concat, write_concat, ())
_STACK = Rule(infer_stack, write_stack, ())
_SHUFFLE = Rule(infer_depth_to_space, write_depth_to_space)
_BROADCAST_TO = Rule(infer_broadcast_to, write_expand)
RULES: Rules = {
    "Concat": _CONCAT,
    "_rnn_param_concat": _CONCAT,
    "_npi_concatenate": _CONCAT,
    "stack": _STACK,
    "_npi_stack": _STACK,
    "tile": Rule(infer_tile, write_tile),
    "repeat": Rule(infer_repeat, write_repeat),
    "broadcast_to": _BROADCAST_TO,
    "_npi_broadcast_to": _BROADCAST_TO,
    "broadcast_axis": Rule(infer_broadcast_axis, write_expand),
    "broadcast_like": Rule(infer_broadcast_like, write_expand, ("lhs", "rhs"), like=(0,)),
    "Pad": Rule(infer_pad, write_pad),
    "reverse": Rule(infer_flip, write_flip),
    "_npi_flip": Rule(infer_flip, write_flip),
    "depth_to_space": _SHUFFLE,
    "space_to_depth": _SHUFFLE,
}
