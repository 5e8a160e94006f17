"""How a model comes to its worker: its batch, its file, or its graph alone where it cannot leave this process."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import multiprof
from multiprof import Inputs, Report, TensorSpec, UsageError
from multiprof.inputs import as_inputs
from multiprof.python_target import is_python_target, load_target
from multiprof_benchmark import in_process
from multiprof_benchmark.carry import CannotTravelError, call, carried
from multiprof_benchmark.subject import Subject


def brought(model: Any, inputs: Inputs | None, report: Report, path: Path, batch: int | None) -> Subject:
    """The model as a worker finds it, or as it stays here; its report is at ``path``."""
    try:
        return carried(model, inputs, report.framework, path, batch)
    except CannotTravelError as error:
        reason = str(error)
    if report.framework in in_process.NATIVE_FRAMEWORKS:
        with contextlib.suppress(CannotTravelError):  # the arguments, too, are only known here
            arguments = {} if inputs is None else call(inputs)
            return Subject(path, report.framework, "live", "", batch, arguments, (reason,), model)
    return as_graph(Subject(path, report.framework, "live", "", batch, {}, (reason,), model))


def as_graph(subject: Subject) -> Subject:
    """The graph alone of a model that stays in this process; any other as it is."""
    if subject.live is None:
        return subject
    note = f"the model itself stays here, and its graph is what runs: {subject.notes[0]}"
    return replace(subject, form="", notes=(note,), live=None)


def resized(model: Any, inputs: Inputs | None, batch: int, reading: Mapping[str, Any]) -> Inputs:
    """The inputs in another batch size: what has the leading dimension of the first tensor gets another one. They are
    those of the model itself where none are given.
    """
    if inputs is None and isinstance(model, str) and is_python_target(model):
        inputs = as_inputs(load_target(model, _is_no_maker).inputs)
    if inputs is None:
        graph = multiprof.analyze(model, None, **reading).graph
        inputs = Inputs(**{spec.name: TensorSpec(spec.shape, spec.dtype) for spec in graph.inputs})
    declared: list[int | None] = []

    def resize(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: resize(item) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(resize, value))
        if isinstance(value, (list, tuple)):
            return type(value)(resize(item) for item in value)
        if hasattr(value, "shape") and not isinstance(value, TensorSpec):
            # values make no difference to the time, and a worker draws its own
            value = TensorSpec(tuple(value.shape), _dtype(value))
        if not isinstance(value, TensorSpec) or not value.shape:
            return value
        declared.append(value.shape[0])
        return TensorSpec((batch, *value.shape[1:]), value.dtype) if value.shape[0] == declared[0] else value

    args = [resize(item) for item in inputs.args]  # before the keywords: the first tensor is the measure
    resized = Inputs(*args, **{key: resize(item) for key, item in inputs.kwargs.items()})
    if not declared:
        raise UsageError(f"batch {batch}: the model has no input whose leading dimension could be one")
    return resized


def _is_no_maker(item: Any) -> bool:
    """Whether a Python name is a model already: neither a function nor a class, which are called to make one."""
    return not (inspect.isroutine(item) or inspect.isclass(item))


def _dtype(tensor: Any) -> str:
    """``float32`` for ``torch.float32``, numpy's, TensorFlow's or JAX's alike."""
    dtype = tensor.dtype
    return str(getattr(dtype, "name", dtype)).removeprefix("torch.")


__all__ = ["as_graph", "brought", "resized"]
