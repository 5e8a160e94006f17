"""``python -m multiprof_benchmark.calibrate RUNTIME THREADS FILE``: time every kernel and write the seconds as JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from multiprof_benchmark.calibrate.device import KERNELS
from multiprof_benchmark.timing import Rules, measure

RULES = Rules(runs=20, seconds=0.2, cap=20.0, warmup_runs=3, warmup_seconds=0.1)


def main(arguments: list[str]) -> int:
    runtime, threads, file = arguments
    prepared = import_module(f"multiprof_benchmark.calibrate.{runtime}_kernels").prepared
    found = []
    for kernel in KERNELS:
        timed = measure(prepared(kernel, int(threads)), RULES)
        found.append(min(timed.times))  # the best: what the machine can do, not what else it did meanwhile
    Path(file).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
