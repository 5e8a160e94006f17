"""A command that is told to end leaves nothing behind: no worker, no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import pytest

NET = """
import os
import time
import torch
from pathlib import Path

class Slow(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, x):
        if not torch.overrides._get_current_function_mode_stack():
            Path("worker").write_text(str(os.getpid()))
            time.sleep(60)
        return super().forward(x)
"""


@contextmanager
def running(tmp_path):
    """The command at work in a folder, and the number of its worker's process."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "multiprof", "bench", "net.py:Slow", "--input", "1x2"]
    variables = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    # a shell's background jobs, which tests may be one of, ignore SIGINT, and hand that down
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.DEVNULL, preexec_fn=heeding)
    try:
        while not (tmp_path / "worker").is_file() or not (tmp_path / "worker").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        worker = int((tmp_path / "worker").read_text())
        os.kill(worker, 0)  # it is there
        yield process, worker
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_is_left(tmp_path, number, code):
    with running(tmp_path) as (process, worker):
        process.send_signal(number)
        assert process.wait(30) == code
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_worker_ends_with_the_command_however_that_does(tmp_path):
    with running(tmp_path) as (process, worker):
        process.kill()
        process.wait()
        end = time.monotonic() + 20
        while _alive(worker):
            assert time.monotonic() < end
            time.sleep(0.05)


def _alive(process: int) -> bool:
    """Whether it runs; one whose parent is gone may wait to be asked for its end."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
