"""Runs jobs in worker processes with caps on time and memory, and turns whatever happens into a result or one line."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

from multiprof import MultiprofError
from multiprof_benchmark import environment
from multiprof_benchmark.process import command, ended
from multiprof_benchmark.runners.base import thread_variables
from multiprof_benchmark.subject import END, RESULT, TURN, Job
from multiprof_benchmark.timing import take_turns

LOG = "log.txt"
GRACE = 60.0  # seconds beyond a measurement's own cap: starting, loading, timing the layers
LOOK = 0.1  # seconds between looks at a worker's memory, each of which takes some 50 microseconds
GIB = 2**30


class WorkerError(MultiprofError):
    """A measurement that could not be made; the others go on."""


class StoppedError(WorkerError):
    """The worker crashed, or was stopped at one of its caps: its model was neither measured nor refused."""


class Worker:
    """A process that makes the measurement of one job in a folder of its own. It is gone when the context is left.

    ``memory`` are the bytes it may hold, those that are available when it starts unless given.
    """

    def __init__(self, job: Job, folder: Path, cap: float | None, cwd: str | None, memory: int | None) -> None:
        self.job = job
        self.folder = folder
        self.limit = 3 * job.options.rules.cap + GRACE if cap is None else cap
        self.memory = memory or environment.available_memory()
        self.cwd = cwd
        self.said = b""

    def __enter__(self) -> Worker:
        self.job.write(self.folder)
        variables = {**os.environ, **thread_variables(self.job.options.threads)}
        self.reply, theirs = os.pipe()
        try:
            with (self.folder / LOG).open("wb") as log:
                self.process = subprocess.Popen(
                    command("multiprof_benchmark.worker", str(self.folder), str(theirs)), stdin=subprocess.PIPE,
                    stdout=log, stderr=log, env=variables, cwd=self.cwd, start_new_session=True, pass_fds=(theirs,),
                )  # fmt: skip
        finally:
            os.close(theirs)
        self.end = monotonic() + self.limit
        return self

    def __exit__(self, *exc: object) -> None:
        """End the worker and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.reply)
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def wait(self) -> str:
        """Until it has ended; why, should there be no result. A worker over its time or memory is stopped."""
        while True:
            try:
                return self._how(self.process.wait(LOOK))
            except subprocess.TimeoutExpired:
                self._look()

    def _look(self) -> None:
        if monotonic() > self.end:
            raise StoppedError(f"took longer than {self.limit:.0f} s and was stopped")
        if self.memory is not None and environment.rss_of(self.process.pid) > self.memory:
            raise StoppedError(f"needs more memory than the {self.memory / GIB:.1f} GiB it may have, and was stopped")

    def _how(self, code: int) -> str:
        return f"the worker process {ended(code, (self.folder / LOG).read_text(encoding='utf-8', errors='replace'))}"

    def result(self, how: str) -> dict[str, Any]:
        """What it wrote; where it ended while it timed single layers, the model's own time and a note of ``how``."""
        path = self.folder / RESULT
        if not path.is_file():
            raise StoppedError(how)
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "error" in found:
            raise WorkerError(str(found["error"]))
        if not found["complete"]:
            found["notes"].append(f"no times of single layers: {how}")
        return found

    def tell(self, order: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer will say so
            self.process.stdin.write(f"{order}\n".encode())
            self.process.stdin.flush()

    def answer(self) -> float:
        """The next number that it says; `WorkerError` where it says none any more."""
        while b"\n" not in self.said:
            ready, _, _ = select.select([self.reply], [], [], LOOK)
            if not ready:
                self._look()
                continue
            more = os.read(self.reply, 4096)
            if not more:
                self.result(self.wait())
                raise StoppedError("the worker process ended before its samples were taken")
            self.said += more
        line, _, self.said = self.said.partition(b"\n")
        return float(line)

    def turn(self) -> float:
        """Seconds of one sample, taken now."""
        self.tell(TURN)
        return self.answer()


def run(
    job: Job, folder: Path, cap: float | None = None, cwd: str | None = None, memory: int | None = None
) -> dict[str, Any]:
    """The result of a job made in ``folder`` by a worker that starts in ``cwd``; `WorkerError` in one line when there
    is none. Where the worker ends while it times single layers, the model's own time is kept and a note says so.

    ``cap`` is in seconds; unless given, three times what the job's own rules allow, and a minute.
    """
    with Worker(job, folder, cap, cwd, memory) as worker:
        try:
            how = worker.wait()
        except StoppedError as stopped:
            how = str(stopped)
        return worker.result(how)


def run_in_turns(
    jobs: Sequence[Job],
    folders: Sequence[Path],
    cap: float | None = None,
    cwd: str | None = None,
    memory: int | None = None,
) -> list[dict[str, Any]]:
    """The results of several jobs whose samples are taken in turns, one process each; as many samples of every one."""
    with ExitStack() as stack:
        workers = []
        for job, folder in zip(jobs, folders, strict=True):
            workers.append(stack.enter_context(Worker(job, folder, cap, cwd, memory)))
            with _named(job):
                warm = workers[-1].answer()  # one loads while no other runs
        spent = warm * len(workers)
        times = take_turns([_turn(worker) for worker in workers], jobs[0].options.rules, spent)
        results = []
        for worker, taken in zip(workers, times, strict=True):
            with _named(worker.job):
                worker.tell(END)
                results.append(worker.result(worker.wait()))
            results[-1]["timed"]["times"] = list(taken)
        return results


def _turn(worker: Worker) -> Any:
    def take() -> float:
        with _named(worker.job):
            return worker.turn()

    return take


@contextlib.contextmanager
def _named(job: Job) -> Iterator[None]:
    """Of several, an error says which it is of."""
    try:
        yield
    except WorkerError as error:
        raise type(error)(f"{job.title}: {error}") from None


__all__ = ["StoppedError", "WorkerError", "run", "run_in_turns"]
