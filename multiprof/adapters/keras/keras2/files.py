"""Model files that Keras 2 loads: .h5, and its own .keras. It runs code in an .h5 unasked, so that is looked for."""

from __future__ import annotations

import inspect
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py

from multiprof.adapters.keras.files import cannot_be_loaded, holds_code


def load(path: Path, trust: bool, keras: Any) -> Any:
    """The model in a file; raises `ModelError` where it cannot be made without running its own code."""
    try:
        code = not trust and _has_code(_configuration(path))
    except Exception as error:
        raise cannot_be_loaded(path, error) from error
    if code:
        raise holds_code(path)
    # safe_mode: since 2.13
    options = {"safe_mode": not trust} if "safe_mode" in inspect.signature(keras.models.load_model).parameters else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the file was written
            return keras.models.load_model(str(path), compile=False, **options)
    except Exception as error:
        raise cannot_be_loaded(path, error) from error


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


def _configuration(path: Path) -> Any:
    """How the layers were made: JSON, in an attribute of an HDF5 file or a member of a zip archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("it holds weights alone, and no model")
        return json.loads(file.attrs["model_config"])


def _has_code(configuration: Any) -> bool:
    """Whether Python's bytecode is anywhere in a configuration: a Lambda layer's function, or one in its place."""
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


__all__ = ["load", "written_by"]
