"""ONNX files in ONNX Runtime on the CPU."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark import own_precision
from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import missing
from multiprof_benchmark.subject import NATIVE, Options, Subject


class OnnxRuntime(SubjectRunner):
    """ONNX Runtime on the CPU, for ONNX files"""

    name = "onnxruntime"

    def available(self) -> str | None:
        return missing("onnxruntime", "onnx")

    def routes(self, subject: Subject) -> tuple[str, ...]:
        return (NATIVE,) if subject.framework == "onnx" and subject.form == "file" else ()

    def modules(self, subject: Subject, route: str) -> tuple[str, ...]:
        return ("multiprof_benchmark.sessions.onnxruntime",)

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        own_precision.check(subject.report, options.precision, self.name)
        session: Session = import_module("multiprof_benchmark.sessions.onnxruntime").OrtSession(subject, options)
        return session
