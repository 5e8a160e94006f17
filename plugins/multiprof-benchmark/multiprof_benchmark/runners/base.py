"""What a runner is, and what it returns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from multiprof_benchmark.subject import Options, Subject


@dataclass(frozen=True, slots=True)
class Part:
    """Seconds of the layers ``subject``, which ran as one; none of them, and it is what the runtime spends beside, or a
    step that no layer was found for. ``label`` is the runtime's own name of it.
    """

    subject: tuple[str, ...]
    times: tuple[float, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known once a model is loaded: the device it runs on, the threads that the runtime really uses, versions
    and the like, sentences that a reader must know, and bytes the runtime says it holds.
    """

    device: str = "cpu"
    threads: int | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    memory: Mapping[str, int] = field(default_factory=dict)


class Session(Protocol):
    """A model loaded and ready. ``run`` returns when its work is done."""

    def run(self) -> object: ...

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Each layer's time, from runs of their own; empty where the runtime tells nothing."""

    def facts(self) -> Facts:
        """What is known of the session: asked for once the model has run, and again once its layers are timed."""


class SubjectRunner:
    """A runtime. Its module imports nothing of it before ``prepare``."""

    name = ""

    def available(self) -> str | None:
        """What is missing to use it here, or ``None``."""
        raise NotImplementedError

    def routes(self, subject: Subject) -> tuple[str, ...]:
        """The routes by which the subject can come here, the best one first."""
        raise NotImplementedError

    def modules(self, subject: Subject, route: str) -> tuple[str, ...]:
        """The modules that ``prepare`` imports; importing them first keeps that out of the time of loading."""
        return ()

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        raise NotImplementedError

    def run(self, prepared: Session) -> object:
        return prepared.run()

    def per_layer(self, prepared: Session, options: Options) -> Iterable[Part]:
        return prepared.per_layer(options)


def thread_variables(threads: int) -> dict[str, str]:
    """Environment variables that limit every runtime's own pool; they must be set before the runtime is loaded."""
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "PJRT_NPROC",  # XLA's pool, of JAX
        "NPROC",
    )
    return {name: str(threads) for name in names} | {
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }


__all__ = ["Facts", "Part", "Session", "SubjectRunner", "thread_variables"]
