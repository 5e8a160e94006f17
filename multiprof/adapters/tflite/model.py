"""What a TFLite file declares, decoded when asked for: subgraphs, tensors, operators, signatures.

Contents of buffers are not read, except small ones by `Model.numbers`, for the arithmetic of shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from struct import unpack_from
from typing import Any

from multiprof.adapters._common.writer import checked_shape
from multiprof.adapters.tflite.flatbuffer import SCALARS, File, Table
from multiprof.adapters.tflite.schema import (
    CUSTOM,
    OPERATORS,
    PLACEHOLDER,
    TYPES,
    UNION,
    UNION2,
    fields,
    options_of,
)
from multiprof.errors import ModelError
from multiprof.ir import INTEGER_DTYPES, Quant

IDENTIFIER = b"TFL3"
# The interpreter reads this version alone.
VERSION = 3
# Elements of a constant that is read for the arithmetic of shapes. Axes, paddings, permutations and shapes have 64 at
# most; block tables of padding and slices of position tables are larger.
MAX_NUMBERS = 4096
# Real files have below 100,000 of each.
MAX_OPERATORS = 150_000
MAX_TENSORS = 400_000
MAX_SUBGRAPHS = 20_000
# The widths of vectors of numbers by element type; half floats and sub-byte integers are not used for shapes.
_KINDS = {
    "int8": "i8", "uint8": "u8", "int16": "i16", "uint16": "u16", "int32": "i32", "uint32": "u32", "int64": "i64",
    "uint64": "u64", "bool": "bool", "float32": "f32", "float64": "f64",
}  # fmt: skip
# A text or a handle has no element type of the representation. A handle is an index; a text is counted as one byte.
_STAND_INS = {"STRING": "uint8", "RESOURCE": "int32", "VARIANT": "int32"}


@dataclass(slots=True)
class Tensor:
    """A tensor as declared. ``signature`` is its shape with −1 for the free axes, or equal to ``shape``.

    ``kind`` is the schema's name of the element type, ``dtype`` the representation's.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    kind: str
    dtype: str
    buffer: int
    quant: Quant | None
    variable: bool
    sparse: bool
    where: str

    @property
    def free(self) -> bool:
        return -1 in self.signature


@dataclass(slots=True)
class Operator:
    """An operator: ``code`` is its name in the schema (``CONV_2D``), empty where it is newer than the schema."""

    number: int
    code: str
    builtin: int
    custom: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    table: Table
    where: str

    @property
    def label(self) -> str:
        """What it is called in messages and where it is foreign."""
        return self.custom or self.code or f"code {self.builtin}"


@dataclass(slots=True)
class SubGraph:
    number: int
    name: str
    tensors: list[Tensor]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: list[Operator]
    where: str

    def check(self, file: File) -> None:
        """Inputs and outputs of the subgraph name its tensors, and so do those of its operators."""
        count = len(self.tensors)
        for role, indices in (("input", self.inputs), ("output", self.outputs)):
            for index in indices:
                if not 0 <= index < count:
                    raise file.fail(self.where, f"{role} {index} is no tensor: there are {count}")
        for operator in self.operators:
            for index in operator.inputs:
                if not -1 <= index < count:
                    raise file.fail(operator.where, f"reads tensor {index}: there are {count}")
            for index in operator.outputs:
                if not 0 <= index < count:
                    raise file.fail(operator.where, f"makes tensor {index}: there are {count}")


@dataclass(slots=True)
class Signature:
    """A named entry: its subgraph, and the names of inputs and outputs by tensor index."""

    key: str
    subgraph: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


class Model:
    """A TFLite file. Raises `ModelError`, naming file and place, for whatever is not as the schema says."""

    def __init__(self, path: Path) -> None:
        self.file = File(path)
        try:
            self._open()
        except ModelError:
            self.file.close()
            raise

    def _open(self) -> None:
        file = self.file
        if file.size < 8:
            raise file.fail("header", f"{file.size} bytes are no TFLite model")
        if file.data[4:8] != IDENTIFIER:
            raise file.fail("header", f"no TFLite model: bytes 4 to 8 are {file.data[4:8]!r}, not {IDENTIFIER!r}")
        root = file.root()
        self.version = root.scalar(0, "u32")
        if self.version != VERSION:
            raise file.fail("model", f"its format has version {self.version}; this reads {VERSION}, as LiteRT does")
        self.description = root.string(3)
        self.codes = [_code(table) for table in root.tables(1, "operator code", MAX_OPERATORS)]
        self._subgraphs = root.tables(2, "subgraph", MAX_SUBGRAPHS)
        self._buffers = root.tables(4, "buffer", MAX_TENSORS)
        self._metadata = root.tables(6, "metadata", MAX_TENSORS)
        self._signatures = root.tables(7, "signature", MAX_SUBGRAPHS)
        self._decoded: dict[int, SubGraph] = {}
        self._extents: dict[int, tuple[int, int]] = {}
        if not self._subgraphs:
            raise file.fail("model", "it has no subgraph")

    @property
    def subgraphs(self) -> int:
        return len(self._subgraphs)

    def subgraph(self, number: int, where: str) -> SubGraph:
        """The subgraph of that number, decoded once; ``where`` names who asks."""
        if not 0 <= number < len(self._subgraphs):
            raise self.file.fail(where, f"subgraph {number} is asked for: there are {len(self._subgraphs)}")
        found = self._decoded.get(number)
        if found is None:
            table = self._subgraphs[number]
            found = SubGraph(
                number,
                table.string(4),
                [self._tensor(t) for t in table.tables(0, "tensor", MAX_TENSORS)],
                table.vector(1, "i32"),
                table.vector(2, "i32"),
                [self._operator(i, t) for i, t in enumerate(table.tables(3, "operator", MAX_OPERATORS))],
                table.where,
            )
            found.check(self.file)
            self._decoded[number] = found
        return found

    def _tensor(self, table: Table) -> Tensor:
        file, where = self.file, table.where
        name = table.string(3)
        if name:
            where = f"{where} ({_shortened(name)})"
        shape = table.vector(0, "i32")
        checked_shape(shape, f"{file.name}: {where}")
        signature = table.vector(7, "i32")
        if len(signature) != len(shape) or not all(s == d or s == -1 for s, d in zip(signature, shape, strict=True)):
            signature = shape
        number = table.scalar(1, "i8")
        if not 0 <= number < len(TYPES):
            raise file.fail(where, f"unknown element type {number}")
        kind, dtype = TYPES[number]
        buffer = table.scalar(2, "u32")
        if buffer and buffer >= len(self._buffers):
            raise file.fail(where, f"its contents stand in buffer {buffer}: there are {len(self._buffers)}")
        dtype = dtype or _STAND_INS[kind]
        details = table.table(4, f"{where}, quantisation")
        quant = _quant(details, len(shape)) if details is not None and dtype in INTEGER_DTYPES else None
        return Tensor(
            name, shape, signature, kind, dtype, buffer, quant, bool(table.scalar(5, "bool")), table.has(6), where
        )

    def _operator(self, number: int, table: Table) -> Operator:
        index = table.scalar(0, "u32")
        if index >= len(self.codes):
            raise self.file.fail(table.where, f"its operator code is {index}: there are {len(self.codes)}")
        builtin, custom, version = self.codes[index]
        code = OPERATORS[builtin] if builtin < len(OPERATORS) else ""
        found = Operator(
            number, code, builtin, custom, version, table.vector(1, "i32"), table.vector(2, "i32"),
            table.vector(8, "i32"), table, table.where,
        )  # fmt: skip
        found.where = f"{table.where} ({_shortened(found.label)})"
        table.where = found.where
        return found

    def options(self, operator: Operator) -> dict[str, Any]:
        """The operator's options by name, with the schema's defaults for what is absent."""
        expected = options_of(operator.code)
        if not expected:
            return {}
        table = operator.table
        given: Table | None = None
        if UNION.get(table.scalar(3, "u8")) == expected:
            given = table.table(4, operator.where)
        elif UNION2.get(table.scalar(11, "u8")) == expected:
            given = table.table(12, operator.where)
        if given is None:
            return {name: default for name, _, _, default in fields(expected)}
        found: dict[str, Any] = {}
        for name, slot, kind, default in fields(expected):
            if kind[0] == "[":
                found[name] = given.vector(slot, kind[1:-1])
            elif kind == "string":
                found[name] = given.string(slot)
            else:
                found[name] = given.scalar(slot, kind, default)
        return found

    def custom_options(self, operator: Operator) -> bytes:
        """What a custom operator's own options are, at most 64 KiB of them."""
        start, length = operator.table.extent(5)
        return bytes(self.file.data[start : start + min(length, 1 << 16)])

    def extent(self, buffer: int) -> tuple[int, int]:
        """Position and length of a buffer's contents; buffer 0 is the empty one by convention.

        Contents beyond 2 GB stand after the FlatBuffer, at ``offset``, with their ``size``.
        """
        if not buffer:
            return 0, 0
        found = self._extents.get(buffer)
        if found is None:
            table = self._buffers[buffer]
            offset, size = table.scalar(1, "u64"), table.scalar(2, "u64")
            if offset > 1:  # 0 and 1 are placeholders of writers
                if offset + size > self.file.size:
                    raise self.file.fail(
                        table.where, f"its contents reach to byte {offset + size}; the file has {self.file.size} bytes"
                    )
                found = offset, size
            else:
                found = table.extent(0)
            self._extents[buffer] = found
        return found

    def numbers(self, tensor: Tensor) -> tuple[Any, ...] | None:
        """The values of a small constant, or ``None``."""
        start, length = self.extent(tensor.buffer)
        kind = _KINDS.get(tensor.dtype) if tensor.kind not in _STAND_INS else None
        if not length or kind is None or tensor.sparse:
            return None
        count = prod(tensor.shape)
        scalar = SCALARS[kind]
        if count > MAX_NUMBERS or count * scalar.size > length:
            return None
        self.file.spend(count, tensor.where)
        return unpack_from(f"<{count}{scalar.format[-1]}", self.file.data, start)

    def signatures(self) -> list[Signature]:
        def names(table: Table, slot: int) -> tuple[tuple[str, int], ...]:
            return tuple((m.string(0), m.scalar(1, "u32")) for m in table.tables(slot, "name", MAX_TENSORS))

        return [Signature(t.string(2), t.scalar(4, "u32"), names(t, 0), names(t, 1)) for t in self._signatures]

    def runtime(self) -> str:
        """The least version of the runtime that the file says it needs, or empty."""
        for table in self._metadata:
            if table.string(0) == "min_runtime_version":
                buffer = table.scalar(1, "u32")
                if buffer < len(self._buffers):
                    start, length = self.extent(buffer)
                    text = bytes(self.file.data[start : start + min(length, 16)])
                    return text.split(b"\0")[0].decode("ascii", "replace")
        return ""


def _code(table: Table) -> tuple[int, str, int]:
    """Number, custom name and version. The number stood in a byte before there were more than 127 of them."""
    builtin = max(table.scalar(0, "i8"), table.scalar(3, "i32"))
    custom = table.string(1) if builtin == CUSTOM else ""
    if builtin < 0 or builtin == PLACEHOLDER:
        raise table.file.fail(table.where, f"{builtin} is no operator")
    return builtin, custom, table.scalar(2, "i32", 1)


def _quant(table: Table, rank: int) -> Quant | None:
    """Scale and zero point; without a scale nothing is quantised. Blockwise scales stand in a tensor of their own."""
    scale = table.vector(2, "f32")
    if table.scalar(4, "u8") == 2:
        return Quant((), ())
    if not scale:
        return None
    zero = table.vector(3, "i64")
    if len(zero) != len(scale):
        zero = zero * len(scale) if len(zero) == 1 else (0,) * len(scale)
    if len(scale) == 1:
        return Quant(tuple(scale), zero)
    axis = table.scalar(6, "i32")
    if not 0 <= axis < max(rank, 1):
        raise table.file.fail(table.where, f"its axis is {axis}, of a tensor of rank {rank}")
    return Quant(tuple(scale), zero, axis)


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}…"


__all__ = ["IDENTIFIER", "Model", "Operator", "Signature", "SubGraph", "Tensor"]
