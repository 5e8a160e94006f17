"""Bounded reading of a FlatBuffer: tables, vectors and strings, every access checked against the file.

The format has no checksums and its own readers trust every offset. Here a position outside the file, a vector longer
than what follows it and an endless amount of shared data are `ModelError` naming the file and the place.
Format: the FlatBuffers internals page. A table begins with a signed offset back to its vtable: two bytes of vtable
size, two of table size, then two for each field, its offset in the table or 0 where it has its default.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from struct import Struct, error, unpack_from

from multiprof.errors import ModelError

_I32, _U32, _U16 = Struct("<i"), Struct("<I"), Struct("<H")
SCALARS = {
    "bool": Struct("<?"),
    "i8": Struct("<b"),
    "u8": Struct("<B"),
    "i16": Struct("<h"),
    "u16": _U16,
    "i32": _I32,
    "u32": _U32,
    "i64": Struct("<q"),
    "u64": Struct("<Q"),
    "f32": Struct("<f"),
    "f64": Struct("<d"),
}

# Elements decoded from one file at most, a table counted as several for what it takes in memory. A model of 100,000
# operators takes 8 million; tables and vectors may be shared, so that the size of the file is no bound.
MAX_READ = 10_000_000
COST_OF_TABLE = 12
# Elements of one vector that is decoded whole, and bytes of one string
MAX_VECTOR = 8_000_000
MAX_STRING = 1_000_000


class File:
    """The bytes of a file, mapped and not read, with a budget of what may be decoded."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.data: bytes | mmap.mmap
        try:
            with path.open("rb") as stream:
                try:
                    self.data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
                except ValueError:  # an empty file cannot be mapped
                    self.data = b""
        except OSError as reason:
            raise ModelError(f"{path.name}: cannot be read: {reason.strerror or reason}") from None
        self.size = len(self.data)
        self.left = MAX_READ

    def close(self) -> None:
        if isinstance(self.data, mmap.mmap):
            self.data.close()

    def fail(self, where: str, why: str) -> ModelError:
        return ModelError(f"{self.name}: {where}: {why}")

    def spend(self, amount: int, where: str) -> None:
        self.left -= amount
        if self.left < 0:
            raise self.fail(where, f"the file describes more than {MAX_READ} values: no model is that large")

    def root(self) -> Table:
        """The table that the file's first offset names."""
        return Table(self, self.at(_U32, 0, "header"), "model")

    def at(self, scalar: Struct, position: int, where: str) -> int:
        """The integer at a position of the file."""
        if position < 0:
            raise self.fail(where, "an offset points before the file's beginning")
        try:
            value: int = scalar.unpack_from(self.data, position)[0]
        except error:
            raise self.fail(where, f"an offset points to {position}, the file has {self.size} bytes") from None
        return value


class Table:
    """A table of the file; fields are read by slot, 0 for the first field of the schema.

    ``where`` is the table's place in the model, for messages (``subgraph 0, operator 12``).
    """

    __slots__ = ("file", "position", "vtable", "vtable_size", "where")

    def __init__(self, file: File, position: int, where: str) -> None:
        file.spend(COST_OF_TABLE, where)
        self.file = file
        self.position = position
        self.where = where
        self.vtable = position - file.at(_I32, position, where)
        self.vtable_size = file.at(_U16, self.vtable, where)
        if self.vtable_size < 4 or self.vtable + self.vtable_size > file.size:
            raise file.fail(where, f"a table's list of fields takes {self.vtable_size} bytes")

    def field(self, slot: int) -> int:
        """Position of a field in the file, or 0 where it has its default."""
        entry = 4 + 2 * slot
        if entry + 2 > self.vtable_size:
            return 0
        offset: int = unpack_from("<H", self.file.data, self.vtable + entry)[0]
        return self.position + offset if offset else 0

    def scalar(self, slot: int, kind: str, default: float = 0) -> int:
        """A number or bool; ``kind`` is a key of `SCALARS`."""
        position = self.field(slot)
        return self.file.at(SCALARS[kind], position, self.where) if position else default  # type: ignore[return-value]

    def indirect(self, position: int) -> int:
        return position + self.file.at(_U32, position, self.where)

    def table(self, slot: int, where: str) -> Table | None:
        position = self.field(slot)
        return Table(self.file, self.indirect(position), where) if position else None

    def string(self, slot: int) -> str:
        """A string, bytes that are no UTF-8 replaced; empty where there is none."""
        position = self.field(slot)
        if not position:
            return ""
        start, length = self._extent(position, 1)
        if length > MAX_STRING:
            raise self.file.fail(self.where, f"a string of {length} bytes")
        self.file.spend(1 + length // 64, self.where)
        return self.file.data[start : start + length].decode("utf-8", "replace")

    def vector(self, slot: int, kind: str) -> tuple[int, ...]:
        """A vector of numbers, decoded whole; empty where there is none."""
        position = self.field(slot)
        if not position:
            return ()
        scalar = SCALARS[kind]
        start, length = self._extent(position, scalar.size)
        if length > MAX_VECTOR:
            raise self.file.fail(self.where, f"a vector of {length} numbers")
        self.file.spend(length, self.where)
        return unpack_from(f"<{length}{scalar.format[-1]}", self.file.data, start)

    def has(self, slot: int) -> bool:
        return bool(self.field(slot))

    def extent(self, slot: int) -> tuple[int, int]:
        """Position and length of a vector of bytes, which is not read; (0, 0) where there is none."""
        position = self.field(slot)
        return self._extent(position, 1) if position else (0, 0)

    def tables(self, slot: int, what: str, most: int) -> Tables:
        """A vector of ``most`` tables at most; ``what`` names each in messages: ``what 0``, ``what 1`` …"""
        position = self.field(slot)
        if not position:
            return Tables(self, 0, 0, "")
        start, length = self._extent(position, 4)
        if length > most:
            raise self.file.fail(self.where, f"{length} tables of the kind {what!r}: no model has more than {most}")
        return Tables(self, start, length, f"{self.where}, {what}" if self.where != "model" else what)

    def _extent(self, position: int, width: int) -> tuple[int, int]:
        """Start and length of the vector whose offset stands at ``position``, which lies in the file as a whole."""
        start = self.indirect(position) + 4
        length = self.file.at(_U32, start - 4, self.where)
        if start + length * width > self.file.size:
            raise self.file.fail(
                self.where, f"a vector of {length} elements ({length * width} bytes) begins at byte {start}; "
                f"the file has {self.file.size} bytes",
            )  # fmt: skip
        return start, length


class Tables(Sequence[Table]):
    """A vector of tables, each decoded when it is asked for."""

    __slots__ = ("length", "of", "prefix", "start")

    def __init__(self, of: Table, start: int, length: int, prefix: str) -> None:
        self.of = of
        self.start = start
        self.length = length
        self.prefix = prefix

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> Table:  # type: ignore[override]  # slices are not needed
        if number >= self.length:
            raise IndexError(number)
        return Table(self.of.file, self.of.indirect(self.start + 4 * number), f"{self.prefix} {number}")


__all__ = ["SCALARS", "File", "Table", "Tables"]
