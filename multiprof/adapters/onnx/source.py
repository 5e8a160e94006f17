"""The file and what belongs to it: the model without its weights, and the contents of tensors on demand."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto

from multiprof.adapters._common.writer import checked_shape
from multiprof.adapters.onnx.dtypes import NAMES, NUMPY
from multiprof.adapters.onnx.wire import Buffer, Payload, Scanner
from multiprof.errors import ModelError
from multiprof.ir import Shape

MAX_VALUES = 65_536  # elements of a tensor whose contents are looked at

Array = np.ndarray[Any, Any]

# TensorProto's typed lists: field number -> numpy's type of what stands there (packed varints are None)
_TYPED: dict[int, np.dtype[Any] | None] = {
    4: np.dtype("<f4"),
    5: None,
    7: None,
    10: np.dtype("<f8"),
    11: None,
}


class Source:
    """An ONNX file that is open: `model` is the message without large payloads. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.warnings: list[str] = []
        self._data: Buffer = b""
        self.payloads: list[Payload] = []
        self.model = ModelProto()
        self.external: dict[str, int | None] = {}  # location -> bytes of the file; None where it is missing

    def __enter__(self) -> Source:
        self._data = _mapped(self.path)
        try:
            self._parse()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if isinstance(self._data, mmap.mmap):
            self._data.close()
        self._data = b""

    def _parse(self) -> None:
        data = self._data
        if data[:4] == b"\x08\x00\x00\x00" or data[4:8] in (b"ORTM", b"TFL3"):
            kind = "a TFLite model" if data[4:8] == b"TFL3" else "in ONNX Runtime's own format (.ort)"
            raise ModelError(f"{self.name} is {kind}: give the .onnx file it was made from")
        scanner = Scanner(data, self.name)
        copy = scanner.copy()
        self.payloads = scanner.payloads
        try:
            self.model = ModelProto.FromString(copy)
        except Exception as error:  # protobuf's DecodeError, of whichever implementation there is
            raise ModelError(f"{self.name} is no ONNX model, or a damaged one: {error}") from error

    @property
    def file_bytes(self) -> int:
        """Size of the model's file and of the external files there are."""
        return len(self._data) + sum(size or 0 for size in self.external.values())

    # -------------------------------------------------------------------------------------------- tensors
    def dtype(self, tensor: TensorProto, where: str) -> str:
        """The name of a tensor's element type; `ModelError` for a number ONNX does not have."""
        name = NAMES.get(tensor.data_type)
        if name is None:
            raise ModelError(f"{self.name}: {where} has the unknown element type {tensor.data_type}")
        return name

    def shape(self, dims: Iterable[int], where: str) -> Shape:
        return checked_shape(dims, f"{self.name}: {where}")

    def values(self, tensor: TensorProto, limit: int = MAX_VALUES) -> Array | None:
        """The contents of a tensor of at most ``limit`` elements, or ``None`` where they cannot be had.

        A tensor whose data lies in a file of its own is treated alike, or a network would count differently with it.
        """
        dtype = NUMPY.get(NAMES.get(tensor.data_type, ""))
        dims = tuple(tensor.dims)
        if dtype is None or min(dims, default=0) < 0:
            return None
        count = prod(dims)
        if count > limit:
            return None
        if count == 0:
            return np.zeros(dims, dtype)
        if tensor.data_location == TensorProto.EXTERNAL:
            raw = self._external_bytes(tensor, count * dtype.itemsize)
            return None if raw is None else np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(dims)
        flat = self._flat(tensor, dtype, count)
        return None if flat is None or flat.size != count else flat.reshape(dims)

    def left_out(self, tensor: TensorProto) -> int:
        """Bytes of a tensor's contents that stayed in the file."""
        if not tensor.HasField("segment") or not 0 <= tensor.segment.begin < len(self.payloads):
            return 0
        return self.payloads[tensor.segment.begin].length

    def _flat(self, tensor: TensorProto, dtype: np.dtype[Any], count: int) -> Array | None:
        if tensor.HasField("segment"):
            number = tensor.segment.begin
            if not 0 <= number < len(self.payloads):
                return None
            payload = self.payloads[number]
            raw = self._data[payload.offset : payload.offset + payload.length]
            if payload.field == 9:
                return _from_raw(raw, dtype)
            if payload.field not in _TYPED:
                return None
            stored = _TYPED[payload.field]
            flat = _varints(raw, count) if stored is None else np.frombuffer(raw, stored)
            return None if flat is None else _stored_as(flat, dtype)
        if tensor.HasField("raw_data"):
            return _from_raw(tensor.raw_data, dtype)
        for items in (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data):
            if items:
                return _stored_as(np.array(items), dtype)
        return None

    # ------------------------------------------------------------------------------------- external files
    def note_external(self, tensor: TensorProto, nbytes: int | None) -> None:
        """Check where a tensor's external data would be, and that the file is there and long enough.

        Raises `ModelError` where it lies outside the model's folder.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        path = self._inside(location, tensor.name)
        if location not in self.external:
            try:
                self.external[location] = path.stat().st_size if path.is_file() else None
            except OSError:
                self.external[location] = None
        size = self.external[location]
        if size is None:
            return
        for key in ("offset", "length"):
            if key in entries and _whole(entries[key]) is None:
                self.warnings.append(f"the tensor {tensor.name!r} gives {entries[key]!r} as its {key} in {location}")
        length = _whole(entries.get("length")) or nbytes or 0
        offset = _whole(entries.get("offset")) or 0
        if offset + length > size:
            self.warnings.append(
                f"the external file {location} has {size} bytes; the tensor {tensor.name!r} should lie at "
                f"{offset} to {offset + length}"
            )

    def missing(self) -> str:
        """A sentence about the external files that are missing, or nothing."""
        gone = [location for location, size in self.external.items() if size is None]
        if not gone:
            return ""
        return (
            f"external data is missing: {', '.join(gone[:5])}{' …' if len(gone) > 5 else ''}; shapes are known without"
        )

    def _inside(self, location: str, tensor: str) -> Path:
        """The path of an external file; it must lie in the folder of the model, links followed."""
        folder = Path(os.path.realpath(self.path.parent))
        what = f"{self.name}: the tensor {tensor!r} has its data in {location!r}"
        if not location or "\0" in location or len(location) > 4096:
            raise ModelError(f"{what}, which is no path of a file")
        if os.path.isabs(location) or location[1:2] == ":" or ".." in location.replace("\\", "/").split("/"):
            raise ModelError(f"{what}, which is outside the model's folder")
        try:
            path = Path(os.path.realpath(folder / location))
        except (OSError, ValueError) as error:
            raise ModelError(f"{what}, which cannot be looked up: {error}") from error
        if folder not in path.parents:
            raise ModelError(f"{what}, which leads outside the model's folder")
        return path

    def _external_bytes(self, tensor: TensorProto, length: int) -> bytes | None:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._inside(entries.get("location", ""), tensor.name)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                file.seek(_whole(entries.get("offset")) or 0)
                raw = file.read(length)
        except OSError:
            return None
        return raw if len(raw) == length else None


def initializer_names(graph: GraphProto) -> set[str]:
    """Names of the dense and sparse initializers of a graph."""
    return {tensor.name for tensor in graph.initializer} | {item.values.name for item in graph.sparse_initializer}


def _mapped(path: Path) -> Buffer:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise ModelError(f"{path} is empty")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _whole(text: str | None) -> int | None:
    """A number of bytes as an external tensor gives it."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


def _from_raw(raw: bytes, dtype: np.dtype[Any]) -> Array | None:
    if len(raw) % dtype.itemsize:
        return None
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)


def _stored_as(flat: Array, dtype: np.dtype[Any]) -> Array:
    """Typed lists hold small types in wider ones: float16 as its bits, complex numbers as pairs."""
    if dtype == np.float16:
        return flat.astype(np.uint16).view(np.float16)
    if dtype.kind == "c":
        return flat[: flat.size // 2 * 2].astype(np.float64).view(np.complex128).astype(dtype)
    return flat.astype(dtype)


def _varints(raw: bytes, count: int) -> Array | None:
    """The packed varints of ``raw`` as int64; ``None`` where they are not ``count``."""
    values: list[int] = []
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            values.append(value & 0xFFFF_FFFF_FFFF_FFFF)
            if len(values) > count:
                return None
            value = shift = 0
        else:
            shift += 7
            if shift > 63:
                return None
    return np.array(values, np.uint64).view(np.int64)


__all__ = ["MAX_VALUES", "Array", "Source", "initializer_names"]
