"""The sign of life: nothing before its time, nothing off a terminal, and nothing left behind."""

from __future__ import annotations

import io
import threading

import pytest

from multiprof import progress as module
from multiprof.progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal and tells when something is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


def last_line(text: str) -> str:
    """What stays on the line: each carriage return starts to write over it."""
    line = ""
    for part in text.split("\r"):
        line = part + line[len(part) :]
    return line


def test_it_shows_the_task_and_erases_itself(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 0.0)
    terminal = Terminal()
    with progress("reading net.py", stream=terminal):
        assert terminal.written.wait(30)
    assert "reading net.py: 0 s" in terminal.getvalue()
    assert last_line(terminal.getvalue()).strip() == ""


def test_it_never_wraps(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    with progress("reading " + "very/" * 30 + "net.py", stream=terminal):
        assert terminal.written.wait(30)
    assert "reading very/" in terminal.getvalue()
    assert max(map(len, terminal.getvalue().split("\r"))) < 40


def test_it_erases_itself_when_the_work_fails(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 0.0)
    terminal = Terminal()
    with pytest.raises(ValueError, match="no"), progress("reading", stream=terminal):
        assert terminal.written.wait(30)
        raise ValueError("no")
    assert last_line(terminal.getvalue()).strip() == ""
    assert "multiprof-progress" not in [thread.name for thread in threading.enumerate()]


def test_nothing_before_its_time(monkeypatch):
    monkeypatch.setattr(module, "DELAY", 3600.0)
    terminal = Terminal()
    with progress("reading", stream=terminal):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_nothing_off_a_terminal_or_when_switched_off(monkeypatch, stream):
    monkeypatch.setattr(module, "DELAY", 0.0)
    before = threading.active_count()
    with progress("reading", enabled=not stream.isatty(), stream=stream):
        assert threading.active_count() == before
    assert stream.getvalue() == ""
