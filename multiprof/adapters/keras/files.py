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
        text = " ".join(str(error).split()) or type(error).__name__
        if not trust and "lambda" in text.lower() and ("unsafe" in text or "safe_mode" in text):
            raise ModelError(
                f"{path} holds Python code (a Lambda layer), which would run here: "
                "give trust=True (--trust on the command line) if you trust the file"
            ) from error
        raise ModelError(f"{path} cannot be loaded: {text[:_LONG]}") from error


__all__ = ["load"]
