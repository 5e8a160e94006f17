"""The runtimes that models are timed on. Nothing here imports one: each runner does so in its ``prepare``."""

from __future__ import annotations

from typing import Any

import multiprof
from multiprof import UsageError
from multiprof_benchmark.runners.base import SubjectRunner
from multiprof_benchmark.runners.cpu import Cpu
from multiprof_benchmark.runners.gpu import Gpu
from multiprof_benchmark.runners.onnxruntime import OnnxRuntime
from multiprof_benchmark.runners.tflite import TFLite

OWN: tuple[SubjectRunner, ...] = (TFLite(), Cpu(), OnnxRuntime(), Gpu())


def by_name(name: str) -> SubjectRunner:
    """The runner of that name, this plugin's or another's; `UsageError` when there is none."""
    known: dict[str, Any] = {runner.name: runner for runner in OWN}
    if name not in known:
        known |= {runner.name: runner for runner in multiprof.runners()}
    if name not in known:
        raise UsageError(f"unknown runner {name!r}; one of {', '.join(known)}")
    runner: SubjectRunner = known[name]
    return runner


__all__ = ["OWN", "by_name"]
