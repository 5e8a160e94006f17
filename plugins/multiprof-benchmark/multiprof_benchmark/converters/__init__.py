"""Converters to TensorFlow Lite, one module each, whose ``main([folder])`` reads a job and writes `FILE` or `ERROR`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from multiprof import MultiprofError, UsageError
from multiprof.blame import describe
from multiprof_benchmark.subject import Job, Subject

Convert = Callable[[Job, str], bytes]
FILE, ERROR = "converted.tflite", "error.txt"
SAMPLES = 4  # random inputs to take the ranges of activations from
FULL, HALF, INTEGER = "float32", "float16", "int8"
_NAMES = {"": FULL, "fp32": FULL, "float32": FULL, "fp16": HALF, "float16": HALF, "int8": INTEGER}


class Converter(NamedTuple):
    """The module that runs it, the package it needs, and the extra that installs that."""

    module: str
    package: str
    extra: str


TENSORFLOW = Converter("multiprof_benchmark.converters.tensorflow", "tensorflow", "tensorflow")
CONVERTERS = {
    "keras": TENSORFLOW,
    "tensorflow": TENSORFLOW,
    "torch": Converter("multiprof_benchmark.converters.torch", "litert_torch", "converter"),
}
FORMS = ("file", "keras", "tensorflow", "torch", "python")  # in which the model itself travels


def convertible(subject: Subject) -> bool:
    """Whether there is a converter for such a model, installed or not."""
    return subject.framework in CONVERTERS and subject.form in FORMS


def named(precision: str) -> str:
    """A precision by any of its names."""
    if precision not in _NAMES:
        raise UsageError(f"precision {precision!r}: converters to TensorFlow Lite make fp32, fp16 and int8")
    return _NAMES[precision]


def run(folder: str, convert: Convert) -> int:
    """Write what ``convert`` makes of the job in a folder, or in one line why it makes nothing."""
    place = Path(folder)
    try:
        job = Job.read(place)
        (place / FILE).write_bytes(convert(job, named(job.options.precision)))
    except Exception as error:  # the converter's own, or the model's
        said = str(error) if isinstance(error, MultiprofError) else describe(error)
        (place / ERROR).write_text(" ".join(said.split()), encoding="utf-8")
        return 1
    return 0


__all__ = ["CONVERTERS", "ERROR", "FILE", "FULL", "HALF", "INTEGER", "SAMPLES", "convertible", "named", "run"]
