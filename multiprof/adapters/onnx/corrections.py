"""Shapes that onnx's own inference leaves out or gets wrong; each with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


CORRECTIONS: Mapping[str, Callable[[Call, Type | None], Type | None]] = {
    "GroupNormalization": as_first,
    "MaxUnpool": max_unpool,
    "MeanVarianceNormalization": as_first,
    "STFT": stft,
}

__all__ = ["CORRECTIONS"]
