"""A CUDA GPU through torch: PyTorch's own modules, and the Graph of every other framework as torch operations."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import installed, missing
from multiprof_benchmark.subject import NATIVE, SYNTHESISED, Options, Subject

NEEDS = "no CUDA GPU here: it needs an NVIDIA GPU, its driver, and a build of torch for CUDA"


class Gpu(SubjectRunner):
    """a CUDA GPU through torch

    ``device`` is where it runs; the tests take the CPU, through the same code.
    """

    name = "gpu"

    def __init__(self, device: str = "cuda") -> None:
        self.device = device

    def available(self) -> str | None:
        absent = missing("torch", "torch")
        if absent or self.device == "cpu":
            return absent
        torch = import_module("torch")
        return None if torch.cuda.is_available() else NEEDS

    def routes(self, subject: Subject) -> tuple[str, ...]:
        if not installed("torch"):
            return ()
        native = subject.framework == "torch" and subject.form in ("torch", "python", "file", "live")
        return (NATIVE, SYNTHESISED) if native else (SYNTHESISED,)

    def modules(self, subject: Subject, route: str) -> tuple[str, ...]:
        return (f"multiprof_benchmark.sessions.{'torch' if route == NATIVE else 'lowered'}",)

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        session: Session
        if route == NATIVE:
            session = import_module("multiprof_benchmark.sessions.torch").TorchSession(
                subject, options, None, self.device
            )
        else:
            session = import_module("multiprof_benchmark.sessions.lowered").LoweredSession(
                subject, options, self.device
            )
        return session
