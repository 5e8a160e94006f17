"""A message of TensorFlow without the contents of its large constants, which nobody here looks at.

A frozen graph is nearly all weights: parsed whole it stands in the memory twice. In protobuf's wire format a message is
a row of fields, a tag (number · 8 + kind) and a value, and what is enclosed or packed is preceded by its length: so
contents are stepped over, and their pages of the file never touched.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

SMALL = 1 << 20  # bytes: a file up to this size is taken as it is
KEPT = 1 << 16  # bytes: contents up to this size stay, numbers that shapes are computed of among them

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Buffer = mmap.mmap | bytes

# Message -> number of a field -> the message it holds; only those in which a tensor can be.
_ENTERED: Mapping[str, Mapping[int, str]] = {
    "SavedModel": {2: "MetaGraphDef"},
    "MetaGraphDef": {2: "GraphDef"},
    "GraphDef": {1: "NodeDef", 2: "FunctionDefLibrary"},
    "FunctionDefLibrary": {1: "FunctionDef"},
    "FunctionDef": {3: "NodeDef"},
    "NodeDef": {5: "AttrEntry"},
    "AttrEntry": {2: "AttrValue"},
    "AttrValue": {1: "ListValue", 8: "TensorProto"},
    "ListValue": {8: "TensorProto"},
    "TensorProto": {},
}
# TensorProto: tensor_content, and the packed lists of values of each type
_CONTENTS = frozenset((4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17))


class _MalformedError(Exception):
    """No such message: protobuf is to say what is wrong with it."""


def read(path: Path, message: str) -> bytes:
    """The file as a ``message`` (GraphDef or SavedModel) without large contents; as it is where that is no message."""
    with path.open("rb") as file:
        if path.stat().st_size <= SMALL:
            return file.read()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _copy(data, 0, len(data), message)
            except _MalformedError:
                return data[:]


def _copy(data: Buffer, start: int, end: int, message: str) -> bytes:
    """The message between two places, without large contents."""
    entered = _ENTERED[message]
    pieces: list[bytes] = []
    place = copied = start  # what lies between ``copied`` and ``place`` is taken over as it is
    while place < end:
        begin = place
        tag, place = _varint(data, place, end)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, place = _varint(data, place, end)
        elif kind == _FIXED64:
            place += 8
        elif kind == _FIXED32:
            place += 4
        elif kind == _BYTES:
            length, place = _varint(data, place, end)
            inner, place = place, place + length
            if place > end:
                raise _MalformedError
            if length > KEPT and number in entered:
                short = _copy(data, inner, place, entered[number])
                pieces += (data[copied:begin], _tag(number), _length(len(short)), short)
                copied = place
            elif length > KEPT and message == "TensorProto" and number in _CONTENTS:
                pieces.append(data[copied:begin])
                copied = place
        else:
            raise _MalformedError
    if place != end:
        raise _MalformedError
    pieces.append(data[copied:end])
    return b"".join(pieces)


def _varint(data: Buffer, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 64:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise _MalformedError


def _length(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*made, value))


def _tag(number: int) -> bytes:
    return _length(number << 3 | _BYTES)


__all__ = ["read"]
