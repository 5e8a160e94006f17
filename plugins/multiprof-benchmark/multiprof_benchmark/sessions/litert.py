"""LiteRT's interpreter on a .tflite file, with XNNPACK, as it deploys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from time import perf_counter
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from multiprof import InputsError
from multiprof_benchmark import environment
from multiprof_benchmark.convert import converted
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.runners.base import Facts, Part
from multiprof_benchmark.sessions import litert_layers
from multiprof_benchmark.sessions.litert_heap import heap
from multiprof_benchmark.subject import CONVERTED, Job, Options, Subject

DELEGATE = "DELEGATE"  # what the interpreter calls operators that it has handed to XNNPACK
ASKED = "the threads are those asked for: this system does not tell how many there are"
SLOW = "XNNPACK runs none of it: this is not how LiteRT deploys"


class LiteRTSession:
    """A flatbuffer, loaded with so many threads; its inputs are random, in the range of their types."""

    def __init__(self, subject: Subject, options: Options, path: str = "") -> None:
        self.subject = subject
        self.options = options
        self.path = path or subject.model
        self.notes: tuple[str, ...] = ()
        threads, held = environment.thread_count(), heap()
        self.interpreter = Interpreter(self.path, num_threads=options.threads)
        shapes = [tuple(spec.shape) for spec in subject.report.graph.inputs]
        details = self.interpreter.get_input_details()
        own = [tuple(int(n) for n in detail["shape"]) for detail in details]
        if len(own) == len(shapes) and sorted(own) != sorted(shapes):  # a converter may have them in another order
            for detail, shape in zip(details, shapes, strict=True):
                if tuple(detail["shape"]) != shape:
                    self.interpreter.resize_tensor_input(detail["index"], shape)
        self.interpreter.allocate_tensors()
        self.threads = _more(environment.thread_count(), threads)  # started by it: that which calls it works too
        self.heap = _more(heap(), held)
        source = np.random.default_rng(0)
        self.values = {int(detail["index"]): _values(detail, source) for detail in self.interpreter.get_input_details()}
        for number, array in self.values.items():
            self.interpreter.set_tensor(number, array)

    def run(self) -> object:
        return self.interpreter.invoke()

    def per_layer(self, options: Options) -> Iterable[Part]:
        """Each layer's time; those of one operation are one group, and so are the operations of one layer."""
        details = self.interpreter.get_tensor_details()
        shapes = {detail["index"]: tuple(int(n) for n in detail["shape"]) for detail in details}
        parts, self.notes = litert_layers.parts(self.subject.report, self.path, self.values, shapes, options)
        return parts

    def facts(self) -> Facts:
        delegated = any(item["op_name"] == DELEGATE for item in _operators(self.interpreter))
        found = {"delegate": "XNNPACK" if delegated else "none", **environment.versions("ai-edge-litert", "numpy")}
        threads = self.options.threads if self.threads is None else 1 + self.threads
        notes = (*(() if delegated else (SLOW,)), *(() if self.threads is not None else (ASKED,)), *self.notes)
        return Facts("cpu", threads, found, notes, {} if self.heap is None else {"heap": self.heap})


class SynthesisedSession(LiteRTSession):
    """A flatbuffer written from the Graph, with random weights."""

    def __init__(self, subject: Subject, options: Options) -> None:
        flat = lower(subject.report, least=options.least, precision=options.precision)
        self.said = (f"synthesised: {flat.share}", *flat.notes)
        with NamedTemporaryFile(suffix=".tflite", delete=False, dir=subject.report_path.parent) as file:
            file.write(flat.data)
        del flat  # the interpreter reads the file: what it holds is measured
        super().__init__(subject, options, file.name)

    def facts(self) -> Facts:
        facts = super().facts()
        return replace(facts, notes=(*self.said, *facts.notes))


class ConvertedSession(LiteRTSession):
    """What a converter makes of the model."""

    def __init__(self, subject: Subject, options: Options) -> None:
        folder = Path(mkdtemp(dir=subject.report_path.parent))
        Job("tflite", CONVERTED, subject, options).write(folder)
        start = perf_counter()
        path = converted(folder)
        self.said = f"converting took {perf_counter() - start:.0f} s, which the time of loading includes"
        super().__init__(subject, options, str(path))

    def facts(self) -> Facts:
        facts = super().facts()
        return replace(facts, notes=(self.said, *facts.notes))

    def per_layer(self, options: Options) -> Iterable[Part]:
        """None: the layers of the file are not those of the model it was made from."""
        return []


def _operators(interpreter: Any) -> Sequence[Mapping[str, Any]]:
    """The interpreter's own list of what it runs, which another version may not give."""
    listed = getattr(interpreter, "_get_ops_details", None)
    return [{"op_name": DELEGATE}] if listed is None else listed()


def _more(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else max(now - before, 0)


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
