"""Shape arithmetic where some sizes are unknown: arrays of objects, ``None`` for what nobody knows.

After an operator whose result depends on data (NonZero, NonMaxSuppression) real files still compute shapes, of which
all but one size are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multiprof.adapters.onnx import evaluate
from multiprof.adapters.onnx.call import Call
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.source import Array
from multiprof.adapters.onnx.types import Type
from multiprof.ir import Shape

MAX_PARTIAL = 1024  # elements

# Operators that only move elements; each with how many of its operands are moved, the others must be known
_MOVES = {
    "Cast": 1,
    "Concat": 1 << 16,
    "Gather": 1,
    "Identity": 1,
    "Reshape": 1,
    "Slice": 1,
    "Squeeze": 1,
    "Unsqueeze": 1,
}


def _maybe(function: Callable[[int, int], int]) -> Callable[..., Any]:
    made: Callable[..., Any] = np.frompyfunc(lambda a, b: None if a is None or b is None else function(a, b), 2, 1)
    return made


def _product(a: Any, b: Any) -> Any:
    return 0 if 0 in (a, b) else None if a is None or b is None else a * b


def _quotient(a: int, b: int) -> int:
    return int(a / b) if b else 0


_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "Add": _maybe(lambda a, b: a + b),
    "Div": _maybe(_quotient),
    "Mul": np.frompyfunc(_product, 2, 1),
    "Sub": _maybe(lambda a, b: a - b),
}


def dims(shape: Shape) -> Array:
    """The contents of a Shape, sizes and ``None``."""
    made = np.empty(len(shape), object)
    made[:] = shape
    return made


def known(tensor: Tensor | None) -> Array | None:
    """What is known of an operand's contents, as objects."""
    if tensor is None:
        return None
    if tensor.partial is not None:
        return tensor.partial
    contents = tensor.value if tensor.weight else None
    return None if contents is None or contents.size > MAX_PARTIAL else contents.astype(object)


def evaluated(call: Call) -> Array | None:
    """The partly known contents of an operator's result, or ``None`` where it is not computed."""
    op_type = call.op_type
    tensors = [call.tensor(number) for number in range(len(call.inputs))]
    if op_type in _ARITHMETIC:
        operands = [known(tensor) for tensor in tensors]
        if len(operands) != 2 or operands[0] is None or operands[1] is None:
            return None
        try:
            return _bounded(np.asarray(_ARITHMETIC[op_type](*operands), object))
        except (ValueError, TypeError, OverflowError):
            return None
    moved = _MOVES.get(op_type)
    if moved is None:
        return None
    values: list[Any] = []
    for number, tensor in enumerate(tensors):
        if tensor is None:
            values.append(None)
            continue
        contents = known(tensor) if number < moved else tensor.value if tensor.weight else None
        if contents is None:
            return None
        values.append(contents)
    if op_type == "Cast":
        return values[0] if call.attrs.get("to") in (6, 7) else None
    try:
        return _bounded(np.asarray(evaluate.EVALUATORS[op_type](values, call.attrs, call.version), object))
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, evaluate.TooLarge):
        return None


def _bounded(contents: Array) -> Array | None:
    return contents if contents.size <= MAX_PARTIAL else None


def refined(call: Call, types: dict[str, Type]) -> None:
    """Fill in sizes that follow from a shape operand of which some elements are known."""
    op_type = call.op_type
    place = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0, "Resize": 3}.get(op_type)
    shape = call.tensor(place) if place is not None else None
    if shape is None or shape.partial is None or not call.outputs:
        return
    output = call.outputs[0]
    sizes = list(shape.partial.ravel())
    x = call.tensor(0)
    if op_type == "Reshape":
        made = _reshaped(sizes, x.shape if x is not None and x.ranked else None, bool(call.attrs.get("allowzero")))
    elif op_type == "Expand":
        if x is None or not x.ranked:
            return
        made = _expanded(sizes, x.shape)
    else:
        made = tuple(None if size is None or size < 0 else int(size) for size in sizes)
    found = types.get(output)
    if found is not None and found.shape is not None and len(found.shape) == len(made):
        made = tuple(b if a is None else a for a, b in zip(found.shape, made, strict=True))
    dtype = found.dtype if found is not None and found.dtype else x.dtype if x is not None else "float32"
    if found is None or found.kind in ("", "tensor"):
        types[output] = Type("tensor", dtype, made)


def _reshaped(sizes: Sequence[Any], shape: Shape | None, allow_zero: bool) -> Shape:
    made: list[int | None] = []
    for axis, size in enumerate(sizes):
        if size == 0 and not allow_zero:
            made.append(shape[axis] if shape is not None and axis < len(shape) else None)
        else:
            made.append(None if size is None or size < 0 else int(size))
    return tuple(made)


def _expanded(sizes: Sequence[Any], shape: Shape) -> Shape:
    rank = max(len(sizes), len(shape))
    wanted = [1] * (rank - len(sizes)) + list(sizes)
    there = [1] * (rank - len(shape)) + list(shape)
    return tuple(
        b if a == 1 else a if b == 1 or a == b or b is None else None for a, b in zip(wanted, there, strict=True)
    )


__all__ = ["MAX_PARTIAL", "dims", "evaluated", "known", "refined"]
