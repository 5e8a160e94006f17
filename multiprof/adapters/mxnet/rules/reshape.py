"""Other shapes for the same elements: Reshape with its special codes, Flatten, transpose and the like."""

from __future__ import annotations

from math import prod

from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call, Known
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import SAME_MEMORY, Writing
from multiprof.ir import Shape


def write_reshape(call: Call, to: Writing) -> None:
    to.unary(call, "reshape", {"shape": to.y(call).shape}, SAME_MEMORY)


def give_checked(call: Call, shape: Known, source: Known) -> None:
    """Give the result's shape, which must hold as many elements as the data."""
    if shape is not None and source is not None:
        before, after = numel(source), numel(shape)
        if before is not None and after is not None and before != after:
            raise call.error(f"{source} has {before} elements, {shape} has {after}")
    call.give(shape)


def fill_back(call: Call) -> None:
    """A single unknown dimension of the data follows from the result's number of elements."""
    source, result = call.shape(0), call.result()
    if source is None or result is None or source.count(None) != 1:
        return
    total, known = numel(result), prod([dim for dim in source if dim is not None])
    if total is None or not known or total % known:
        return
    call.expect(0, tuple(total // known if dim is None else dim for dim in source))


# -- Reshape ----------------------------------------------------------------------------------------------------------


def coded_shape(call: Call, codes: tuple[int, ...], source: Shape, reverse: bool) -> Shape:
    """The shape that codes make of ``source`` (src/operator/tensor/matrix_op-inl.h, InferReshapeShape).

    0 copies a dimension, −1 is what is left, −2 copies the rest, −3 joins two dimensions, −4 splits one into the next
    two numbers, of which one may be −1. With ``reverse`` both are read from the right.
    """
    dims = source[::-1] if reverse else source
    wanted = codes[::-1] if reverse else codes
    made: list[int | None] = []
    rest = -1  # where the −1 stands
    at = i = 0
    while i < len(wanted):
        code = wanted[i]
        if code == 0:
            made.append(_dim(call, dims, at))
            at += 1
        elif code == -1:
            if rest >= 0:
                raise call.attrs.wrong("shape", "a shape with one −1")
            rest = len(made)
            made.append(1)
            at += 1
        elif code == -2:
            made.extend(dims[at:])
            at = len(dims)
        elif code == -3:
            first, second = _dim(call, dims, at), _dim(call, dims, at + 1)
            made.append(None if first is None or second is None else first * second)
            at += 2
        elif code == -4:
            if i + 2 >= len(wanted):
                raise call.attrs.wrong("shape", "a shape with two numbers after −4")
            made.extend(_split(call, _dim(call, dims, at), wanted[i + 1], wanted[i + 2]))
            at += 1
            i += 2
        elif code > 0:
            made.append(code)
            at += 1
        else:
            raise call.attrs.wrong("shape", "a shape of numbers from −4 on")
        i += 1
    _fill_rest(call, made, rest, source, codes)
    return tuple(made[::-1] if reverse else made)


def _fill_rest(call: Call, made: list[int | None], rest: int, source: Shape, codes: tuple[int, ...]) -> None:
    """Put what is left of the elements where the −1 stands; ``made`` has a 1 there, ``rest`` is below 0 without one."""
    if rest < 0:
        return
    total, known = numel(source), numel(tuple(made))
    if total is None or known is None:
        made[rest] = None
    elif known == 0 or total % known:
        raise call.error(f"the {total} elements of {source} do not fit the shape {codes}")
    else:
        made[rest] = total // known


def _dim(call: Call, dims: Shape, at: int) -> int | None:
    if at >= len(dims):
        raise call.attrs.wrong("shape", f"a shape for data of rank {len(dims)}")
    return dims[at]


def _split(call: Call, dim: int | None, first: int, second: int) -> tuple[int | None, int | None]:
    if first == -1 and second == -1:
        raise call.attrs.wrong("shape", "a shape with one −1 after −4")
    if first == -1:
        return (None if dim is None else _whole(call, dim, second)), second
    if second == -1:
        return first, (None if dim is None else _whole(call, dim, first))
    if first < 0 or second < 0 or (dim is not None and first * second != dim):
        raise call.error(f"{dim} does not split into {first} and {second}")
    return first, second


def _whole(call: Call, dim: int, part: int) -> int:
    if part < 1 or dim % part:
        raise call.error(f"{dim} does not split into parts of {part}")
    return dim // part


def infer_reshape(call: Call) -> None:
    source = call.shape(0)
    codes = call.attrs.ints("shape", ())
    if codes:
        if source is not None:
            give_checked(call, coded_shape(call, codes, source, call.attrs.flag("reverse")), source)
        elif all(code > 0 for code in codes):
            call.give(codes)
    elif call.attrs.ints("target_shape", ()):
        _infer_target(call, source)
    elif source is not None and call.result() is None:
        raise call.error("the attribute shape is missing")
    fill_back(call)


def _infer_target(call: Call, source: Known) -> None:
    """Before 2016: target_shape, in which one 0 is what is left; keep_highest copies the first dimension."""
    dims: list[int | None] = list(call.attrs.ints("target_shape"))
    keep = call.attrs.flag("keep_highest")
    if source is None:
        return
    if keep:
        dims[0] = source[0] if source else 1
    free = [i for i, dim in enumerate(dims) if dim == 0 and not (keep and i == 0)]
    if len(free) == 1:
        total = numel(source)
        known = numel(tuple(dim for i, dim in enumerate(dims) if i != free[0]))
        if total is None or known is None:
            dims[free[0]] = None
        elif not known or total % known:
            raise call.error(f"the {total} elements of {source} do not fit the shape {tuple(dims)}")
        else:
            dims[free[0]] = total // known
    give_checked(call, tuple(dims), source)


# -- numpy's reshape --------------------------------------------------------------------------------------------------


def infer_np_reshape(call: Call) -> None:
    """−1 is what is left."""
    codes = call.attrs.ints("newshape", ())
    source = call.shape(0)
    if codes.count(-1) > 1 or any(code < -1 for code in codes):
        raise call.attrs.wrong("newshape", "a shape with one −1")
    if -1 not in codes:
        give_checked(call, codes, source)
        fill_back(call)
        return
    if source is None:
        return
    total, known = numel(source), prod([code for code in codes if code != -1])
    if total is not None and (not known or total % known):
        raise call.error(f"the {total} elements of {source} do not fit the shape {codes}")
    call.give(tuple((None if total is None else total // known) if code == -1 else code for code in codes))


def infer_npx_reshape(call: Call) -> None:
    """−1 is what is left, −2 copies a dimension, −3 drops one of size 1, −4 copies the rest, −5 joins two dimensions,
    −6 splits one into the next two numbers (src/operator/numpy/np_matrix_op.cc, NumpyXReshapeInferShape)."""
    source = call.shape(0)
    codes = call.attrs.ints("newshape", ())
    if source is None:
        return
    reverse = call.attrs.flag("reverse")
    dims = list(source[::-1] if reverse else source)
    wanted = codes[::-1] if reverse else codes
    made: list[int | None] = []
    rest = -1
    at = i = 0
    while i < len(wanted):
        code = wanted[i]
        if code == -1:
            if rest >= 0:
                raise call.attrs.wrong("newshape", "a shape with one −1")
            rest = len(made)
            made.append(1)
            at += 1
        elif code == -2:
            made.append(_dim(call, tuple(dims), at))
            at += 1
        elif code == -3:
            if _dim(call, tuple(dims), at) not in (1, None):
                raise call.error(f"dimension {at} of {source} is not 1")
            at += 1
        elif code == -4:
            made.extend(dims[at:])
            at = len(dims)
        elif code == -5:
            first, second = _dim(call, tuple(dims), at), _dim(call, tuple(dims), at + 1)
            made.append(None if first is None or second is None else first * second)
            at += 2
        elif code == -6:
            if i + 2 >= len(wanted):
                raise call.attrs.wrong("newshape", "a shape with two numbers after −6")
            pair = (wanted[i + 2], wanted[i + 1]) if reverse else (wanted[i + 1], wanted[i + 2])
            parts = _split(call, _dim(call, tuple(dims), at), *pair)
            made.extend(parts[::-1] if reverse else parts)
            at += 1
            i += 2
        elif code >= 0:
            made.append(code)
            at += 1
        else:
            raise call.attrs.wrong("newshape", "a shape of numbers from −6 on")
        i += 1
    _fill_rest(call, made, rest, source, codes)
    give_checked(call, tuple(made[::-1] if reverse else made), source)
    fill_back(call)


def infer_reshape_like(call: Call) -> None:
    """Dimensions lhs_begin … lhs_end of the data become rhs_begin … rhs_end of the other tensor; all unless said."""
    names = ("lhs_begin", "lhs_end", "rhs_begin", "rhs_end")
    bounds = [call.attrs.maybe_int(name) for name in names]
    source, other = call.shape(0), call.shape(1)
    if bounds == [None] * 4:
        give_checked(call, other, source)
        return
    if source is None or other is None:
        return
    places = []
    for bound, rank, default in zip(bounds, [len(source)] * 2 + [len(other)] * 2, [0, len(source), 0, len(other)],
                                    strict=True):  # fmt: skip
        place = default if bound is None else bound + rank if bound < 0 else bound
        if not 0 <= place <= rank:
            raise call.error(f"the place {bound} in a tensor of rank {rank}")
        places.append(place)
    a, b, c, d = places
    give_checked(call, (*source[:a], *other[c:d], *source[b:]), source)


def infer_flatten(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        if not source:
            raise call.error("the data is a scalar")
        call.give((source[0], numel(source[1:])))
        result = call.result()
        if result is not None:
            call.expect(0, (result[0], *source[1:]))


# -- dimensions in another order --------------------------------------------------------------------------------------


def infer_transpose(call: Call) -> None:
    perm = _perm(call)
    if perm is None:
        return
    source, result = call.shape(0), call.result()
    if source is not None:
        call.give(tuple(source[axis] for axis in perm))
    elif result is not None:
        back: list[int | None] = [None] * len(perm)
        for place, axis in enumerate(perm):
            back[axis] = result[place]
        call.expect(0, tuple(back))
    result = call.result()
    if source is not None and result is not None and None in source:
        dims = list(source)
        for place, axis in enumerate(perm):
            dims[axis] = result[place]
        call.expect(0, tuple(dims))


def _perm(call: Call) -> tuple[int, ...] | None:
    known = call.shape(0) if call.shape(0) is not None else call.result()
    if known is None:
        return None
    rank = len(known)
    if call.op == "SwapAxis":
        a, b = call.attrs.integer("dim1", 0), call.attrs.integer("dim2", 0)
        a, b = call.axis(a, rank), call.axis(b, rank)
        found = list(range(rank))
        found[a], found[b] = found[b], found[a]
        return tuple(found)
    axes = call.attrs.ints("axes", tuple(range(rank))[::-1])
    perm = tuple(call.axis(axis, rank) for axis in axes)
    if sorted(perm) != list(range(rank)):
        raise call.attrs.wrong("axes", f"an order of {rank} dimensions")
    return perm


def write_transpose(call: Call, to: Writing) -> None:
    perm = _perm(call)
    to.unary(call, "transpose", {"perm": perm})


def infer_expand_dims(call: Call) -> None:
    source, axis = call.shape(0), call.attrs.integer("axis")
    if source is not None:
        at = call.axis(axis, len(source) + 1)
        call.give((*source[:at], 1, *source[at:]))
    result = call.result()
    if result is not None:
        at = call.axis(axis, len(result))
        call.expect(0, result[:at] + result[at + 1 :])


def infer_squeeze(call: Call) -> None:
    """Without axes all dimensions of size 1 go; a legacy tensor keeps one dimension at least."""
    source = call.shape(0)
    if source is None:
        return
    axes = call.attrs.ints("axis", ())
    if axes:
        gone = {call.axis(axis, len(source)) for axis in axes}
        for axis in gone:
            if source[axis] not in (1, None):
                raise call.error(f"dimension {axis} of {source} is not 1")
    elif None in source:
        return
    else:
        gone = {axis for axis, dim in enumerate(source) if dim == 1}
    kept = tuple(dim for axis, dim in enumerate(source) if axis not in gone)
    call.give(kept if kept or call.op.startswith("_np") else (1,))


RULES: Rules = {
    "Reshape": Rule(infer_reshape, write_reshape),
    "_np_reshape": Rule(infer_np_reshape, write_reshape),
    "_npx_reshape": Rule(infer_npx_reshape, write_reshape),
    "reshape_like": Rule(infer_reshape_like, write_reshape, ("lhs", "rhs"), like=(0,)),
    "Flatten": Rule(infer_flatten, write_reshape),
    "transpose": Rule(infer_transpose, write_transpose),
    "_np_transpose": Rule(infer_transpose, write_transpose),
    "SwapAxis": Rule(infer_transpose, write_transpose),
    "expand_dims": Rule(infer_expand_dims, write_reshape),
    "squeeze": Rule(infer_squeeze, write_reshape),
    "_np_squeeze": Rule(infer_squeeze, write_reshape),
}
