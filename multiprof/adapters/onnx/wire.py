"""A scanner over protobuf's wire format that leaves out what is big, so that weights are never read.

A message is a row of fields: a tag (number · 8 + kind) and a value; a text, a packed list and an enclosed message are
preceded by their length, so that they can be stepped over. The scanner copies the model without the payloads of large
tensors, and notes in each such tensor where in the file its payload lies: as the deprecated ``segment`` field, whose
``begin`` is the number of the `Payload`.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass

from multiprof.errors import ModelError

KEPT = 1024  # bytes: payloads up to this size stay in the copy
MAX_NODES = 100_000
MAX_DEPTH = 90  # of enclosed messages; protobuf itself stops at 100
MAX_FIELDS = 20_000_000  # numbers that are stepped over one by one, some seconds
MAX_PARTS = 2_000_000  # texts and enclosed messages, of which protobuf makes an object of 100 bytes and more each
LARGE = 16 << 20  # bytes: in a copy larger than this all parts are counted, the smallest ones too

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Buffer = mmap.mmap | bytes

# Message -> field number -> the message it holds. Only those are entered in which a payload can be.
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _INFO, _TYPE, _SHAPED, _SHAPE, _PAIR, _NOTE = (
    "model", "graph", "node", "attribute", "tensor", "sparse tensor", "function", "value", "type", "tensor type",
    "shape", "pair", "annotation",
)  # fmt: skip
_ENTERED: Mapping[str, Mapping[int, str]] = {
    _MODEL: {7: _GRAPH, 8: _PAIR, 14: _PAIR, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 11: _INFO, 12: _INFO, 13: _INFO, 14: _NOTE, 15: _SPARSE, 16: _PAIR},
    _NODE: {5: _ATTRIBUTE, 9: _PAIR},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 14: _TYPE, 15: _TYPE, 22: _SPARSE, 23: _SPARSE},
    _TENSOR: {13: _PAIR, 16: _PAIR},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 9: _PAIR, 11: _ATTRIBUTE, 12: _INFO, 14: _PAIR},
    _INFO: {2: _TYPE, 4: _PAIR},
    _TYPE: {1: _SHAPED, 4: _TYPE, 5: _TYPE, 8: _SHAPED, 9: _TYPE},
    _SHAPED: {1: _TYPE, 2: _SHAPE},  # a sequence and an optional have the type of their items as field 1
    _SHAPE: {1: _PAIR},
    _PAIR: {},
    _NOTE: {2: _PAIR},
}
# What nobody here reads: documentation, training information, descriptions of devices.
_DROPPED: Mapping[str, frozenset[int]] = {
    _MODEL: frozenset((6, 20, 26)),
    _GRAPH: frozenset((10,)),
    _NODE: frozenset((6, 10)),
    _ATTRIBUTE: frozenset((13,)),
    _TENSOR: frozenset((3, 12)),  # 3: the segment, which is put there here
    _SPARSE: frozenset(),
    _FUNCTION: frozenset((8,)),
    **dict.fromkeys((_INFO, _TYPE, _SHAPED, _SHAPE, _PAIR, _NOTE), frozenset()),
}
# TensorProto's fields of contents: float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data
CONTENTS = frozenset((4, 5, 6, 7, 9, 10, 11))


@dataclass(slots=True)
class Payload:
    """Contents of a tensor that stayed in the file: the number of the field, and where its bytes are."""

    field: int
    offset: int
    length: int


class Scanner:
    """One pass over a file; `copy` is the message without payloads, `payloads` says where they are."""

    def __init__(self, data: Buffer, name: str) -> None:
        self.data = data
        self.name = name
        self.payloads: list[Payload] = []
        self.nodes = 0
        self.fields = 0
        self.parts = 0
        self.entered_above = KEPT

    def copy(self) -> bytes:
        """The model without large payloads, in protobuf's format; raises `ModelError` for what is no such message."""
        made = b"".join(self._message(_MODEL, 0, len(self.data), 0))
        if len(made) > LARGE:
            count = Scanner(made, self.name)
            count.entered_above = 0
            count._message(_MODEL, 0, len(made), 0)
        return made

    def _message(self, kind: str, start: int, end: int, depth: int) -> list[bytes]:
        """The pieces of the copy of the message between two offsets."""
        if depth > MAX_DEPTH:
            raise self.error(start, f"messages are nested more than {MAX_DEPTH} deep")
        data = self.data
        entered, dropped = _ENTERED[kind], _DROPPED[kind]
        is_tensor = kind == _TENSOR
        counts_nodes = kind in (_GRAPH, _FUNCTION)
        node_field = 1 if kind == _GRAPH else 7
        pieces: list[bytes] = []
        pending = start  # what lies between here and the current field is copied as it is
        where = start
        nodes = parts = 0
        fields_left = MAX_FIELDS - self.fields
        entered_above = self.entered_above
        while where < end:
            begin = where
            fields_left -= 1
            if fields_left < 0:
                raise self.error(begin, f"more than {MAX_FIELDS} fields")
            tag = data[where]
            where += 1
            if tag >= 0x80:
                tag, where = self._varint(begin, end)
            wire = tag & 7
            number = tag >> 3
            if wire == BYTES:
                # the length, written out here because it is the innermost loop
                length = data[where] if where < end else 0x80
                if length < 0x80:
                    where += 1
                else:
                    length, where = self._varint(where, end)
                inside = where
                where += length
                parts += 1
                if self.parts + parts > MAX_PARTS:
                    raise self.error(begin, f"more than {MAX_PARTS} texts and messages")
                if where > end:
                    raise self.error(begin, f"field {number} of a {kind} is {length} bytes long: {end - inside} follow")
                if counts_nodes and number == node_field:
                    nodes += 1
                    if self.nodes + nodes > MAX_NODES:
                        raise self.error(begin, f"more than {MAX_NODES} nodes: no network is that large")
                if number in dropped:
                    pieces.append(data[pending:begin])
                    pending = where
                elif length > entered_above:
                    if number in entered:
                        self.parts += parts
                        self.nodes += nodes
                        parts = nodes = 0
                        self.fields = MAX_FIELDS - fields_left
                        inner = self._message(entered[number], inside, where, depth + 1)
                        pieces.append(data[pending:begin])
                        pieces.append(_key(number, BYTES) + _number(sum(map(len, inner))))
                        pieces += inner
                        pending = where
                        fields_left = MAX_FIELDS - self.fields
                    elif is_tensor and number in CONTENTS and length > KEPT:
                        pieces.append(data[pending:begin])
                        pieces.append(self._left_out(number, inside, length))
                        pending = where
            elif wire == VARINT:
                while data[where] >= 0x80 if where < end else self._cut(begin, kind):
                    where += 1
                    if where - begin > 20:
                        raise self.error(begin, "a number of more than 64 bits")
                where += 1
            elif wire in (FIXED32, FIXED64):
                width = 4 if wire == FIXED32 else 8
                if is_tensor and number in CONTENTS and tag < 0x80:
                    length = self._run(begin, end, tag, width + 1)
                    if length > KEPT:  # numbers that are not packed, each with its tag
                        pieces.append(data[pending:begin])
                        pieces.append(self._left_out(0, begin, length))
                        pending = where = begin + length
                        continue
                where += width
                if where > end:
                    raise self.error(begin, f"a {kind} ends within its field {number}")
            else:
                raise self.error(begin, f"field {number} of a {kind} has the kind {wire}, which there is not")
            if number == 0:
                raise self.error(begin, f"a {kind} has a field of number 0")
        self.nodes += nodes
        self.parts += parts
        self.fields = MAX_FIELDS - fields_left
        pieces.append(data[pending:end])
        return pieces

    def _left_out(self, number: int, offset: int, length: int) -> bytes:
        """The segment field that stands for a payload."""
        self.payloads.append(Payload(number, offset, length))
        segment = b"\x08" + _number(len(self.payloads) - 1)
        return _key(3, BYTES) + _number(len(segment)) + segment

    def _run(self, begin: int, end: int, tag: int, step: int) -> int:
        """How many bytes the fields with this very tag take that follow one another, each ``step`` bytes."""
        data = self.data
        high = (end - begin) // step
        if high < 2 or data[begin + step] != tag:
            return 0
        count = 1
        block = 1 << 16
        while count < high:
            tags = data[begin + count * step : begin + min(high, count + block) * step][::step]
            same = len(tags) - len(tags.lstrip(bytes((tag,))))
            count += same
            if same < len(tags):
                break
        return count * step

    def _varint(self, begin: int, end: int) -> tuple[int, int]:
        """The number that begins here, and the offset behind it."""
        value = shift = 0
        where = begin
        while True:
            if where >= end:
                raise self.error(begin, "the file ends within a number")
            byte = self.data[where]
            where += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, where
            shift += 7
            if shift > 63:
                raise self.error(begin, "a number of more than 64 bits")

    def _cut(self, begin: int, kind: str) -> bool:
        raise self.error(begin, f"a {kind} ends within a number")

    def error(self, offset: int, what: str) -> ModelError:
        return ModelError(f"{self.name} is no ONNX model, or a damaged one: at byte {offset}, {what}")


def _key(number: int, wire: int) -> bytes:
    return _number(number << 3 | wire)


def _number(value: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


__all__ = ["CONTENTS", "KEPT", "MAX_NODES", "Buffer", "Payload", "Scanner"]
