"""The C heap of a process: what LiteRT takes of it, the runtime itself does not tell."""

from __future__ import annotations

import ctypes
import sys


class _Mallinfo2(ctypes.Structure):
    """struct mallinfo2 of malloc.h (glibc 2.33 and later): bytes, but for the numbers of blocks."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def heap() -> int | None:
    """Bytes of the C heap in use, in all threads; ``None`` where the C library does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _Mallinfo2
    found = function()
    return int(found.uordblks + found.hblkhd)  # of the heap itself, and of the large blocks beside it


__all__ = ["heap"]
