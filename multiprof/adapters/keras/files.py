"""Model files of Keras, loaded on the backend at hand; code in them runs only where the caller trusts them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras

from multiprof.errors import ModelError

_LONG = 300  # characters of an error that are quoted


def load(path: Path, trust: bool) -> Any:
    """The model in a .keras or .h5 file; raises `ModelError` where it cannot be made without running its own code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the file was written
            return keras.models.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        text = str(error)
        if not trust and "lambda" in text.lower() and ("unsafe" in text or "safe_mode" in text):
            raise holds_code(path) from error
        raise cannot_be_loaded(path, error) from error


class NotLoadedError(ModelError):
    """This Keras cannot load the file; another might."""


def holds_code(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds Python code (a Lambda layer), which would run here: "
        "give trust=True (--trust on the command line) if you trust the file"
    )


def cannot_be_loaded(path: Path, error: Exception) -> NotLoadedError:
    text = " ".join(str(error).split()) or type(error).__name__
    return NotLoadedError(f"{path} cannot be loaded: {text[:_LONG]}")


__all__ = ["NotLoadedError", "cannot_be_loaded", "holds_code", "load"]
