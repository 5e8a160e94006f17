"""What a worker shares with the process that started it: it ends when that one does, and is told what to do by it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path
from queue import SimpleQueue

OOM_SCORE = Path("/proc/self/oom_score_adj")


def parent_watched() -> SimpleQueue[str]:
    """The lines that the parent writes to this process's standard input. When that ends, the parent has, however it
    did, and so does this process with whatever it started.
    """
    lines: SimpleQueue[str] = SimpleQueue()

    def watch() -> None:
        with contextlib.suppress(OSError), open(0, encoding="ascii", closefd=False) as orders:
            for line in orders:
                lines.put(line.strip())
        _end()

    threading.Thread(target=watch, daemon=True).start()
    return lines


def first_to_go() -> None:
    """Where memory runs out, the system ends a worker rather than the user's other programs."""
    with contextlib.suppress(OSError):
        OOM_SCORE.write_text("1000", encoding="ascii")


def _end() -> None:
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


__all__ = ["first_to_go", "parent_watched"]
