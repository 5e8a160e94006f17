"""Model files that Keras 2 loads: .h5, and its own .keras. It runs code in an .h5 unasked, so that is looked for."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

from multiprof.adapters.keras.files import cannot_be_loaded, holds_code
from multiprof.adapters.keras.inside import has_code


def load(path: Path, trust: bool, keras: Any) -> Any:
    """The model in a file; raises `ModelError` where it cannot be made without running its own code."""
    try:
        code = not trust and has_code(path)
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


__all__ = ["load"]
