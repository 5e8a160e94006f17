"""Keras on any of its backends, live models and .keras and .h5 files, read through the backend's own adapter.

The package keras is Keras 3, or Keras 2 before TensorFlow 2.16; the package tf_keras is Keras 2 beside Keras 3.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from multiprof.errors import MissingDependencyError

try:
    import keras
except ImportError as error:
    raise MissingDependencyError(
        f"Keras cannot be imported: {error}; install the backend it is set to (tensorflow, jax or torch), "
        "or set KERAS_BACKEND to one that is installed"
    ) from error

if keras.__version__.startswith(("3.0.", "3.1.", "3.2.", "3.3.")):
    raise MissingDependencyError(f"Keras {keras.__version__} is older than what is read here: install keras>=3.4.1")

from multiprof.adapters.keras.keras2.api import home
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import Graph


def read(
    model: Any,
    inputs: Inputs | None,
    *,
    leaves: frozenset[str],
    trace: Trace,
    options: ReadOptions,
) -> Graph:
    """Read a model or layer of Keras, or a file of it; one of Keras 2 that Keras 3 cannot load is tf_keras's."""
    three = keras.__version__.partition(".")[0] != "2"
    if isinstance(model, Path):
        if not three:
            return _read_file_2(model, inputs, sys.modules["tensorflow"].keras, trace, options)
        from multiprof.adapters.keras.files import NotLoadedError
        from multiprof.adapters.keras.reader import read as read_3

        try:
            return read_3(model, inputs, leaves=leaves, trace=trace, options=options)
        except NotLoadedError as error:
            from multiprof.adapters.keras.inside import written_by

            if not written_by(model).startswith("2."):
                raise
            if importlib.util.find_spec("tf_keras") is None:
                raise NotLoadedError(f"{error}; Keras 2 wrote it: install tf_keras, which is Keras 2") from error
            import tf_keras

            return _read_file_2(model, inputs, tf_keras, trace, options)
    if home(model) is not None:
        from multiprof.adapters.keras.keras2.reader import read as read_2

        return read_2(model, inputs, trace=trace, options=options)
    from multiprof.adapters.keras.reader import read as read_3

    return read_3(model, inputs, leaves=leaves, trace=trace, options=options)


def _read_file_2(path: Path, inputs: Inputs | None, package: Any, trace: Trace, options: ReadOptions) -> Graph:
    from multiprof.adapters.keras.keras2.reader import read_file

    return read_file(path, inputs, package, trace=trace, options=options)


__all__ = ["read"]
