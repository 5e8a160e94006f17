"""TensorFlow Lite: LiteRT's interpreter with XNNPACK, on a .tflite file."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import missing
from multiprof_benchmark.subject import NATIVE, Options, Subject


class TFLite(SubjectRunner):
    name = "tflite"

    def available(self) -> str | None:
        return missing("ai_edge_litert", "tflite")

    def routes(self, subject: Subject) -> tuple[str, ...]:
        return (NATIVE,) if subject.framework == "tflite" and subject.form == "file" else ()

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        session: Session = import_module("multiprof_benchmark.sessions.litert").LiteRTSession(subject, options)
        return session
