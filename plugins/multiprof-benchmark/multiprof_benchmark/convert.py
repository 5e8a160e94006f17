"""A model through its framework's own converter to TensorFlow Lite, in a process of its own.

Converters print hundreds of lines, hold gigabytes, and some models make them crash.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from multiprof import MissingDependencyError, ModelError
from multiprof_benchmark.converters import CONVERTERS, ERROR, FILE
from multiprof_benchmark.process import command, ended
from multiprof_benchmark.runners.installed import missing
from multiprof_benchmark.subject import Job

CAP = 900.0  # seconds: the largest networks take minutes
SAID = 500  # characters of what a converter says; some say pages


def converted(folder: Path) -> Path:
    """The file made from the job in a folder.

    `MissingDependencyError` where its converter is not installed, `ModelError` in one line when that fails or crashes.
    """
    job = Job.read(folder)
    converter = CONVERTERS[job.subject.framework]
    absent = missing(converter.package, converter.extra)
    if absent:
        raise MissingDependencyError(f"converting a {job.subject.framework} model: {absent}")
    # TensorFlow's converter takes Keras models that run on TensorFlow
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    line = command(converter.module, str(folder))
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, errors="replace", timeout=CAP, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"the converter took longer than {CAP:.0f} s and was stopped") from None
    said = folder / ERROR
    if said.is_file():
        raise ModelError(f"the converter failed: {said.read_text(encoding='utf-8')[:SAID]}")
    if done.returncode or not (folder / FILE).is_file():
        raise ModelError(f"the converter {ended(done.returncode, done.stderr)}{_why(job, done.returncode)}")
    return folder / FILE


def _why(job: Job, code: int) -> str:
    """What is known of a crash: TensorFlow's calibration of a recurrent layer that it writes as a loop is one."""
    recurrent = any(row.op in ("lstm", "gru", "rnn") for row in job.subject.report.layers)
    if code < 0 and job.options.precision == "int8" and recurrent:
        return ": it cannot calibrate recurrent layers that it writes as loops; unroll them, or leave int8 out"
    return ""


__all__ = ["converted"]
