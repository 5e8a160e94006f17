"""``multiprof.benchmark``: analyse a model, measure it on every runtime asked for, and join the times to the report."""

from __future__ import annotations

import inspect
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import multiprof
from multiprof import Inputs, Measurement, ModelError, MultiprofError, Report, TensorSpec, UsageError
from multiprof.inputs import as_inputs
from multiprof.python_target import is_python_target, load_target
from multiprof_benchmark import pool
from multiprof_benchmark.carry import CannotTravelError, carried
from multiprof_benchmark.environment import usable_cores
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.runners.base import SubjectRunner
from multiprof_benchmark.subject import REPORT, ROUTES, SYNTHESISED, Job, Options, Subject
from multiprof_benchmark.timing import QUICK, STANDARD, Rules

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
        for what, values in (("threads", self.threads), ("batch", self.batches), ("precision", self.precisions)):
            if not values:
                raise UsageError(f"{what}: give at least one")
        for name in self.on:
            by_name(name)
        cores = usable_cores()
        for count in self.threads:
            if not _is_whole(count) or not 1 <= count <= cores:
                raise UsageError(f"threads {count!r}: this machine lets a process use 1 to {cores}")
        for batch in self.batches:
            if batch is not None and not _is_whole(batch):
                raise UsageError(f"batch {batch!r}: give a number of at least 1")
        for precision in self.precisions:
            if not isinstance(precision, str):
                raise UsageError(f"precision {precision!r}: give a name such as 'fp16', or '' for the model's own")
        if self.route and self.route not in ROUTES:
            raise UsageError(f"route {self.route!r}; one of {', '.join(ROUTES)}")
        if not _is_number(self.least) or not 0 <= self.least <= 1:
            raise UsageError(f"least {self.least!r} is no share between 0 and 1")
        if self.cap is not None and not (_is_number(self.cap) and 0 < self.cap < math.inf):
            raise UsageError(f"cap {self.cap!r}: give seconds above 0")

    @property
    def rules(self) -> Rules:
        """Those of the timing loop; within a cap, the model and its layers have a third of it each."""
        rules = QUICK if self.quick else STANDARD
        return rules if self.cap is None else replace(rules, cap=min(rules.cap, self.cap / 3))


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
    folder = os.getcwd()  # a model's own code may leave it
    say = progress or (lambda _: None)
    given = _inputs(inputs)
    first: Report | None = None
    found: list[Measurement] = []
    failures: list[str] = []
    for size in settings.batches:
        say(f"analysing{'' if size is None else f' with batch {size}'}")
        try:
            resized = given if size is None else _resized(model, given, size, reading | {"trust": trust})
            report = multiprof.analyze(model, resized, trust=trust, **reading)
        except MultiprofError as error:
            if len(settings.batches) == 1:
                raise
            failures.append(f"batch {size}: {error}")
            continue
        first = first or _of_batch(report, size)
        with _carrying(model, resized, report, size) as subject:
            for job in _jobs(subject, settings, trust, failures):
                say(_name(job))
                try:
                    found += _measured(job, settings, folder)
                except MultiprofError as error:
                    failures.append(f"{_name(job)}: {error}")
    if first is None or not found:
        raise ModelError("; ".join(dict.fromkeys(failures)) or "nothing was measured")
    return replace(
        first,
        measurements=(*first.measurements, *found),
        warnings=(*first.warnings, *(f"not measured: {failure}" for failure in dict.fromkeys(failures))),
    )


def _several(value: Any) -> tuple[Any, ...]:
    """Several values, each once; a text names several with commas between them."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(dict.fromkeys(value)) if isinstance(value, (list, tuple)) else (value,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _of_batch(report: Report, size: int | None) -> Report:
    """The report with the batch that was asked for where its reader does not know of one."""
    if size is None or report.batch is not None:
        return report
    return replace(report, graph=replace(report.graph, metadata={**report.graph.metadata, "batch": size}))


def _inputs(value: Any) -> Inputs | None:
    if value is None or isinstance(value, Inputs):
        return value
    return as_inputs(value)


def _resized(model: Any, inputs: Inputs | None, batch: int, reading: Mapping[str, Any]) -> Inputs:
    """The inputs in another batch size: what has the leading dimension of the first tensor gets another one. They are
    those of the model itself where none are given.
    """
    if inputs is None and isinstance(model, str) and is_python_target(model):
        inputs = as_inputs(load_target(model, _is_no_maker).inputs)
    if inputs is None:
        graph = multiprof.analyze(model, None, **reading).graph
        inputs = Inputs(**{spec.name: TensorSpec(spec.shape, spec.dtype) for spec in graph.inputs})
    declared: list[int | None] = []

    def resize(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resize(item) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(resize, value))
        if isinstance(value, (list, tuple)):
            return type(value)(resize(item) for item in value)
        if hasattr(value, "shape") and not isinstance(value, TensorSpec):
            # values make no difference to the time, and a worker draws its own
            value = TensorSpec(tuple(value.shape), _dtype(value))
        if not isinstance(value, TensorSpec) or not value.shape:
            return value
        declared.append(value.shape[0])
        return TensorSpec((batch, *value.shape[1:]), value.dtype) if value.shape[0] == declared[0] else value

    args = [resize(item) for item in inputs.args]  # before the keywords: the first tensor is the measure
    resized = Inputs(*args, **{key: resize(item) for key, item in inputs.kwargs.items()})
    if not declared:
        raise UsageError(f"batch {batch}: the model has no input whose leading dimension could be one")
    return resized


def _is_no_maker(item: Any) -> bool:
    """Whether a Python name is a model already: neither a function nor a class, which are called to make one."""
    return not (inspect.isroutine(item) or inspect.isclass(item))


def _dtype(tensor: Any) -> str:
    """``float32`` for ``torch.float32``, numpy's, TensorFlow's or JAX's alike."""
    dtype = tensor.dtype
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


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
        except CannotTravelError as error:
            note = f"the model itself stays here, and its graph is what runs: {error}"
            yield Subject(path, report.framework, "", "", shown, notes=(note,))


def _jobs(subject: Subject, settings: Settings, trust: bool, failures: list[str]) -> Iterable[Job]:
    for name in settings.on:
        runner = by_name(name)
        reason = runner.available()
        if reason:
            failures.append(f"{name}: {reason}")
            continue
        chosen = _route(runner, subject, settings.route)
        if not chosen:
            wanted = settings.route or "any"
            why = "; ".join(subject.notes) or "see multiprof runners"
            failures.append(f"{name}: no {wanted} route from {subject.framework}; {why}")
            continue
        for threads in settings.threads:
            for precision in settings.precisions:
                options = Options(threads, precision, settings.least, settings.layers, trust, settings.rules)
                yield Job(name, chosen, subject, options)


def _route(runner: SubjectRunner, subject: Subject, wanted: str) -> str:
    routes = runner.routes(subject)
    if wanted:
        return wanted if wanted in routes else ""
    return routes[0] if routes else ""


def _measured(job: Job, settings: Settings, cwd: str) -> list[Measurement]:
    with tempfile.TemporaryDirectory(prefix="multiprof-job-") as name:
        result = pool.run(job, Path(name), settings.cap, cwd)
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
                    subject=tuple(part["subject"]), label=part["label"], **shared)
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
