"""TensorFlow Lite: LiteRT's interpreter with XNNPACK, on a .tflite file or on one written from the Graph."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import missing
from multiprof_benchmark.subject import NATIVE, SYNTHESISED, Options, Subject


class TFLite(SubjectRunner):
    """TensorFlow Lite's interpreter (LiteRT) with XNNPACK"""

    name = "tflite"

    def available(self) -> str | None:
        return missing("ai_edge_litert", "tflite")

    def routes(self, subject: Subject) -> tuple[str, ...]:
        native = subject.framework == "tflite" and subject.form == "file"
        return (NATIVE, SYNTHESISED) if native else (SYNTHESISED,)

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        module = import_module("multiprof_benchmark.sessions.litert")
        session: Session = (module.LiteRTSession if route == NATIVE else module.SynthesisedSession)(subject, options)
        return session
