"""LiteRT's interpreter on a .tflite file, with XNNPACK, as it deploys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from multiprof import InputsError
from multiprof_benchmark import environment
from multiprof_benchmark.convert import converted
from multiprof_benchmark.join import Join
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions.litert_slices import timed
from multiprof_benchmark.subject import CONVERTED, Job, Options, Subject

SLICED = "each operation's time is that of the operation alone, cut out of the file"


class LiteRTSession:
    """A flatbuffer, loaded with so many threads; its inputs are random, in the range of their types."""

    sliced = True  # single operations are timed

    def __init__(self, subject: Subject, options: Options, path: str = "") -> None:
        self.subject = subject
        self.options = options
        self.path = path or subject.model
        self.interpreter = Interpreter(self.path, num_threads=options.threads)
        shapes = [tuple(spec.shape) for spec in subject.report.graph.inputs]
        details = self.interpreter.get_input_details()
        if len(details) == len(shapes):
            for detail, shape in zip(details, shapes, strict=True):
                if tuple(detail["shape"]) != shape:
                    self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()
        source = np.random.default_rng(0)
        for detail in self.interpreter.get_input_details():
            self.interpreter.set_tensor(detail["index"], _values(detail, source))

    def run(self) -> object:
        return self.interpreter.invoke()

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Each operation alone; those of one layer are one group, as the layers that are one operation are."""
        details = self.interpreter.get_tensor_details()
        shapes = {detail["index"]: tuple(int(n) for n in detail["shape"]) for detail in details}
        found = timed(self.path, shapes, options.threads, options.rules)
        runs = min((len(times) for _, times in found), default=0)
        steps = [[(part.outputs[0], times[at]) for part, times in found] for at in range(runs)]
        return Join(self.subject.report, outputs=True).parts(steps)

    def facts(self) -> Facts:
        found = {"delegate": "XNNPACK", **environment.versions("ai-edge-litert", "numpy")}
        return Facts("cpu", self.options.threads, found, (SLICED,) if self.options.layers and self.sliced else ())


class SynthesisedSession(LiteRTSession):
    """A flatbuffer written from the Graph, with random weights."""

    def __init__(self, subject: Subject, options: Options) -> None:
        flat = lower(subject.report, least=options.least, precision=options.precision)
        self.flat = flat
        with NamedTemporaryFile(suffix=".tflite", delete=False, dir=subject.report_path.parent) as file:
            file.write(flat.data)
        super().__init__(subject, options, file.name)

    def facts(self) -> Facts:
        facts = super().facts()
        return replace(facts, notes=(f"synthesised: {self.flat.share}", *self.flat.notes, *facts.notes))


class ConvertedSession(LiteRTSession):
    """What TensorFlow's own converter makes of the model."""

    sliced = False

    def __init__(self, subject: Subject, options: Options) -> None:
        folder = Path(mkdtemp(dir=subject.report_path.parent))
        Job("tflite", CONVERTED, subject, options).write(folder)
        path = converted(folder)
        super().__init__(subject, options, str(path))

    def per_layer(self, options: Options) -> Iterable[Part]:
        """None: the layers of the file are not those of the model it was made from."""
        return []


def _values(detail: dict[str, Any], source: np.random.Generator) -> Any:
    """Random numbers for an input: normal ones, or small whole numbers, which are in range as indices too."""
    dtype = np.dtype(detail["dtype"])
    shape: tuple[int, ...] = tuple(detail["shape"])
    if dtype.kind == "f":
        return source.normal(size=shape).astype(dtype)
    if dtype.kind == "b":
        return np.ones(shape, dtype)
    if dtype.kind in "iu":
        low, high = (-127, 128) if dtype == np.int8 else (0, 256) if dtype == np.uint8 else (0, 2)
        return source.integers(low, high, shape).astype(dtype)
    raise InputsError(f"the input {detail['name']} is of {dtype}, for which no values can be drawn")


__all__ = ["ConvertedSession", "LiteRTSession", "SynthesisedSession"]
