"""``multiprof.benchmark``: analyse a model, measure it on every runtime asked for, and join the times to the report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import multiprof
from multiprof import Inputs, Measurement, ModelError, MultiprofError, Report, TensorSpec, UsageError
from multiprof_benchmark import pool
from multiprof_benchmark.carry import CannotTravelError, carried
from multiprof_benchmark.environment import usable_cores
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.runners.base import SubjectRunner
from multiprof_benchmark.subject import REPORT, ROUTES, SYNTHESISED, Job, Options, Subject
from multiprof_benchmark.timing import QUICK, STANDARD

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure: every runner of ``on``, with each number of threads, each batch size and each precision."""

    on: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = (1,)
    batches: tuple[int | None, ...] = (None,)
    precisions: tuple[str, ...] = ("",)
    route: str = ""
    quick: bool = False
    layers: bool = True
    least: float = 0.95
    cap: float | None = None

    def check(self) -> None:
        """Raise `UsageError` for what cannot be asked."""
        if not self.on:
            raise UsageError("benchmark: name at least one runner, such as on=('cpu',)")
        for name in self.on:
            by_name(name)
        cores = usable_cores()
        for count in self.threads:
            if not 1 <= count <= cores:
                raise UsageError(f"threads {count}: this machine lets a process use 1 to {cores}")
        for batch in self.batches:
            if batch is not None and batch < 1:
                raise UsageError(f"batch {batch}: give a number of at least 1")
        if self.route and self.route not in ROUTES:
            raise UsageError(f"route {self.route!r}; one of {', '.join(ROUTES)}")
        if not 0 <= self.least <= 1:
            raise UsageError(f"least {self.least!r} is no share between 0 and 1")


def benchmark(
    model: Any,
    inputs: Any = None,
    *,
    on: str | Sequence[str] = ("cpu",),
    threads: int | Sequence[int] = 1,
    batch: int | Sequence[int] | None = None,
    precision: str | Sequence[str] = "",
    route: str = "",
    quick: bool = False,
    layers: bool = True,
    least: float = 0.95,
    cap: float | None = None,
    progress: Progress | None = None,
    trust: bool = False,
    **reading: Any,
) -> Report:
    """The report of a model (`multiprof.analyze`) with measurements joined.

    ``on`` names runtimes (``multiprof runners`` lists them); ``threads``, ``batch`` and ``precision`` may each be
    several, and every combination is measured, in a process of its own. ``route`` is native, converted or synthesised
    where the best one is not wanted. ``quick`` takes fewer samples; ``layers=False`` leaves single layers untimed;
    ``least`` is the share of the macs below which a synthesised model is refused; ``cap`` limits each measurement, in
    seconds. ``reading`` goes to `multiprof.analyze`.

    What cannot be measured becomes a warning of the report and the rest is kept; where nothing can, the first reason
    is raised.
    """
    settings = Settings(
        _several(on), _several(threads), _several(batch), _several(precision), route, quick, layers, least, cap
    )
    settings.check()
    say = progress or (lambda _: None)
    given = _inputs(inputs)
    first: Report | None = None
    found: list[Measurement] = []
    failures: list[str] = []
    for size in settings.batches:
        say(f"analysing{'' if size is None else f' with batch {size}'}")
        resized = given if size is None else _resized(model, given, size, reading | {"trust": trust})
        report = multiprof.analyze(model, resized, trust=trust, **reading)
        first = first or report
        with _carrying(model, resized, report, size) as subject:
            for job in _jobs(subject, settings, trust, failures):
                say(_name(job))
                try:
                    found += _measured(job, settings)
                except MultiprofError as error:
                    failures.append(f"{_name(job)}: {error}")
    assert first is not None
    if not found:
        raise ModelError("; ".join(dict.fromkeys(failures)) or "nothing was measured")
    return replace(
        first,
        measurements=(*first.measurements, *found),
        warnings=(*first.warnings, *(f"not measured: {failure}" for failure in dict.fromkeys(failures))),
    )


def _several(value: Any) -> tuple[Any, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return (value,)


def _inputs(value: Any) -> Inputs | None:
    if value is None or isinstance(value, Inputs):
        return value
    from multiprof.inputs import as_inputs

    return as_inputs(value)


def _resized(model: Any, inputs: Inputs | None, batch: int, reading: Mapping[str, Any]) -> Inputs:
    """The inputs with another leading dimension; those of the model itself where none are given."""
    if inputs is None:
        graph = multiprof.analyze(model, None, **reading).graph
        return Inputs(**{spec.name: _first(spec, batch) for spec in graph.inputs})

    def resize(value: Any) -> Any:
        if isinstance(value, TensorSpec):
            return _first(value, batch)
        if isinstance(value, (list, tuple)):
            return type(value)(resize(item) for item in value)
        if isinstance(value, dict):
            return {key: resize(item) for key, item in value.items()}
        if hasattr(value, "shape"):
            raise UsageError("batch: give shapes instead of tensors, so that they can be resized")
        return value

    return Inputs(*map(resize, inputs.args), **{key: resize(item) for key, item in inputs.kwargs.items()})


def _first(spec: TensorSpec, batch: int) -> TensorSpec:
    if not spec.shape:
        return spec
    return TensorSpec((batch, *spec.shape[1:]), spec.dtype)


@contextmanager
def _carrying(model: Any, inputs: Inputs | None, report: Report, batch: int | None) -> Iterator[Subject]:
    """The subject in a private folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="multiprof-") as name:
        folder = Path(name)
        path = folder / REPORT
        report.save(path)
        shown = report.batch if batch is None else batch
        try:
            yield carried(model, inputs, report.framework, path, shown)
        except CannotTravelError:
            yield Subject(path, report.framework, "", "", shown)


def _jobs(subject: Subject, settings: Settings, trust: bool, failures: list[str]) -> Iterable[Job]:
    rules = QUICK if settings.quick else STANDARD
    for name in settings.on:
        runner = by_name(name)
        reason = runner.available()
        if reason:
            failures.append(f"{name}: {reason}")
            continue
        chosen = _route(runner, subject, settings.route)
        if not chosen:
            wanted = settings.route or "any"
            failures.append(f"{name}: no {wanted} route from {subject.framework}; see multiprof runners")
            continue
        for threads in settings.threads:
            for precision in settings.precisions:
                options = Options(threads, precision, settings.least, settings.layers, trust, rules)
                yield Job(name, chosen, subject, options)


def _route(runner: SubjectRunner, subject: Subject, wanted: str) -> str:
    routes = runner.routes(subject)
    if wanted:
        return wanted if wanted in routes else ""
    return routes[0] if routes else ""


def _measured(job: Job, settings: Settings) -> list[Measurement]:
    with tempfile.TemporaryDirectory(prefix="multiprof-job-") as name:
        os.chmod(name, 0o700)
        result = pool.run(job, Path(name), settings.cap)
    environment = dict(result["environment"])
    if result["notes"]:
        environment["notes"] = tuple(result["notes"])
    timed = result["timed"]
    shared: dict[str, Any] = {
        "runner": job.runner,
        "route": job.route,
        "device": result["device"],
        "threads": result["threads"],
        "batch": job.subject.batch,
        "isolated": True,
        "precision": job.options.precision,
    }
    whole = Measurement(
        tuple(timed["times"]),
        environment=environment,
        phases={"load": result["load"], "first": timed["first"], "warmup": timed["warmup"]},
        memory=result["memory"],
        **shared,
    )
    parts = [
        Measurement(tuple(part["times"]), kind="group" if part["subject"] else "overhead",
                    subject=tuple(part["subject"]), **shared)
        for part in result["parts"]
    ]  # fmt: skip
    return [whole, *parts]


def _name(job: Job) -> str:
    """``tflite (synthesised), 2 threads, fp16``."""
    options = job.options
    threads = "1 thread" if options.threads == 1 else f"{options.threads} threads"
    batch = f", batch {job.subject.batch}" if job.subject.batch else ""
    return f"{job.runner} ({job.route}), {threads}{f', {options.precision}' if options.precision else ''}{batch}"


__all__ = ["SYNTHESISED", "Settings", "benchmark"]
