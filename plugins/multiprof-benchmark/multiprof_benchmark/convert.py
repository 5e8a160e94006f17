"""``python -m multiprof_benchmark.convert FOLDER``: a Keras model or a SavedModel through TensorFlow's converter.

It runs in a process of its own: converters print hundreds of lines, hold gigabytes, and some models make them crash.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multiprof import ModelError
from multiprof_benchmark.process import command
from multiprof_benchmark.subject import Job, Subject

FILE = "converted.tflite"
CAP = 900.0  # seconds: the largest networks take minutes
SAMPLES = 4  # random inputs to take the ranges of activations from
SOURCES = ("keras", "tensorflow")


def convertible(subject: Subject) -> bool:
    """Whether the converter takes such a model."""
    return subject.framework in SOURCES and subject.form in ("file", "keras", "tensorflow", "python")


def converted(folder: Path) -> Path:
    """The file made from the job in a folder; `ModelError` in one line when the converter fails or crashes."""
    line = command("multiprof_benchmark.convert", str(folder))
    try:
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=CAP, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(f"the converter took longer than {CAP:.0f} s and was stopped") from None
    if done.returncode or not (folder / FILE).is_file():
        last = done.stderr.strip().split("\n")[-1][-300:]
        how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"failed: {last}"
        raise ModelError(f"the converter {how}")
    return folder / FILE


def main(arguments: list[str]) -> int:
    import tensorflow as tf

    folder = Path(arguments[0])
    job = Job.read(folder)
    function = _function(tf, job)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    precision = job.options.precision
    if precision in ("fp16", "float16"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(job.subject)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    elif precision not in ("", "fp32", "float32"):
        raise SystemExit(f"precision {precision!r}: the converter makes fp32, fp16 and int8")
    (folder / FILE).write_bytes(converter.convert())
    return 0


def _function(tf: Any, job: Job) -> Any:
    """The model as a frozen function of a static batch: without that the converter leaves variables in the file."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = [tf.TensorSpec(spec.shape, spec.dtype, _plain(spec.name)) for spec in job.subject.report.graph.inputs]
    if job.subject.framework == "keras":
        from multiprof_benchmark.sessions.keras import loaded

        model = loaded(job.subject, job.options)
        call = tf.function(lambda *inputs: model(inputs[0] if len(inputs) == 1 else list(inputs), training=False))
        function = call.get_concrete_function(*specs)
    else:
        path = Path(job.subject.model)
        saved = tf.saved_model.load(str(path.parent if path.is_file() else path))
        key = str(job.subject.report.graph.metadata.get("signature") or "serving_default")
        signature = saved.signatures[key]
        names = list(signature.structured_input_signature[1])
        call = tf.function(lambda *inputs: signature(**dict(zip(names, inputs, strict=True))))
        function = call.get_concrete_function(*specs)
    return convert_variables_to_constants_v2(function)


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def _samples(subject: Subject) -> Iterator[list[Any]]:
    from multiprof_benchmark.examples import arrays

    for seed in range(SAMPLES):
        yield list(arrays(subject.report, seed).values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
