"""What is inside the zip archives that PyTorch writes, read within bounds; nothing in them is unpickled or run."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from multiprof.errors import ModelError

# The largest programs of published models take some tens of MB; weights are not read, so their size has no bound.
LONGEST = 1 << 28  # bytes of one entry
MOST = 200_000  # entries
_DIRECTORY = 1 << 26  # bytes of the list of entries

EXPORTED, COMPILED, SCRIPTED, PICKLED, EXECUTORCH = "exported", "compiled", "scripted", "pickled", "executorch"


class Archive:
    """A zip archive; entries are named without the folder that encloses them all. ``kind`` says what it holds.

    ``stream`` is the archive itself where it lies in memory; then ``path`` is what messages call it.
    """

    def __init__(self, path: Path | str, stream: BinaryIO | None = None) -> None:
        self.path = path
        self._file = Path(path).open("rb") if stream is None else stream  # noqa: SIM115  # until close()
        try:
            _check_directory(self._file)
            self._zip = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
            self._file.close()
            raise self.damaged(str(error)) from error
        entries = self._zip.infolist()
        if len(entries) > MOST:
            self.close()
            raise self.damaged(f"it lists {len(entries):,} entries")
        names = [entry.filename for entry in entries]
        root = names[0].partition("/")[0] + "/" if names else ""
        enclosed = all(name.startswith(root) for name in names)
        self._entries = {entry.filename.removeprefix(root if enclosed else ""): entry for entry in entries}
        self.kind = self._kind()

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def names(self, prefix: str = "", suffix: str = "") -> list[str]:
        return [name for name in self._entries if name.startswith(prefix) and name.endswith(suffix)]

    def read(self, name: str) -> bytes:
        """One entry, whole; raises `ModelError` where it is missing, damaged or larger than a program can be."""
        entry = self._entries.get(name)
        if entry is None:
            raise self.damaged(f"it has no {name}")
        if entry.file_size > LONGEST:
            raise self.damaged(f"{name} claims {entry.file_size:,} bytes; at most {LONGEST:,} are read")
        try:
            with self._zip.open(entry) as stream:  # which stops at the size that the directory gives
                data = stream.read(LONGEST + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as e:
            raise self.damaged(f"{name}: {e}") from e
        return data

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def damaged(self, what: str) -> ModelError:
        return ModelError(f"{self.path} cannot be read, it is damaged or no whole file of PyTorch: {what}")

    def _kind(self) -> str:
        if "serialized_exported_program.json" in self or self.names("models/", ".json"):
            return EXPORTED
        if self.names("data/aotinductor/"):
            return COMPILED
        if self.names("data/executorch/"):
            return EXECUTORCH
        if "constants.pkl" in self or self.names("code/", ".py"):
            return SCRIPTED
        return PICKLED if "data.pkl" in self else ""


def _check_directory(file: BinaryIO) -> None:
    """Refuse a list of entries that would fill the memory before zipfile reads it whole."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))  # the longest comment, and the record itself
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and len(tail) >= at + 22:
        directory = struct.unpack_from("<L", tail, at + 12)[0]
        if directory == 0xFFFFFFFF and at >= 20 + 56:  # zip64: its own record stands before the locator
            record = tail.rfind(b"PK\x06\x06", 0, at)
            directory = struct.unpack_from("<Q", tail, record + 40)[0] if 0 <= record <= len(tail) - 56 else 0
        if directory > _DIRECTORY:
            raise ValueError(f"its list of entries claims {directory:,} bytes")


__all__ = ["COMPILED", "EXECUTORCH", "EXPORTED", "LONGEST", "PICKLED", "SCRIPTED", "Archive"]
