"""Keras models, SavedModels, frozen graphs and callables of TensorFlow, by TensorFlow's converter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from multiprof import ModelError
from multiprof_benchmark.converters import HALF, INTEGER, SAMPLES, run
from multiprof_benchmark.examples import arrays
from multiprof_benchmark.subject import Job, Subject


def main(arguments: list[str]) -> int:
    return run(arguments[0], convert)


def convert(job: Job, precision: str) -> bytes:
    """The file's bytes; 8-bit integers are calibrated on random inputs, and are what goes in and comes out."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_function(job)])
    if precision == HALF:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif precision == INTEGER:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(job.subject)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    made: bytes = converter.convert()
    return made


def _function(job: Job) -> Any:
    """The model as a frozen function of a static batch: without that the converter leaves variables in the file."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    graph = job.subject.report.graph
    frozen = _frozen(job)
    if frozen is not None:
        return frozen
    specs = [tf.TensorSpec(spec.shape, spec.dtype, _plain(spec.name)) for spec in graph.inputs]
    call = _call(job)  # kept until its variables are constants
    return convert_variables_to_constants_v2(tf.function(call).get_concrete_function(*specs))


def _call(job: Job) -> Callable[..., Any]:
    """The model as a function of the graph's inputs, in their order."""
    subject = job.subject
    if subject.framework == "keras":
        return _keras(job)
    if subject.form == "python":
        from multiprof.python_target import load_target

        kinds = (tf.Module, tf.types.experimental.Callable)
        model: Callable[..., Any] = load_target(subject.model, lambda item: isinstance(item, kinds)).model
        return model
    path = Path(subject.model)
    saved = tf.saved_model.load(str(path.parent if path.is_file() else path))
    key = str(subject.report.graph.metadata.get("signature") or "serving_default")
    if key not in saved.signatures:
        raise ModelError(f"the model has no signature {key!r}; it has {', '.join(saved.signatures) or 'none'}")
    names = list(saved.signatures[key].structured_input_signature[1])
    given = [spec.name for spec in subject.report.graph.inputs]
    names = given if set(given) == set(names) else names
    # through what was loaded: a signature alone does not keep its variables
    return lambda *inputs: saved.signatures[key](**dict(zip(names, inputs, strict=True)))


def _keras(job: Job) -> Callable[..., Any]:
    from multiprof_benchmark.sessions.keras import loaded

    model = loaded(job.subject, job.options)
    names = [spec.name for spec in job.subject.report.graph.inputs]
    structure = getattr(model, "input", None) if getattr(model, "built", False) else None

    def call(*inputs: Any) -> Any:
        if isinstance(structure, dict) and set(structure) == set(names):
            by_name = dict(zip(names, inputs, strict=True))
            return model({name: by_name[name] for name in structure}, training=False)
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return call


def _frozen(job: Job) -> Any:
    """The function of a frozen graph's file; ``None`` where the model is no such file."""
    path = Path(job.subject.model)
    if job.subject.framework != "tensorflow" or job.subject.form != "file":
        return None
    if not path.is_file() or path.name == "saved_model.pb":
        return None
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph_def, name=""), [])
    graph = job.subject.report.graph
    inputs, outputs = (
        [wrapped.graph.get_tensor_by_name(spec.name if ":" in spec.name else f"{spec.name}:0") for spec in specs]
        for specs in (graph.inputs, graph.outputs)
    )
    for tensor, spec in zip(inputs, graph.inputs, strict=True):
        tensor.set_shape(spec.shape)
    return wrapped.prune(inputs, outputs)


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def _samples(subject: Subject) -> Iterator[list[Any]]:
    for seed in range(SAMPLES):
        yield list(arrays(subject.report, seed).values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
