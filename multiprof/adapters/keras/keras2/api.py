"""Which Keras 2 a model is of, and what of it no public name says."""

from __future__ import annotations

import sys
from typing import Any


def home(model: Any) -> Any:
    """The package (tf_keras, or tf.keras before 2.16) whose layer an object is; ``None`` where it is none's."""
    layer = layer_class(model)
    if layer is None:
        return None
    root = layer.__module__.partition(".")[0]
    # to 2.12 some public names of keras are found under tensorflow.keras alone
    return sys.modules["tensorflow"].keras if root == "keras" else sys.modules[root]


def layer_class(model: Any) -> Any:
    """The class Layer of the Keras 2 that a model is of: in ``engine.base_layer``, which Keras 3 has not."""
    for cls in type(model).__mro__:
        if cls.__name__ == "Layer" and cls.__module__.endswith(".engine.base_layer"):
            return cls
    return None


def version(keras: Any) -> str:
    """Its version, which tensorflow.keras does not have from 2.13 to 2.15: that of the package its layers are in."""
    return str(sys.modules[keras.layers.Layer.__module__.partition(".")[0]].__version__)


def backend(keras: Any) -> Any:
    """The module of Keras's functions, with those that its public one leaves out since 2.13."""
    return sys.modules[keras.layers.Layer.__module__].backend


def layers_of(model: Any) -> list[Any]:
    """The model or layer, and every layer under it."""
    return list(model._flatten_layers())


__all__ = ["backend", "home", "layer_class", "layers_of", "version"]
