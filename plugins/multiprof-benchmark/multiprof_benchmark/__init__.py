"""multiprof's benchmark plugin: what a model costs in time, on TensorFlow Lite, the CPU and the GPU.

Loaded by multiprof whenever plugins are, so nothing here imports a framework: each runner and each lowering does so
when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from multiprof import Command, hookimpl

__version__ = "0.1.0"


@hookimpl
def multiprof_runners() -> Iterable[Any]:
    found: Iterable[Any] = import_module("multiprof_benchmark.runners").OWN
    return found


@hookimpl
def multiprof_commands() -> Iterable[Command]:
    found: Iterable[Command] = import_module("multiprof_benchmark.commands").COMMANDS
    return found


def __getattr__(name: str) -> Any:
    if name == "benchmark":
        return import_module("multiprof_benchmark.bench").benchmark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["benchmark", "multiprof_commands", "multiprof_runners"]
