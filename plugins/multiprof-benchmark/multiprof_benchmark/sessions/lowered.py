"""The Graph itself as torch operations, with random weights, on the CPU or on CUDA: it reaches every framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

import torch

from multiprof_benchmark import environment
from multiprof_benchmark.lower.torch import Program, Step, lower
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.torch_device import Device, precision
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import repeated


class LoweredSession:
    """A report's graph lowered onto torch."""

    def __init__(self, subject: Subject, options: Options, device: str = "cpu") -> None:
        self.device = Device(device, options.threads)
        self.program: Program = lower(
            subject.report, device=device, dtype=precision(options.precision), least=options.least
        )
        self.inputs = self.program.examples

    def run(self) -> object:
        with torch.inference_mode():
            return self.device.run(lambda: self.program(*self.inputs))

    def device_times(self) -> tuple[float, ...]:
        """Seconds of every run so far on a device beside the processor."""
        return tuple(self.device.spent)

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Each step timed inside whole runs, as it finds the caches; what lies between steps is overhead."""
        watch = _Watch(self.device.wait)

        def once() -> dict[tuple[str, ...], float]:
            watch.start()
            self.program.observed(watch, *self.inputs)
            return watch.taken

        with torch.inference_mode():
            runs = repeated(once, options.rules)
        return [Part(subject, tuple(run.get(subject, 0.0) for run in runs)) for subject in runs[-1]]

    def facts(self) -> Facts:
        notes = [f"synthesised: {self.program.share}", *self.program.remarks]
        if self.program.value_dependent:
            notes.append(f"times of layers that depend on values: {', '.join(self.program.value_dependent[:8])}")
        if self.program.findings:
            notes.append(f"activations that are not finite or not normal: {len(self.program.findings)} layers")
        found = {"torch": torch.__version__, **environment.versions("numpy"), **self.device.environment()}
        return Facts(self.device.name, self.device.threads(), found, tuple(notes), self.device.memory())


class _Watch:
    """Told of every step as it has run, it takes the time since the step before."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait
        self.taken: dict[tuple[str, ...], float] = {}
        self.last = 0.0

    def start(self) -> None:
        self.wait()
        self.taken = {}
        self.last = perf_counter()

    def __call__(self, step: Step, operands: object, results: object) -> None:
        self.wait()
        now = perf_counter()
        self.taken[step.layers] = self.taken.get(step.layers, 0.0) + now - self.last
        self.last = perf_counter()


__all__ = ["LoweredSession"]
