"""Makes a model able to travel to a worker: a path as it is, a live model as its framework's own file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multiprof import Inputs, MultiprofError, TensorSpec
from multiprof_benchmark.subject import Subject


class CannotTravelError(MultiprofError):
    """The model cannot be written to a file; it may still be measured where it is."""


def carried(model: Any, inputs: Inputs | None, framework: str, report_path: Path, batch: int | None) -> Subject:
    """The model as a `Subject`; a live one is written beside the report. `CannotTravelError` says why it is not."""
    arguments = {} if inputs is None else call(inputs)
    if isinstance(model, str) and ":" in model and not Path(model).exists():
        return Subject(report_path, framework, "python", model, batch, arguments)
    if isinstance(model, (str, Path)):
        return Subject(report_path, framework, "file", str(Path(model).expanduser().resolve()), batch, arguments)
    write = _WRITERS.get(framework)
    if write is None:
        raise CannotTravelError(f"a live {framework} model cannot be written to a file")
    try:
        path = write(model, report_path.parent)
    except Exception as error:  # the framework's own, or the model's
        raise CannotTravelError(f"the model cannot be written to a file: {one_line(error)}") from error
    return Subject(report_path, framework, framework, str(path), batch, arguments)


def one_line(error: BaseException) -> str:
    """What an error says, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def call(inputs: Inputs) -> dict[str, Any]:
    """The form of a call as JSON: tensors by their number among the graph's inputs, everything else as it is."""
    seen = [0]

    def mark(value: Any) -> Any:
        if isinstance(value, TensorSpec) or hasattr(value, "shape"):
            seen[0] += 1
            return {"input": seen[0] - 1}
        if isinstance(value, tuple):
            return {"tuple": [mark(item) for item in value]}
        if isinstance(value, list):
            return [mark(item) for item in value]
        if isinstance(value, Mapping):
            return {"dict": {key: mark(item) for key, item in value.items()}}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise CannotTravelError(f"an argument is a {type(value).__name__}, which cannot travel")

    return {"args": [mark(value) for value in inputs.args], "kwargs": {k: mark(v) for k, v in inputs.kwargs.items()}}


def _torch(model: Any, folder: Path) -> Path:
    torch = sys.modules["torch"]
    path = folder / "model.pt"
    torch.save(model, path)
    return path


def _keras(model: Any, folder: Path) -> Path:
    path = folder / "model.keras"
    model.save(path)
    return path


def _tensorflow(model: Any, folder: Path) -> Path:
    path = folder / "saved"
    sys.modules["tensorflow"].saved_model.save(model, str(path))
    return path


def _mxnet(model: Any, folder: Path) -> Path:
    path = folder / "model"
    if hasattr(model, "export"):
        model.export(str(path), 0)
        return folder / "model-symbol.json"
    model.save(str(folder / "model-symbol.json"))
    return folder / "model-symbol.json"


_WRITERS = {"torch": _torch, "keras": _keras, "tensorflow": _tensorflow, "mxnet": _mxnet}

__all__ = ["CannotTravelError", "call", "carried", "one_line"]
