"""Runs a job in a worker process with a wall-clock cap, and turns whatever happens into a result or one line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from multiprof import MultiprofError
from multiprof_benchmark.process import command, ended
from multiprof_benchmark.runners.base import thread_variables
from multiprof_benchmark.subject import RESULT, Job

LOG = "log.txt"
GRACE = 60.0  # seconds beyond a measurement's own cap: starting, loading, timing the layers


class WorkerError(MultiprofError):
    """A measurement that could not be made; the others go on."""


def run(job: Job, folder: Path, cap: float | None = None, cwd: str | None = None) -> dict[str, Any]:
    """The result of a job made in ``folder`` by a worker that starts in ``cwd``; `WorkerError` in one line when there
    is none. Where the worker ends while it times single layers, the model's own time is kept and a note says so.

    ``cap`` is in seconds; unless given, three times what the job's own rules allow, and a minute.
    """
    job.write(folder)
    limit = 3 * job.options.rules.cap + GRACE if cap is None else cap
    variables = {**os.environ, **thread_variables(job.options.threads)}
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            command("multiprof_benchmark.worker", str(folder)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=variables, cwd=cwd, start_new_session=True,
        )  # fmt: skip
        code: int | None = None
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _stop(process)
    how = f"took longer than {limit:.0f} s and was stopped" if code is None else _how(code, folder / LOG)
    path = folder / RESULT
    if not path.is_file():
        raise WorkerError(how)
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "error" in result:
        raise WorkerError(str(result["error"]))
    if not result["complete"]:
        result["notes"].append(f"no times of single layers: {how}")
    return result


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _how(code: int, log: Path) -> str:
    return f"the worker process {ended(code, log.read_text(encoding='utf-8', errors='replace'))}"


__all__ = ["WorkerError", "run"]
