"""Shapes that onnx's own inference leaves out or gets wrong; each with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from multiprof.adapters._common.shapes import broadcast, normal_axis
from multiprof.adapters.onnx import oldest
from multiprof.adapters.onnx.call import Call
from multiprof.adapters.onnx.types import Type


def as_first(call: Call, inferred: Type | None) -> Type | None:
    """Element by element, but onnx has no inference for it."""
    x = call.tensor(0)
    return inferred if x is None or not x.ranked else Type("tensor", x.dtype, x.shape)


def stft(call: Call, inferred: Type | None) -> Type | None:
    """onnx gives all frequencies, though of a onesided transform, the default, only ⌊n/2⌋ + 1 are there."""
    if inferred is None or inferred.shape is None or len(inferred.shape) != 4 or not call.attrs.get("onesided", 1):
        return inferred
    length, window = call.tensor(3), call.tensor(2)
    points = window.shape[0] if window is not None and window.rank == 1 else None
    if length is not None and length.weight and length.value is not None and length.value.size == 1:
        points = int(length.value.ravel()[0])
    batch, frames, _, parts = inferred.shape
    return Type("tensor", inferred.dtype, (batch, frames, None if points is None else points // 2 + 1, parts))


def max_unpool(call: Call, inferred: Type | None) -> Type | None:
    """The shape may be given as contents of the third operand, at which onnx does not look."""
    x, shape = call.tensor(0), call.tensor(2)
    if x is None or shape is None or not shape.weight or shape.value is None:
        return inferred
    return Type("tensor", x.dtype, tuple(max(0, int(size)) for size in shape.value.ravel()))


def one_hot(call: Call, inferred: Type | None) -> Type | None:
    """The new axis has as many elements as the second operand says, at whose contents onnx does not look."""
    depth = _number(call, 1)
    if inferred is None or inferred.shape is None or depth is None:
        return inferred
    axis = normal_axis(call.attrs.get("axis", -1), len(inferred.shape), where=call.where)
    shape = (*inferred.shape[:axis], max(0, depth), *inferred.shape[axis + 1 :])
    return Type("tensor", inferred.dtype, shape)


def window(call: Call, inferred: Type | None) -> Type | None:
    """As long as the operand says; onnx looks at it for some integer types alone."""
    size = _number(call, 0)
    dtype = inferred.dtype if inferred is not None and inferred.dtype else "float32"
    return inferred if size is None else Type("tensor", dtype, (max(0, size),))


def mel_weights(call: Call, inferred: Type | None) -> Type | None:
    """⌊n/2⌋ + 1 frequencies by the number of bins; as `window`."""
    bins, points = _number(call, 0), _number(call, 1)
    dtype = inferred.dtype if inferred is not None and inferred.dtype else "float32"
    if bins is None or points is None:
        return inferred
    return Type("tensor", dtype, (max(0, points // 2 + 1), max(0, bins)))


def progression(call: Call, inferred: Type | None) -> Type | None:
    """Range: ⌈(limit − start)/delta⌉ elements, where onnx does not read the types they are in."""
    start, limit, delta = (_float(call, number) for number in range(3))
    if inferred is None or start is None or limit is None or not delta:
        return inferred
    return Type("tensor", inferred.dtype, (max(0, math.ceil((limit - start) / delta)),))


def _float(call: Call, number: int) -> float | None:
    """The one element of an operand, where it is known and finite."""
    tensor = call.tensor(number)
    contents = tensor.value if tensor is not None and tensor.weight else None
    if contents is None or contents.size != 1 or not math.isfinite(contents.ravel()[0]):
        return None
    return float(contents.ravel()[0])


def _number(call: Call, number: int) -> int | None:
    found = _float(call, number)
    return None if found is None else int(found)


def mask(call: Call, inferred: Type | None) -> Type | None:
    """Which elements a Dropout keeps: as many as there are, for older opsets too."""
    x = call.tensor(0)
    if x is None or not x.ranked:
        return inferred
    return Type("tensor", inferred.dtype if inferred is not None and inferred.dtype else "bool", x.shape)


def comparison(call: Call, inferred: Type | None) -> Type | None:
    """Up to opset 15 these are known to onnx by their body alone, which its inference does not look at."""
    a, b = call.tensor(0), call.tensor(1)
    if a is None or b is None or not a.ranked or not b.ranked:
        return inferred
    return Type("tensor", "bool", broadcast(a.shape, b.shape, where=call.where))


# Operator -> the number of the output, and how its type is corrected.
CORRECTIONS: Mapping[str, tuple[int, Callable[[Call, Type | None], Type | None]]] = {
    "BlackmanWindow": (0, window),
    "Dropout": (1, mask),
    "GreaterOrEqual": (0, comparison),
    "GroupNormalization": (0, as_first),
    "HammingWindow": (0, window),
    "HannWindow": (0, window),
    "LessOrEqual": (0, comparison),
    "MaxUnpool": (0, max_unpool),
    "MeanVarianceNormalization": (0, as_first),
    "MelWeightMatrix": (0, mel_weights),
    "OneHot": (0, one_hot),
    "Range": (0, progression),
    "STFT": (0, stft),
}


def correct(call: Call, types: dict[str, Type]) -> None:
    """Correct the inferred types of a node's outputs."""
    oldest.completed(call, types)
    number, correction = CORRECTIONS.get(call.op_type, (0, None))
    if correction is None or call.domain or number >= len(call.outputs) or not call.outputs[number]:
        return
    made = correction(call, types.get(call.outputs[number]))
    if made is not None:
        types[call.outputs[number]] = made


__all__ = ["CORRECTIONS", "correct"]
