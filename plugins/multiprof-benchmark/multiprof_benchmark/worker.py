"""``python -m multiprof_benchmark.worker FOLDER``: make the one measurement that the folder describes.

It runs in a process of its own, so that one framework's threads, memory and crashes are not another's. Whatever the
runtime prints goes to the folder's log; the result is a JSON file there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from multiprof import MultiprofError
from multiprof_benchmark import environment
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.subject import RESULT, Job
from multiprof_benchmark.timing import Timed, measure


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    job = Job.read(folder)
    try:
        result = make(job)
    except MultiprofError as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": "it does not fit into memory"}
    except Exception as error:  # the runtime's own, or the model's: one line for whoever asked
        from multiprof.blame import describe

        result = {"error": describe(error)}
    temporary = folder / f"{RESULT}.part"
    temporary.write_text(json.dumps(result), encoding="utf-8")
    temporary.rename(folder / RESULT)
    return 0


def make(job: Job) -> dict[str, Any]:
    """The measurements of a job as JSON values."""
    runner = by_name(job.runner)
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
    notes = list(facts.notes)
    parts: list[Part] = []
    if job.options.layers:
        try:
            parts = list(runner.per_layer(prepared, job.options))
        except MultiprofError as error:
            notes.append(f"no times of single layers: {error}")
    return {
        "load": load,
        "timed": _timed(timed),
        "parts": [{"subject": list(part.subject), "times": list(part.times)} for part in parts],
        "device": facts.device,
        "threads": facts.threads,
        "environment": {**environment.machine(), **facts.environment},
        "memory": memory,
        "notes": notes,
    }


def _timed(timed: Timed) -> dict[str, Any]:
    return {"first": timed.first, "warmup": timed.warmup, "times": list(timed.times)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
