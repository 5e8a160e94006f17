"""``python -m multiprof_benchmark.worker FOLDER REPLY``: make the one measurement that the folder describes. The number
of seconds of every sample that is asked for goes to the file descriptor REPLY.

It runs in a process of its own, so that one framework's threads, memory and crashes are not another's. Whatever the
runtime prints goes to the folder's log; the result is a JSON file there, written as soon as the whole model is timed
and again with its layers: what goes wrong with those does not cost the other.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from multiprof import MultiprofError
from multiprof_benchmark import environment
from multiprof_benchmark.energy import ABSENT, Meter
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.subject import END, RESULT, Job
from multiprof_benchmark.timing import NANO, Timed, measure, sample, warmed
from multiprof_benchmark.watch import first_to_go, parent_watched

LONGEST = 500  # characters of what a framework says; some say pages
SLOWED = 1.15  # of the whole model: above, layers are slowed by being timed
BUSY = 1.15  # times the threads asked for: so many cores at work are others than those
SAMPLES = 1000  # of a layer, at most; enough for every percentile


def main(arguments: list[str]) -> int:
    folder, reply = Path(arguments[0]), int(arguments[1])
    orders = parent_watched()
    first_to_go()
    job = Job.read(folder)
    try:
        if job.turns:
            _write(folder, in_turns(job, orders.get, lambda seconds: os.write(reply, f"{seconds!r}\n".encode())))
        else:
            for result in make(job):
                _write(folder, result)
    except Exception as error:  # the runtime's own, or the model's: one line for whoever asked
        _write(folder, {"error": said(error)})
    return 0


def _write(folder: Path, result: dict[str, Any]) -> None:
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(folder / RESULT)


def said(error: Exception) -> str:
    if isinstance(error, MultiprofError):
        return str(error)
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    from multiprof.blame import describe

    text = describe(error)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


class _Making:
    """A model loaded by its runner, and everything but its times."""

    def __init__(self, job: Job) -> None:
        self.job = job
        runner = self.runner = by_name(job.runner)
        modules = getattr(runner, "modules", None)  # another distribution's runner may have none
        for module in modules(job.subject, job.route) if modules else ():
            import_module(module)  # importing a framework is no part of loading a model
        self.before = environment.start_of_peak()
        start = perf_counter()
        self.prepared = runner.prepare(job.subject, job.options, job.route)
        self.load = perf_counter() - start

    def run(self) -> object:
        return self.runner.run(self.prepared)

    def result(self, timed: Timed, used: Used) -> dict[str, Any]:
        after = environment.peak_rss()
        facts = self.prepared.facts()
        memory = dict(facts.memory)
        if self.before is not None and after is not None:
            memory["rss"] = max(after - self.before, 0)
        notes = [*self.job.subject.notes, *facts.notes]
        if facts.threads is not None and facts.device == "cpu" and used.cores > facts.threads * BUSY:
            notes.append(f"{used.cores:.1f} cores were at work, where {facts.threads} should have been")
        return {
            "complete": True,
            "load": self.load,
            "timed": {"first": timed.first, "warmup": timed.warmup, "times": list(timed.times)},
            "parts": [],
            "device": facts.device,
            "device_times": list(_device_times(self.prepared, len(timed.times))),
            "threads": facts.threads,
            "environment": {
                **environment.machine(),
                **facts.environment,
                "cores_at_work": round(used.cores, 2),
                **({} if used.energy else {"energy": used.no_energy}),
            },
            "memory": memory,
            "energy": used.energy,
            "notes": notes,
        }


def _device_times(prepared: Any, samples: int) -> tuple[float, ...]:
    """Seconds of the last runs, the samples, on a device beside the processor, where the session knows."""
    found = getattr(prepared, "device_times", None)
    return tuple(found()[-samples:]) if found and samples else ()


class Used:
    """What all runs took beside time: cores at work on average, and joules a run, by counter."""

    def __init__(self, gpu: bool) -> None:
        self.meter = Meter(gpu=gpu)
        self.start = perf_counter(), process_time()
        self.runs = 0
        self.cores = 0.0
        self.energy: dict[str, float] = {}
        self.no_energy = ABSENT

    def counted(self, run: Callable[[], object]) -> Callable[[], object]:
        def once() -> object:
            self.runs += 1
            return run()

        return once

    def stop(self) -> None:
        wall, work = perf_counter() - self.start[0], process_time() - self.start[1]
        self.cores = work / wall if wall else 0.0
        self.energy = {name: joules / self.runs for name, joules in self.meter.joules().items()} if self.runs else {}


def make(job: Job) -> Iterator[dict[str, Any]]:
    """The measurements of a job as JSON values: those of the whole model, then with those of its layers."""
    making = _Making(job)
    used = Used(making.prepared.facts().device != "cpu")
    timed = measure(used.counted(making.run), job.options.rules)
    used.stop()
    result = making.result(timed, used)
    result["complete"] = not job.options.layers
    yield result
    if not job.options.layers:
        return
    failed: tuple[str, ...] = ()  # or what is odd
    notes = len(making.prepared.facts().notes)
    try:
        parts = list(making.runner.per_layer(making.prepared, job.options))
        result["parts"] = [_part(part) for part in parts]
        failed = _slowed(parts, timed)
    except Exception as error:
        failed = (f"no times of single layers: {said(error)}",)
    # now it is known how layers were timed
    kept = [*job.subject.notes, *making.prepared.facts().notes]
    result["notes"] = [*kept, *result["notes"][len(job.subject.notes) + notes :], *failed]
    result["complete"] = True
    yield result


def in_turns(job: Job, orders: Callable[[], str], say: Callable[[float], object]) -> dict[str, Any]:
    """Warm up, say how many seconds that took, then take a sample whenever told to; the result has no times."""
    making = _Making(job)
    warm = warmed(making.run, job.options.rules)
    say((warm.first + warm.warmup) * NANO)
    used = Used(making.prepared.facts().device != "cpu")
    start = process_time()
    spent = 0.0
    while orders() != END:
        seconds = sample(used.counted(making.run), warm.repeat)
        spent += seconds * warm.repeat
        say(seconds)
    used.cores = (process_time() - start) / spent if spent else 0.0
    used.no_energy = "energy is not measured of what runs in turns"
    return making.result(Timed(warm.first * NANO, warm.warmup * NANO, ()), used)


def _slowed(parts: Sequence[Part], timed: Timed) -> tuple[str, ...]:
    """Where noting a step takes as long as the step, the rows are far more than the whole."""
    whole = statistics.median(timed.times)
    share = sum(statistics.median(part.times) for part in parts if part.times) / whole if whole else 0.0
    if share <= SLOWED:
        return ()
    return (f"single layers take {share:.1f} times what the whole model does, for what times them takes time: "
            "they tell which layer is dear, not how much it takes",)  # fmt: skip


def _part(part: Part) -> dict[str, Any]:
    """Of many thousand runs of a small layer some, evenly chosen, tell as much and keep the report small."""
    step = max(1, -(-len(part.times) // SAMPLES))
    return {"subject": list(part.subject), "times": list(part.times[::step]), "label": part.label}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
