"""TensorFlow Lite: LiteRT's interpreter with XNNPACK, on a .tflite file or on one written from the Graph."""

from __future__ import annotations

from importlib import import_module

from multiprof_benchmark import own_precision
from multiprof_benchmark.converters import convertible
from multiprof_benchmark.runners.base import Session, SubjectRunner
from multiprof_benchmark.runners.installed import missing
from multiprof_benchmark.subject import CONVERTED, NATIVE, SYNTHESISED, Options, Subject

SESSIONS = {NATIVE: "LiteRTSession", SYNTHESISED: "SynthesisedSession", CONVERTED: "ConvertedSession"}


class TFLite(SubjectRunner):
    """TensorFlow Lite's interpreter (LiteRT) with XNNPACK"""

    name = "tflite"

    def available(self) -> str | None:
        return missing("ai_edge_litert", "tflite")

    def routes(self, subject: Subject) -> tuple[str, ...]:
        if subject.framework == "tflite" and subject.form == "file":
            return NATIVE, SYNTHESISED
        # where the converter is not installed, it says what it needs
        return (SYNTHESISED, CONVERTED) if convertible(subject) else (SYNTHESISED,)

    def modules(self, subject: Subject, route: str) -> tuple[str, ...]:
        return ("multiprof_benchmark.sessions.litert",)

    def prepare(self, subject: Subject, options: Options, route: str) -> Session:
        if route == NATIVE:
            own_precision.check(subject.report, options.precision, self.name)
        module = import_module("multiprof_benchmark.sessions.litert")
        session: Session = getattr(module, SESSIONS[route])(subject, options)
        return session
