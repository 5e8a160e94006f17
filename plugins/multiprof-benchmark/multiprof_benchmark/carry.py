"""Makes a model able to travel to a worker: a path as it is, a live model as its framework's own file."""

from __future__ import annotations

import os
import pickletools
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multiprof import Inputs, InputsError, MultiprofError, TensorSpec
from multiprof.python_target import is_python_target
from multiprof_benchmark.subject import Subject


class CannotTravelError(MultiprofError):
    """The model cannot be written to a file; it may still be measured where it is."""


def carried(model: Any, inputs: Inputs | None, framework: str, report_path: Path, batch: int | None) -> Subject:
    """The model as a `Subject`; a live one is written beside the report. `CannotTravelError` says why it is not."""
    arguments = {} if inputs is None else call(inputs)
    if isinstance(model, str) and is_python_target(model):
        return Subject(report_path, framework, "python", model, batch, arguments)
    if isinstance(model, (str, os.PathLike)):
        path = Path(os.fspath(model)).expanduser().resolve()
        return Subject(report_path, framework, "file", str(path), batch, arguments)
    write = _WRITERS.get(framework)
    if write is None:
        raise CannotTravelError(f"a live {framework} model cannot be written to a file")
    try:
        path = write(model, report_path.parent)
    except CannotTravelError:
        raise
    except Exception as error:  # the framework's own, or the model's
        raise CannotTravelError(f"the model cannot be written to a file: {one_line(error)}") from error
    return Subject(report_path, framework, framework, str(path), batch, arguments)


def one_line(error: BaseException) -> str:
    """What an error says, as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def call(inputs: Inputs) -> dict[str, Any]:
    """The form of a call as JSON: tensors by their number among the graph's inputs, everything else as it is."""
    count = [0]
    tensors: dict[int, int] = {}  # a tensor that is given twice is one input

    def mark(value: Any) -> Any:
        if isinstance(value, TensorSpec) or hasattr(value, "shape"):
            number = count[0] if isinstance(value, TensorSpec) else tensors.setdefault(id(value), count[0])
            count[0] += number == count[0]
            return {"input": number}
        if isinstance(value, tuple):
            return {"tuple": [mark(item) for item in value]}
        if isinstance(value, list):
            return [mark(item) for item in value]
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                raise CannotTravelError("an argument is a dict with keys that are no strings, which cannot travel")
            return {"dict": {key: mark(item) for key, item in value.items()}}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise CannotTravelError(f"an argument is a {type(value).__name__}, which cannot travel")

    return {"args": [mark(value) for value in inputs.args], "kwargs": {k: mark(v) for k, v in inputs.kwargs.items()}}


def called(arguments: Mapping[str, Any], tensors: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call from its form (`call`) and the tensors; those alone where there is no form."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"input"}:
            return tensors[value["input"]]
        if isinstance(value, dict) and set(value) == {"tuple"}:
            return tuple(fill(item) for item in value["tuple"])
        if isinstance(value, dict) and set(value) == {"dict"}:
            return {key: fill(item) for key, item in value["dict"].items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        return value

    if not arguments:
        return list(tensors), {}
    try:
        args = [fill(item) for item in arguments["args"]]
        return args, {key: fill(item) for key, item in arguments["kwargs"].items()}
    except IndexError:
        raise InputsError("the model's graph has fewer inputs than the call has tensors") from None


def _torch(model: Any, folder: Path) -> Path:
    torch = sys.modules["torch"]
    path = folder / "model.pt"
    torch.save(model, path)
    home = _defined_in_main(path)
    if home:
        raise CannotTravelError(f"{home} is defined in the script that runs, where a worker cannot import it from")
    return path


def _defined_in_main(path: Path) -> str:
    """The first name of a file of torch.save that only the running script defines; empty where there is none."""
    with zipfile.ZipFile(path) as file:
        pickled = next(name for name in file.namelist() if name.endswith("/data.pkl"))
        for operation, argument, _ in pickletools.genops(file.read(pickled)):
            if operation.name == "GLOBAL" and str(argument).startswith("__main__ "):
                return str(argument).removeprefix("__main__ ")
    return ""


def _keras(model: Any, folder: Path) -> Path:
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    home = next((type(layer).__name__ for layer in layers if type(layer).__module__ == "__main__"), "")
    if home:
        raise CannotTravelError(f"{home} is defined in the script that runs, where a worker cannot import it from")
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

__all__ = ["CannotTravelError", "call", "called", "carried", "one_line"]
