"""The CPU: each framework's own best path where it is installed, else the Graph as torch operations."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark import own_precision
from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import installed, missing
from multiprof_benchmark.subject import NATIVE, SYNTHESISED, Options, Subject

# Framework → the module that must be there, the forms of a model it takes, and who runs it.
NATIVES = {
    "torch": ("torch", ("torch", "python", "file", "live"), "torch:TorchSession"),
    "onnx": ("onnxruntime", ("file",), "onnxruntime:OrtSession"),
    "tflite": ("ai_edge_litert", ("file",), "litert:LiteRTSession"),
    "keras": ("keras", ("file", "keras", "python", "live"), "keras:KerasSession"),
    "tensorflow": ("tensorflow", ("file", "tensorflow", "live"), "tensorflow:TensorFlowSession"),
    "mxnet": ("mxnet", ("file", "mxnet"), "mxnet:MXNetSession"),
}


class Cpu(SubjectRunner):
    """the framework itself on the CPU where it is installed, else its graph as torch operations"""

    name = "cpu"

    def available(self) -> str | None:
        if any(installed(module) for module, _, _ in NATIVES.values()):
            return None
        return missing("torch", "torch")

    def routes(self, subject: Subject) -> tuple[str, ...]:
        found = []
        module, forms, _ = NATIVES.get(subject.framework, ("", (), ""))
        if subject.form in forms and installed(module):
            found.append(NATIVE)
        if installed("torch"):
            found.append(SYNTHESISED)
        return tuple(found)

    def modules(self, subject: Subject, route: str) -> tuple[str, ...]:
        return (_where(subject, route)[0],)

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        if route == NATIVE and subject.framework != "torch":
            own_precision.check(subject.report, options.precision, subject.framework)
        module, name = _where(subject, route)
        session: Session = getattr(import_module(module), name)(subject, options)
        return session


def _where(subject: Subject, route: str) -> tuple[str, str]:
    """The module and the name of the session."""
    where = NATIVES[subject.framework][2] if route == NATIVE else "lowered:LoweredSession"
    module, _, name = where.partition(":")
    return f"multiprof_benchmark.sessions.{module}", name
