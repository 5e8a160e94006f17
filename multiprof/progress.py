"""A sign of life on stderr while work takes more than a second; nothing at all when stderr is not a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import TextIO

DELAY = 1.0  # seconds before anything is shown
TICK = 0.25  # seconds between two updates


@contextmanager
def progress(task: str, *, enabled: bool = True, stream: TextIO | None = None) -> Iterator[None]:
    """Show ``task`` and the seconds it has taken, after `DELAY`; the line is erased at the end, however that comes."""
    out = stream or sys.stderr
    if not enabled or not out.isatty():
        yield
        return
    done = Event()
    thread = Thread(target=_show, args=(task, done, out), name="multiprof-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(task: str, done: Event, out: TextIO) -> None:
    start = monotonic()
    width = 0
    if done.wait(DELAY):
        return
    while True:
        seconds = f": {monotonic() - start:.0f} s"
        room = shutil.get_terminal_size().columns - 1 - len(seconds)  # a line that wraps could not be erased
        line = (task if len(task) <= room else task[: max(0, room - 3)] + "...") + seconds
        width = max(width, len(line))
        out.write("\r" + line.ljust(width))
        out.flush()
        if done.wait(TICK):
            break
    out.write("\r" + " " * width + "\r")
    out.flush()
