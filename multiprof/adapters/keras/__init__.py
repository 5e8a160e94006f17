"""Keras 3 on any of its backends, live models and .keras and .h5 files, read through the backend's own adapter."""

from multiprof.errors import MissingDependencyError

try:
    import keras as _keras  # noqa: F401  # what fails to load here is Keras's backend
except ImportError as error:
    raise MissingDependencyError(
        f"Keras cannot be imported: {error}; install the backend it is set to (tensorflow, jax or torch), "
        "or set KERAS_BACKEND to one that is installed"
    ) from error

from multiprof.adapters.keras.reader import read

__all__ = ["read"]
