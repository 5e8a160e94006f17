"""Model files of Keras, loaded on the backend at hand; code in them runs only where the caller trusts them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import keras

from multiprof.adapters.keras.inside import has_code
from multiprof.errors import ModelError

_LONG = 300  # characters of an error that are quoted


def load(path: Path, trust: bool) -> Any:
    """The model in a .keras or .h5 file; raises `ModelError` where it cannot be made without running its own code."""
    if not trust and _is_hdf5(path):
        try:
            code = has_code(path)
        except Exception as error:
            raise cannot_be_loaded(path, error) from error
        if code:
            raise holds_code(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the file was written
            return keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        text = str(error)
        if not trust and "lambda" in text.lower() and ("unsafe" in text or "safe_mode" in text):
            raise holds_code(path) from error
        raise cannot_be_loaded(path, error) from error


def _is_hdf5(path: Path) -> bool:
    """By its signature; such a file of Keras 3 is of Keras 2's format, whose loader minds no safe mode before 3.12."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


class NotLoadedError(ModelError):
    """This Keras cannot load the file; another might."""


def holds_code(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds Python code (a Lambda layer), which would run here: "
        "give trust=True (--trust on the command line) if you trust the file"
    )


def cannot_be_loaded(path: Path, error: Exception) -> ModelError:
    """What is the matter, and what to do where that is known; Keras says it far down, after much that is not it."""
    text = " ".join(str(error).split()) or type(error).__name__
    said = " ".join(str(cause) for cause in _causes(error))
    unknown = re.search(r"(?:Could not locate (?:class|function)|Unknown \w+:) '([^']*)'", said)
    if unknown:
        return NotLoadedError(
            f"{path} cannot be loaded: it holds {unknown[1]!r}, which is not known here: import what registers it "
            "with @keras.saving.register_keras_serializable(), or load the model there and give it as file.py:callable"
        )
    if "No model config found" in said:
        return ModelError(
            f"{path} cannot be loaded: it holds weights or other data, and no model: give a file that model.save() "
            "wrote, or the model itself, as file.py:callable"
        )
    if path.suffix == ".keras" and not is_zipfile(path):
        return ModelError(f"{path} cannot be loaded: it is no .keras file, which is a zip archive, or not a whole one")
    return NotLoadedError(f"{path} cannot be loaded: {text[:_LONG]}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


__all__ = ["NotLoadedError", "cannot_be_loaded", "holds_code", "load"]
