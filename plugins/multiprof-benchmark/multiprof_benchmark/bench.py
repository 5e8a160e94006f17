"""``multiprof.benchmark``: analyse a model, measure it on every runtime asked for, and join the times to the report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import multiprof
from multiprof import Inputs, Measurement, ModelError, MultiprofError, Report
from multiprof.inputs import as_inputs
from multiprof_benchmark import in_process, pool
from multiprof_benchmark.bringing import as_graph, brought, resized
from multiprof_benchmark.environment import usable_cores
from multiprof_benchmark.plausible import too_fast
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.settings import Settings, several
from multiprof_benchmark.subject import NATIVE, REPORT, Job, Options, Subject

Progress = Callable[[str], None]
TRAINING = "the model is in training mode;"  # what an analysis begins to say of every module fresh from its class


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
    memory: int | None = None,
    interleave: Any = None,
    progress: Progress | None = None,
    trust: bool = False,
    **reading: Any,
) -> Report:
    """The report of a model (`multiprof.analyze`) with measurements joined.

    ``on`` names runtimes (``multiprof runners`` lists them); ``threads``, ``batch`` and ``precision`` may each be
    several, and every combination is measured, in a process of its own. ``route`` is native, converted or synthesised
    where the best one is not wanted. ``quick`` takes fewer samples; ``layers=False`` leaves single layers untimed;
    ``least`` is the share of the macs below which a synthesised model is refused; ``cap`` limits each measurement, in
    seconds, and ``memory`` its process, in bytes. ``reading`` goes to `multiprof.analyze`.

    ``interleave`` compares: another model, called with the same inputs, whose runs take turns with those of ``model``;
    or ``True``, and the settings of this call (``threads=(1, 2)``) take turns. Each comparison is a measurement of kind
    ``compared``, with both samples and the `Measurement.ratio` of their medians. Single layers are not timed then.

    What cannot be measured becomes a warning of the report and the rest is kept; where nothing can, the first reason
    is raised.
    """
    settings = Settings(
        several(on), several(threads), several(batch), several(precision), route, quick, layers, least, cap, memory
    )
    settings.check()
    call = _Call(model, _inputs(inputs), settings, progress or (lambda _: None), reading | {"trust": trust})
    first: Report | None = None
    found: list[Measurement] = []
    for size in settings.batches:
        with ExitStack() as stack:
            try:
                subject = stack.enter_context(call.subject(model, size))
                first = first or _of_batch(subject.report, size)
                if interleave is None or interleave is False:
                    found += call.one_by_one(subject)
                elif interleave is True:
                    found += call.settings_in_turns(subject)
                else:
                    found += call.models_in_turns(subject, stack.enter_context(call.subject(interleave, size)))
            except MultiprofError as error:
                if len(settings.batches) == 1:
                    raise
                call.failures.append(f"batch {size}: {error}")
    failures = [f"not measured: {failure}" for failure in dict.fromkeys(call.failures)]
    if first is None or not found:
        raise ModelError("; ".join(dict.fromkeys(call.failures)) or "nothing was measured")
    return replace(
        first,
        measurements=(*first.measurements, *found),
        warnings=(*_own(first.warnings), *too_fast(first, found), *failures),
    )


@dataclass
class _Call:
    """What one call of `benchmark` measures with, and what could not be measured."""

    model: Any
    inputs: Inputs | None
    settings: Settings
    say: Progress
    reading: Mapping[str, Any]
    failures: list[str] = field(default_factory=list)
    folder: str = field(default_factory=os.getcwd)  # a model's own code may leave it

    @contextmanager
    def subject(self, model: Any, batch: int | None) -> Iterator[Subject]:
        """A model, analysed, in a private folder, which is gone afterwards."""
        self.say(f"analysing{'' if batch is None else f' with batch {batch}'}")
        inputs = self.inputs if batch is None else resized(model, self.inputs, batch, self.reading)
        report = multiprof.analyze(model, inputs, **self.reading)
        with tempfile.TemporaryDirectory(prefix="multiprof-") as name:
            path = Path(name) / REPORT
            report.save(path)
            yield brought(model, inputs, report, path, report.batch if batch is None else batch)

    def jobs(self, subject: Subject) -> Iterator[tuple[Job, ...]]:
        """For every setting its jobs: by the route asked for, else by each that there is, the best one first."""
        settings = self.settings
        for name in settings.on:
            runner = by_name(name)
            reason = runner.available()
            if reason:
                self.failures.append(f"{name}: {reason}")
                continue
            routes = [route for route in runner.routes(subject) if settings.route in ("", route)]
            if not routes:
                wanted = f"{settings.route} route" if settings.route else "route"
                why = "; ".join(subject.notes) or "see multiprof runners"
                self.failures.append(f"{name}: no {wanted} from {subject.framework}; {why}")
                continue
            for threads in settings.threads:
                if threads > usable_cores():
                    self.failures.append(f"{name}: {settings.too_many(threads)}")
                    continue
                for precision in settings.precisions:
                    options = Options(
                        threads, precision, settings.least, settings.layers, bool(self.reading["trust"]), settings.rules
                    )
                    yield tuple(
                        Job(name, route, subject if route == NATIVE else as_graph(subject), options) for route in routes
                    )

    def one_by_one(self, subject: Subject) -> Iterator[Measurement]:
        for jobs in self.jobs(subject):
            yield from self._tried(jobs[0].title, partial(self._by_the_first_that_can, jobs))

    def settings_in_turns(self, subject: Subject) -> Iterator[Measurement]:
        """Every setting of the call, in turns with all the others, compared with the first."""
        jobs = [by_route[0] for by_route in self.jobs(subject)]
        if len(jobs) < 2:
            self.failures.append(f"{jobs[0].title if jobs else 'nothing'}: there is no other setting to compare with")
            return
        yield from self._tried(" and ".join(job.title for job in jobs), lambda: self._in_turns(jobs))

    def models_in_turns(self, subject: Subject, other: Subject) -> Iterator[Measurement]:
        """The two models in turns, in every setting of the call."""
        theirs = {_setting(job): job for job, *_ in self.jobs(other)}
        for job, *_ in self.jobs(subject):
            pair = theirs.get(_setting(job))
            if pair is not None:
                title = f"{job.title} beside {pair.subject.report.name}"
                # the report is of the first: of the other there is the comparison alone
                yield from self._tried(title, lambda jobs=(job, pair): self._in_turns(jobs)[::2])  # type: ignore[misc]

    def _tried(self, title: str, measure: Callable[[], Sequence[Measurement]]) -> Sequence[Measurement]:
        self.say(title)
        try:
            return measure()
        except MultiprofError as error:
            self.failures.append(f"{title}: {error}")
            return ()

    def _by_the_first_that_can(self, jobs: Sequence[Job]) -> list[Measurement]:
        """By the best route that does not refuse the model; the note of another one says why. A crash ends the search:
        that is no answer to hide.
        """
        refusals: list[MultiprofError] = []
        for job in jobs:
            routes = zip(jobs, refusals, strict=False)
            notes = tuple(f"{job.route}, for want of the {tried.route} route: {error}" for tried, error in routes)
            try:
                return self._measured(replace(job, subject=replace(job.subject, notes=(*job.subject.notes, *notes))))
            except pool.StoppedError:
                raise
            except MultiprofError as error:
                refusals.append(error)
        raise refusals[0]

    def _measured(self, job: Job) -> list[Measurement]:
        """Of the whole model and its layers, in a process of its own, or here where the model cannot leave it."""
        if job.subject.live is not None:
            return _measurements(job, in_process.run(job), isolated=False)
        with tempfile.TemporaryDirectory(prefix="multiprof-job-") as name:
            result = pool.run(job, Path(name), self.settings.cap, self.folder, self.settings.memory)
            return _measurements(job, result)

    def _in_turns(self, jobs: Sequence[Job]) -> list[Measurement]:
        """For every job its measurement, and for all but the first then how it compares with the first."""
        jobs = [replace(job, turns=True, options=replace(job.options, layers=False)) for job in jobs]
        stays = next((job for job in jobs if job.subject.live is not None), None)
        if stays is not None:
            raise ModelError(f"only what runs in a process of its own can take turns: {stays.subject.notes[0]}")
        with tempfile.TemporaryDirectory(prefix="multiprof-job-") as name:
            folders = [Path(name) / str(number) for number in range(len(jobs))]
            for folder in folders:
                folder.mkdir()
            results = pool.run_in_turns(jobs, folders, self.settings.cap, self.folder, self.settings.memory)
        wholes = [_measurements(job, result)[0] for job, result in zip(jobs, results, strict=True)]
        found = [wholes[0]]
        for job, whole in zip(jobs[1:], wholes[1:], strict=True):
            label, against = _told_apart(job, jobs[0])
            compared = replace(whole, kind="compared", baseline=wholes[0].times, label=label, against=against)
            found += [whole, compared]
        return found


def _told_apart(job: Job, other: Job) -> tuple[str, str]:
    """What two jobs are called beside each other: their settings, or their models."""
    if job.subject.report_path == other.subject.report_path:
        return job.title, other.title
    names = job.subject.report.name, other.subject.report.name
    if names[0] != names[1]:
        return names
    sources = Path(job.subject.model).name, Path(other.subject.model).name
    return sources if all(sources) and sources[0] != sources[1] else (f"the other {names[0]}", names[1])


def _setting(job: Job) -> tuple[Any, ...]:
    return job.runner, job.options.threads, job.options.precision


def _own(warnings: Iterable[str]) -> Iterator[str]:
    """The warnings of the analysis but for one that says what a measurement does anyway."""
    return (warning for warning in warnings if not warning.startswith(TRAINING))


def _of_batch(report: Report, size: int | None) -> Report:
    """The report with the batch that was asked for where its reader does not know of one."""
    if size is None or report.batch is not None:
        return report
    return replace(report, graph=replace(report.graph, metadata={**report.graph.metadata, "batch": size}))


def _inputs(value: Any) -> Inputs | None:
    if value is None or isinstance(value, Inputs):
        return value
    return as_inputs(value)


def _measurements(job: Job, result: Mapping[str, Any], isolated: bool = True) -> list[Measurement]:
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
        "isolated": isolated,
        "precision": job.options.precision,
    }
    whole = Measurement(
        tuple(timed["times"]),
        environment=environment,
        phases={"load": result["load"], "first": timed["first"], "warmup": timed["warmup"]},
        memory=result["memory"],
        energy=result["energy"],
        device_times=tuple(result["device_times"]),
        **shared,
    )
    parts = [
        Measurement(tuple(part["times"]), kind="group" if part["subject"] else "overhead",
                    subject=tuple(part["subject"]), label=part["label"], **shared)
        for part in result["parts"]
    ]  # fmt: skip
    return [whole, *parts]


__all__ = ["Settings", "benchmark"]
