"""What a model file of Keras says of itself, read as plain data: nothing of it is made or run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py


def written_by(path: Path) -> str:
    """The version of Keras that wrote a file; empty where nothing says."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json"))["keras_version"])
        with h5py.File(path, "r") as file:
            return str(file.attrs["keras_version"])
    except (OSError, KeyError, TypeError, ValueError):
        return ""


def has_code(path: Path) -> bool:
    """Whether Python's bytecode is in a file: the function of a Lambda layer, or one in its place.

    Keras 2 runs that of an .h5 file unasked, and so does Keras 3 at first. Raises `Exception` of any kind where the
    file is none of a model.
    """
    return _has_code(_configuration(path))


def _configuration(path: Path) -> Any:
    """How the layers were made: JSON, in an attribute of an HDF5 file or a member of a zip archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("No model config found in the file")
        return json.loads(file.attrs["model_config"])


def _has_code(configuration: Any) -> bool:
    waiting = [configuration]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.get("class_name") == "__lambda__" or "lambda" in [
                v for k, v in item.items() if k.endswith("_type")
            ]:
                return True
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False


__all__ = ["has_code", "written_by"]
