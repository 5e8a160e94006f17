"""``python -m multiprof_benchmark.calibrate RUNTIME THREADS FILE``: time every kernel and write the seconds as JSON.

Kernels run in turns, so that each finds its weights where other work leaves them, as it does in a model, and what slows
the machine for a moment slows them all; inputs are fresh. What is about caches, or repeats itself in a model (the steps
of a recurrent layer), runs over and over.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter

from multiprof_benchmark.calibrate.kernels import COPY, READ, RECURRENT, START, Kernel, Prepared
from multiprof_benchmark.timing import Rules, measure

RULES = Rules(runs=12, seconds=0.05, cap=20.0, warmup_runs=2, warmup_seconds=0.01)
TURNS, WARMUP = 24, 2
OVER_AND_OVER = (COPY, READ, RECURRENT, START)


def main(arguments: list[str]) -> int:
    runtime, threads, file = arguments
    module = import_module(f"multiprof_benchmark.calibrate.{runtime}_kernels")
    kernels: Sequence[Kernel] = module.OFFERED
    runs = {kernel: module.prepared(kernel, int(threads)) for kernel in kernels}
    times = in_turns({kernel: run for kernel, run in runs.items() if kernel.family not in OVER_AND_OVER})
    for kernel, run in runs.items():
        if kernel not in times:
            times[kernel] = list(measure(run.run, RULES).times)
    found = [
        {"family": k.family, "sizes": k.sizes, "dtype": k.dtype, "seconds": undisturbed(times[k])} for k in kernels
    ]
    Path(file).write_text(json.dumps(found), encoding="utf-8")
    return 0


def in_turns(runs: Mapping[Kernel, Prepared]) -> dict[Kernel, list[float]]:
    """Seconds of each kernel's runs, one of each after the other."""
    times: dict[Kernel, list[float]] = {kernel: [] for kernel in runs}
    for turn in range(WARMUP + TURNS):
        for kernel, run in runs.items():
            run.refresh()
            start = perf_counter()
            run.run()
            if turn >= WARMUP:
                times[kernel].append(perf_counter() - start)
    return times


def undisturbed(times: Sequence[float]) -> float:
    """The lower quartile: what is typical, even where other work took the processor away half of the time."""
    return statistics.quantiles(times, n=4)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
