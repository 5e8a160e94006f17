"""A ``.params`` file: names, shapes and types of its arrays; the values are stepped over.

The format is that of ``NDArray::Save`` (src/ndarray/ndarray.cc): two 64-bit words, a list of arrays, a list of names,
little-endian throughout. An array begins with a magic number by age, or, before 2017, with its rank.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from struct import calcsize, unpack
from typing import BinaryIO

from multiprof.adapters.mxnet.attributes import DTYPES
from multiprof.errors import ModelError
from multiprof.ir import BITS, TensorSpec

LIST = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # 64-bit shapes; sparse arrays; shapes as numpy has them
MAX_RANK = 32
MAX_ARRAYS = 500_000
MAX_NAME = 10_000
AUXILIARY = {0: 0, 1: 1, 2: 2}  # storage type (dense, row_sparse, csr) -> index arrays beside the values
Dims = tuple[int, ...]


def find(symbol: Path) -> Path | None:
    """The file of parameters beside ``prefix-symbol.json``: ``prefix-NNNN.params`` of the last epoch, or
    ``prefix.params``."""
    prefix = symbol.name
    for suffix in ("-symbol.json", ".symbol.json", ".json"):
        if prefix.endswith(suffix):
            prefix = prefix[: -len(suffix)]
            break
    best: tuple[int, Path] | None = None
    try:
        for entry in os.scandir(symbol.parent):
            name = entry.name
            if not (name.startswith(prefix) and name.endswith(".params") and entry.is_file()):
                continue
            middle = name[len(prefix) : -len(".params")]
            if not middle:
                epoch = -1
            elif middle[0] == "-" and middle[1:].isascii() and middle[1:].isdigit() and len(middle) < 12:
                epoch = int(middle[1:])
            else:
                continue
            if best is None or epoch > best[0]:
                best = epoch, symbol.parent / name
    except OSError:
        return None  # a folder that may not be listed: the symbol stands alone
    return best[1] if best else None


def load(path: Path) -> dict[str, TensorSpec]:
    """The arrays by the names in the file (``arg:fc_weight``, ``aux:bn_moving_mean``); `ModelError` for a bad file."""
    try:
        with path.open("rb") as file:
            return _Reader(path, file, os.fstat(file.fileno()).st_size).arrays()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path = path
        self.file = file
        self.size = size
        self.at = 0

    def arrays(self) -> dict[str, TensorSpec]:
        magic, _, count = self._read("<QQQ", "the head of the file")
        if magic != LIST:
            raise ModelError(f"{self.path} is no .params file: it does not begin with {LIST:#x}")
        if count > MAX_ARRAYS:
            raise self._bad(f"{count} arrays")
        specs = [self._array(f"array {i}") for i in range(count)]
        (named,) = self._read("<Q", "the number of names")
        if named not in (0, count):
            raise self._bad(f"{count} arrays with {named} names")
        found: dict[str, TensorSpec] = {}
        for i in range(count):
            name = self._name(f"name {i}") if named else str(i)
            if name in found:
                raise self._bad(f"two arrays have the name {name!r}")
            found[name] = TensorSpec(specs[i][0], specs[i][1], name)
        return found

    def _array(self, what: str) -> tuple[Dims, str]:
        (magic,) = self._read("<I", what)
        if magic in (V2, V3):
            return self._modern(what, magic == V3)
        shape = self._shape(what, "q") if magic == V1 else self._dims(what, magic, "I")
        if not shape:
            return (), "float32"  # an empty NDArray: nothing follows
        self._read("<ii", what)  # the device
        dtype = self._dtype(what)
        self._skip(shape, dtype, what)
        return shape, dtype

    def _modern(self, what: str, numpy: bool) -> tuple[Dims, str]:
        (storage,) = self._read("<i", what)
        if storage not in AUXILIARY:
            raise self._bad(f"{what}: storage type {storage}")
        stored = self._shape(what, "q", numpy) if AUXILIARY[storage] else None
        shape = self._shape(what, "q", numpy)
        if shape is None or (not shape and not numpy):
            return (), "float32"  # an empty NDArray: nothing follows
        self._read("<ii", what)  # the device
        dtype = self._dtype(what)
        indices = []
        for _ in range(AUXILIARY[storage]):
            index = self._dtype(what)
            indices.append((self._shape(what, "q", numpy) or (), index))
        self._skip(shape if stored is None else stored, dtype, what)
        for dims, index in indices:
            self._skip(dims, index, what)
        return shape, dtype

    def _shape(self, what: str, width: str, numpy: bool = False) -> Dims | None:
        (rank,) = self._read("<i", what)
        if rank == -1 and numpy:
            return None
        return self._dims(what, rank, width)

    def _dims(self, what: str, rank: int, width: str) -> Dims:
        if not 0 <= rank <= MAX_RANK:
            raise self._bad(f"{what} has {rank} dimensions")
        dims = self._read(f"<{rank}{width}", what)
        if any(dim < 0 for dim in dims):
            raise self._bad(f"{what} has the shape {dims}")
        return dims

    def _dtype(self, what: str) -> str:
        (flag,) = self._read("<i", what)
        dtype = DTYPES.get(str(flag))
        if dtype is None:
            raise self._bad(f"{what} has the unknown element type {flag}")
        return dtype

    def _name(self, what: str) -> str:
        (length,) = self._read("<Q", what)
        if length > MAX_NAME:
            raise self._bad(f"{what} has {length} characters")
        raw = self.file.read(length)
        self.at += length
        if len(raw) != length:
            raise self._short(what)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._bad(f"{what} is no text") from None

    def _read(self, layout: str, what: str) -> Dims:
        size = calcsize(layout)
        raw = self.file.read(size)
        self.at += size
        if len(raw) != size:
            raise self._short(what)
        return unpack(layout, raw)

    def _skip(self, shape: Dims | None, dtype: str, what: str) -> None:
        self.at += prod(shape or ()) * BITS[dtype] // 8
        if self.at > self.size:
            raise self._short(what)
        self.file.seek(self.at)

    def _bad(self, what: str) -> ModelError:
        return ModelError(f"{self.path} is no sound .params file: {what} (before byte {self.at} of {self.size})")

    def _short(self, what: str) -> ModelError:
        return ModelError(f"{self.path} ends within {what}: {self.size} bytes, at least {self.at} expected")


__all__ = ["find", "load"]
