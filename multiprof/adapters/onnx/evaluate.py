"""Shape arithmetic: operators on small tensors whose contents are known, computed with numpy.

Each function takes the operands (``None`` for an absent one), the attributes and the opset version, and returns the
outputs. What would have more than `MAX_VALUES` elements is not computed, so that no file can fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from multiprof.adapters.onnx.dtypes import NAMES, NUMPY
from multiprof.adapters.onnx.source import MAX_VALUES, Array

Operands = Sequence[Any]
Attrs = Mapping[str, Any]
Evaluator = Callable[[Operands, Attrs, int], Any]


class TooLarge(Exception):
    """The result has more elements than are looked at."""


def evaluate(op_type: str, values: Operands, attrs: Attrs, version: int) -> list[Array] | None:
    """The outputs of an operator of the standard domain, or ``None`` where they are not computed."""
    function = EVALUATORS.get(op_type)
    if function is None:
        return None
    try:
        with np.errstate(all="ignore"):
            made = function(values, attrs, version)
    except (TooLarge, ValueError, IndexError, TypeError, ArithmeticError, KeyError, AttributeError, MemoryError):
        return None  # shape inference says what is wrong, if anything is
    outputs = [np.asarray(one) for one in (made if isinstance(made, list) else [made])]
    return None if any(one.size > MAX_VALUES or one.dtype.kind not in "iufb" for one in outputs) else outputs


def _room(shape: Sequence[int]) -> tuple[int, ...]:
    dims = tuple(int(dim) for dim in shape)
    if min(dims, default=0) < 0 or len(dims) > 32 or prod(dims) > MAX_VALUES:
        raise TooLarge
    return dims


def _broadcast(*arrays: Array) -> None:
    _room(np.broadcast_shapes(*(array.shape for array in arrays)))


def _binary(function: Callable[[Array, Array], Array]) -> Evaluator:
    def run(values: Operands, attrs: Attrs, version: int) -> Array:
        a, b = values
        if version < 7:  # with its own rules of broadcasting
            raise TooLarge
        _broadcast(a, b)
        return np.asarray(function(a, b))

    return run


def _same_type(function: Callable[[Array, Array], Array]) -> Evaluator:
    """A binary operator whose result has the type of its operands."""
    plain = _binary(function)
    return lambda values, attrs, version: plain(values, attrs, version).astype(values[0].dtype)


def _unary(function: Callable[[Array], Array]) -> Evaluator:
    return lambda values, attrs, version: np.asarray(function(values[0])).astype(values[0].dtype)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return a / b
    if (np.asarray(b) == 0).any():
        raise ArithmeticError
    quotient = np.abs(a) // np.abs(b)
    return np.where((a < 0) != (b < 0), -quotient, quotient)  # towards 0, as in C


def _modulo(values: Operands, attrs: Attrs, version: int) -> Array:
    a, b = values
    _broadcast(a, b)
    if b.dtype.kind != "f" and (b == 0).any():
        raise ArithmeticError
    return np.asarray(np.fmod(a, b) if attrs.get("fmod") else np.mod(a, b)).astype(a.dtype)


def _variadic(function: Callable[[Array, Array], Array]) -> Evaluator:
    def run(values: Operands, attrs: Attrs, version: int) -> Array:
        made = values[0]
        for value in values[1:]:
            _broadcast(made, value)
            made = function(made, value)
        return np.asarray(made)

    return run


def _axes(values: Operands, attrs: Attrs, place: int = 1) -> tuple[int, ...] | None:
    """Axes as an attribute or as an input; ``None`` where there are none."""
    if "axes" in attrs:
        return tuple(attrs["axes"])
    if len(values) > place and values[place] is not None:
        return tuple(int(axis) for axis in values[place].ravel())
    return None


def _reduction(function: Callable[..., Array]) -> Evaluator:
    def run(values: Operands, attrs: Attrs, version: int) -> Array:
        x, axes = values[0], _axes(values, attrs)
        if not axes:
            if attrs.get("noop_with_empty_axes"):
                return np.asarray(x)
            axes = tuple(range(x.ndim))
        return np.asarray(function(x, axis=axes, keepdims=bool(attrs.get("keepdims", 1)))).astype(x.dtype)

    return run


def _gather(values: Operands, attrs: Attrs, version: int) -> Array:
    x, indices = values
    axis = attrs.get("axis", 0)
    _room(x.shape[:axis] + indices.shape + x.shape[axis:][1:] if axis >= 0 else x.shape + indices.shape)
    return np.asarray(np.take(x, indices, axis=axis))


def _slice(values: Operands, attrs: Attrs, version: int) -> Array:
    x = values[0]
    if "starts" in attrs:
        starts, ends = attrs["starts"], attrs["ends"]
        axes, steps = attrs.get("axes"), None
    else:
        starts, ends = values[1].tolist(), values[2].tolist()
        axes = values[3].tolist() if len(values) > 3 and values[3] is not None else None
        steps = values[4].tolist() if len(values) > 4 and values[4] is not None else None
    index: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(
        starts, ends, axes or range(len(starts)), steps or [1] * len(starts), strict=True
    ):
        size = x.shape[axis]
        if step < 0:  # Python would read -1 as the last element, ONNX reads what is below -size as before the first
            start = min(start + size if start < 0 else start, size - 1)
            end = max(end + size if end < 0 else end, -1)
            index[axis] = slice(max(start, 0), None if end < 0 else end, step)
        else:
            index[axis] = slice(start, end, step)
    return np.asarray(x[tuple(index)])


def _squeeze(values: Operands, attrs: Attrs, version: int) -> Array:
    return np.asarray(np.squeeze(values[0], _axes(values, attrs)))


def _unsqueeze(values: Operands, attrs: Attrs, version: int) -> Array:
    axes = _axes(values, attrs)
    if axes is None or len(axes) > 32:
        raise TooLarge
    return np.asarray(np.expand_dims(values[0], axes))


def _reshape(values: Operands, attrs: Attrs, version: int) -> Array:
    x = values[0]
    wanted = attrs["shape"] if "shape" in attrs else values[1].tolist()
    if not attrs.get("allowzero"):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return np.asarray(x.reshape(wanted))


def _cast(values: Operands, attrs: Attrs, version: int) -> Array:
    to = attrs["to"]
    dtype = NUMPY[NAMES[to] if isinstance(to, int) else to.lower()]
    return np.asarray(values[0]).astype(dtype)


def _range(values: Operands, attrs: Attrs, version: int) -> Array:
    start, limit, delta = (value.ravel()[0] for value in values)
    count = int(np.ceil((float(limit) - float(start)) / float(delta)))
    _room((max(count, 0),))
    return np.asarray(start + np.arange(max(count, 0)) * delta).astype(values[0].dtype)


def _constant_of_shape(values: Operands, attrs: Attrs, version: int) -> Array:
    value = attrs.get("value", np.zeros(1, np.float32))
    return np.full(_room(values[0].tolist()), value.ravel()[0], value.dtype)


def _expand(values: Operands, attrs: Attrs, version: int) -> Array:
    shape = _room(np.broadcast_shapes(values[0].shape, tuple(int(d) for d in values[1])))
    return np.array(np.broadcast_to(values[0], shape))


def _tile(values: Operands, attrs: Attrs, version: int) -> Array:
    repeats = tuple(int(r) for r in values[1])
    _room([size * times for size, times in zip(values[0].shape, repeats, strict=True)])
    return np.asarray(np.tile(values[0], repeats))


def _where(values: Operands, attrs: Attrs, version: int) -> Array:
    _broadcast(*values)
    return np.asarray(np.where(*values))


def _concat(values: Operands, attrs: Attrs, version: int) -> Array:
    if sum(value.size for value in values) > MAX_VALUES:
        raise TooLarge
    return np.asarray(np.concatenate(values, axis=attrs.get("axis", 1)))


def _split(values: Operands, attrs: Attrs, version: int) -> list[Array]:
    x, axis = values[0], attrs.get("axis", 0)
    sizes = attrs.get("split") or (values[1].tolist() if len(values) > 1 and values[1] is not None else None)
    if sizes is None:
        parts = attrs["num_outputs"]  # the operator's own, or how many outputs the node has
        each = -(-x.shape[axis] // parts)
        sizes = [each] * (parts - 1) + [x.shape[axis] - each * (parts - 1)]
    if sum(sizes) != x.shape[axis] or min(sizes) < 0:
        raise ValueError
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _scatter_nd(values: Operands, attrs: Attrs, version: int) -> Array:
    if attrs.get("reduction", "none") != "none":
        raise TooLarge
    x, indices, updates = values
    made = x.copy()
    made[tuple(np.moveaxis(indices, -1, 0))] = updates
    return np.asarray(made)


def _gather_nd(values: Operands, attrs: Attrs, version: int) -> Array:
    if attrs.get("batch_dims"):
        raise TooLarge
    x, indices = values
    _room(indices.shape[:-1] + x.shape[indices.shape[-1] :])
    return np.asarray(x[tuple(np.moveaxis(indices, -1, 0))])


def _cumsum(values: Operands, attrs: Attrs, version: int) -> Array:
    if attrs.get("exclusive") or attrs.get("reverse"):
        raise TooLarge
    return np.cumsum(values[0], axis=int(values[1].ravel()[0]), dtype=values[0].dtype)


def _top_k(values: Operands, attrs: Attrs, version: int) -> list[Array]:
    x, axis = values[0], attrs.get("axis", -1)
    k = int(values[1].ravel()[0]) if len(values) > 1 else attrs["k"]
    order = np.argsort(-x if attrs.get("largest", 1) else x, axis=axis, kind="stable")
    indices = np.take(order, range(k), axis=axis)
    return [np.take_along_axis(x, indices, axis), indices.astype(np.int64)]


def _nonzero(values: Operands, attrs: Attrs, version: int) -> Array:
    found = np.nonzero(np.atleast_1d(values[0]))
    return np.array(found, np.int64).reshape(len(found), -1)


def _clip(values: Operands, attrs: Attrs, version: int) -> Array:
    low = values[1] if len(values) > 1 else attrs.get("min")
    high = values[2] if len(values) > 2 else attrs.get("max")
    x = values[0]
    x = x if low is None else np.maximum(x, low)
    return np.asarray(x if high is None else np.minimum(x, high)).astype(values[0].dtype)


def _transpose(values: Operands, attrs: Attrs, version: int) -> Array:
    return np.asarray(np.transpose(values[0], attrs.get("perm")))


EVALUATORS: Mapping[str, Evaluator] = {
    "Abs": _unary(np.abs),
    "Add": _same_type(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _cumsum,
    "Div": _same_type(_divide),
    "Equal": _binary(np.equal),
    "Exp": _unary(np.exp),
    "Expand": _expand,
    "Floor": _unary(np.floor),
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "Identity": lambda values, attrs, version: np.asarray(values[0]),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Mod": _modulo,
    "Mul": _same_type(np.multiply),
    "Neg": _unary(np.negative),
    "NonZero": _nonzero,
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Pow": _same_type(np.power),
    "Range": _range,
    "Reciprocal": _unary(lambda x: 1 / x),
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "Relu": _unary(lambda x: np.maximum(x, 0)),  # the body of Range has one
    "Reshape": _reshape,
    "Round": _unary(np.round),
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _same_type(np.subtract),
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
    "Xor": _binary(np.logical_xor),
}

__all__ = ["EVALUATORS", "evaluate"]
