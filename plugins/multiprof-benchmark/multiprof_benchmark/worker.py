"""``python -m multiprof_benchmark.worker FOLDER``: make the one measurement that the folder describes.

It runs in a process of its own, so that one framework's threads, memory and crashes are not another's. Whatever the
runtime prints goes to the folder's log; the result is a JSON file there, written as soon as the whole model is timed
and again with its layers: what goes wrong with those does not cost the other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from multiprof import MultiprofError
from multiprof_benchmark import environment
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.subject import RESULT, Job
from multiprof_benchmark.timing import Timed, measure

LONGEST = 500  # characters of what a framework says; some say pages
SAMPLES = 1000  # of a layer, at most; enough for every percentile


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    job = Job.read(folder)
    try:
        for result in make(job):
            _write(folder, result)
    except Exception as error:  # the runtime's own, or the model's: one line for whoever asked
        _write(folder, {"error": _said(error)})
    return 0


def _write(folder: Path, result: dict[str, Any]) -> None:
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.replace(folder / RESULT)


def _said(error: Exception) -> str:
    if isinstance(error, MultiprofError):
        return str(error)
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    from multiprof.blame import describe

    said = describe(error)
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"


def make(job: Job) -> Iterator[dict[str, Any]]:
    """The measurements of a job as JSON values: those of the whole model, then with those of its layers."""
    runner = by_name(job.runner)
    modules = getattr(runner, "modules", None)  # another distribution's runner may have none
    for module in modules(job.subject, job.route) if modules else ():
        import_module(module)  # importing a framework is no part of loading a model
    before = environment.peak_rss()
    start = perf_counter()
    prepared = runner.prepare(job.subject, job.options, job.route)
    load = perf_counter() - start
    timed = measure(lambda: runner.run(prepared), job.options.rules)
    after = environment.peak_rss()
    facts = prepared.facts()
    memory = dict(facts.memory)
    if before is not None and after is not None:
        memory["rss"] = max(after - before, 0)
    result: dict[str, Any] = {
        "complete": not job.options.layers,
        "load": load,
        "timed": _timed(timed),
        "parts": [],
        "device": facts.device,
        "threads": facts.threads,
        "environment": {**environment.machine(), **facts.environment},
        "memory": memory,
        "notes": [*job.subject.notes, *facts.notes],
    }
    yield result
    if not job.options.layers:
        return
    failed: tuple[str, ...] = ()
    try:
        result["parts"] = [_part(part) for part in runner.per_layer(prepared, job.options)]
    except Exception as error:
        failed = (f"no times of single layers: {_said(error)}",)
    result["notes"] = [*job.subject.notes, *prepared.facts().notes, *failed]  # now it is known how layers were timed
    result["complete"] = True
    yield result


def _part(part: Part) -> dict[str, Any]:
    """Of many thousand runs of a small layer some, evenly chosen, tell as much and keep the report small."""
    step = max(1, -(-len(part.times) // SAMPLES))
    return {"subject": list(part.subject), "times": list(part.times[::step]), "label": part.label}


def _timed(timed: Timed) -> dict[str, Any]:
    return {"first": timed.first, "warmup": timed.warmup, "times": list(timed.times)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
