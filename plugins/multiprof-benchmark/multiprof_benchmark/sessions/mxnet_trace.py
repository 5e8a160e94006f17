"""How long each operation of MXNet's engine takes, by its own profiler."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multiprof import ModelError
from multiprof.adapters.mxnet.compat import import_mxnet
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.timing import Rules, repeated

mx: Any = import_mxnet()

BACKEND = "MKLDNN"  # whose merged operations MXNet uses by itself
BULK = "MXNET_EXEC_BULK_EXEC_INFERENCE"
MICRO = 1e-6


def merges() -> bool:
    """Whether a symbol that is bound has operations merged."""
    return os.environ.get("MXNET_SUBGRAPH_BACKEND", BACKEND) == BACKEND and mx.runtime.Features().is_enabled(BACKEND)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Executors bound here give the engine each operation for itself."""
    before = os.environ.get(BULK)
    os.environ[BULK] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[BULK]
        else:
            os.environ[BULK] = before


def traced(run: Callable[[], object], operations: Sequence[str], rules: Rules) -> list[list[float]]:
    """The seconds of every operation in each run, in order; `ModelError` where the engine ran other ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile.json"
        mx.profiler.set_config(
            profile_symbolic=True, profile_imperative=False, profile_memory=False, profile_api=False,
            filename=str(path), aggregate_stats=False,
        )  # fmt: skip
        mx.profiler.set_state("run")
        try:
            count = len(repeated(run, rules)) + 1
        finally:
            mx.profiler.set_state("stop")
        mx.profiler.dump(True)
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    spent = _spent(events)
    names = [name for name, _ in spent]
    if names != list(operations) * (len(spent) // max(1, len(operations))) or not spent:
        raise ModelError(f"MXNet's engine ran {len(spent) // count} operations a run, its graph has {len(operations)}")
    size = len(operations)
    runs = [[time for _, time in spent[at : at + size]] for at in range(0, len(spent), size)]
    return runs[1:] or runs


def _spent(events: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    """The name and seconds of every operation in the order they began."""
    begun: dict[tuple[Any, Any, str], list[float]] = {}
    found = []
    for event in sorted((e for e in events if e.get("cat") == "operator"), key=lambda e: float(e["ts"])):
        key = (event["pid"], event["tid"], event["name"])
        if event["ph"] == "B":
            begun.setdefault(key, []).append(event["ts"])
        elif event["ph"] == "E" and begun.get(key):
            start = begun[key].pop()
            found.append((start, event["name"], (event["ts"] - start) * MICRO))
    return [(name, spent) for _, name, spent in sorted(found)]


def joined(
    runs: Sequence[Sequence[float]], subjects: Sequence[tuple[str, ...]], operations: Sequence[str]
) -> list[Part]:
    """One part for the operations of every group of layers; an operation without one by its name."""
    times: dict[tuple[tuple[str, ...], str], list[float]] = {}
    for position, (subject, name) in enumerate(zip(subjects, operations, strict=True)):
        spent = times.setdefault((subject, "" if subject else name), [0.0] * len(runs))
        for at, run in enumerate(runs):
            spent[at] += run[position]
    return [Part(subject, tuple(spent), label) for (subject, label), spent in times.items()]


def openmp_threads() -> int | None:
    """The threads that the OpenMP library at work in this process says it uses; ``None`` where there is none."""
    maps = Path("/proc/self/maps")
    for line in maps.read_text(encoding="utf-8", errors="replace").split("\n") if maps.is_file() else ():
        path = Path(line.split(maxsplit=5)[-1]) if line.count("/") else Path()
        if path.name.startswith(("libgomp", "libiomp", "libomp")):
            return int(ctypes.CDLL(str(path)).omp_get_max_threads())
    return None


__all__ = ["BACKEND", "joined", "merges", "one_at_a_time", "openmp_threads", "traced"]
