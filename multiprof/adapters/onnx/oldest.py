"""Shapes of the first versions of operators, of opsets 1 to 5, for which onnx has no inference.

Source: onnx's Changelog.md. They take as attributes what later versions take as operands, and both operands of the
arithmetic ones have the shape of the first, or are stretched to it by the attributes ``broadcast`` and ``axis``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multiprof.adapters._common.shapes import normal_axis, numel
from multiprof.adapters.onnx.call import Call
from multiprof.adapters.onnx.dtypes import NUMBERS
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.types import Type
from multiprof.ir import Shape

NEWEST = 5  # the opset after which no operator is at its first version for want of a second
AS_FIRST = [
    "Abs",
    "Add",
    "BatchNormalization",
    "Ceil",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "Floor",
    "HardSigmoid",
    "InstanceNormalization",
    "LeakyRelu",
    "Log",
    "Max",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Reciprocal",
    "Relu",
    "Selu",
    "Sigmoid",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
]


def first(call: Call, x: Tensor) -> Type:
    return Type("tensor", x.dtype, x.shape)


def cast(call: Call, x: Tensor) -> Type | None:
    """``to`` is the name of the type, as in ``FLOAT``."""
    name = str(call.attrs.get("to", "")).lower()
    name = {"float": "float32", "double": "float64"}.get(name, name)
    return Type("tensor", name, x.shape) if name in NUMBERS else None


def concat(call: Call, x: Tensor) -> Type | None:
    """Along ``axis``, 1 unless given."""
    tensors = [value for value in call.inputs if isinstance(value, Tensor)]
    if not all(t.ranked and t.rank == x.rank for t in tensors):
        return None
    axis = normal_axis(call.attrs.get("axis", 1), x.rank, where=call.where)
    sizes = [t.shape[axis] for t in tensors]
    whole = None if None in sizes else sum(size for size in sizes if size is not None)
    return Type("tensor", x.dtype, (*x.shape[:axis], whole, *x.shape[axis + 1 :]))


def gemm(call: Call, x: Tensor) -> Type | None:
    b = call.tensor(1)
    if b is None or not b.ranked or x.rank != 2 or b.rank != 2:
        return None
    rows = x.shape[1 if call.attrs.get("transA", 0) else 0]
    return Type("tensor", x.dtype, (rows, b.shape[0 if call.attrs.get("transB", 0) else 1]))


def pad(call: Call, x: Tensor) -> Type | None:
    """``paddings``: how much before each axis, then how much behind each."""
    pads = call.attrs.get("paddings", ())
    if len(pads) != 2 * x.rank:
        return None
    both = zip(x.shape, pads[: x.rank], pads[x.rank :], strict=True)
    return Type("tensor", x.dtype, tuple(None if size is None else size + a + b for size, a, b in both))


def reshape(call: Call, x: Tensor) -> Type | None:
    """To ``shape``, where 0 is the operand's own size and −1 what is left."""
    wanted = list(call.attrs.get("shape", ()))
    if wanted.count(-1) > 1 or any(size == 0 and axis >= x.rank for axis, size in enumerate(wanted)):
        return None
    made: list[int | None] = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if -1 in wanted:
        made[wanted.index(-1)] = _left(x.shape, (*made[: wanted.index(-1)], *made[wanted.index(-1) + 1 :]))
    return Type("tensor", x.dtype, tuple(made))


def _left(whole: Shape, others: Shape) -> int | None:
    elements, taken = numel(whole), numel(others)
    return None if elements is None or not taken else elements // taken


SHAPES: Mapping[str, Callable[[Call, Tensor], Type | None]] = {
    **dict.fromkeys(AS_FIRST, first),
    "Cast": cast,
    "Concat": concat,
    "Gemm": gemm,
    "Pad": pad,
    "Reshape": reshape,
}


def completed(call: Call, types: dict[str, Type]) -> None:
    """Fill in the type of the first output where nothing is known of it."""
    rule = SHAPES.get(call.op_type)
    x = call.tensor(0)
    if rule is None or call.domain or call.version > NEWEST or x is None or not x.ranked or not call.outputs[0]:
        return
    known = types.get(call.outputs[0])
    if known is None or known.shape is None:
        made = rule(call, x)
        if made is not None:
            types[call.outputs[0]] = made


__all__ = ["completed"]
