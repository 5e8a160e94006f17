"""The networks of Keras on TensorFlow as SavedModels, which hold operations in the place of its layers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_networks import CANNOT
from keras_networks import NETWORKS as LIVE

Built = tuple[Path, Any]


def saved(name: str) -> Callable[[], Built]:
    def build() -> Built:
        model, inputs = LIVE[name]()
        folder = Path(tempfile.mkdtemp())
        model.export(folder, verbose=False)
        if isinstance(inputs, list):
            inputs = {tensor.name: shape for tensor, shape in zip(model.inputs, inputs, strict=True)}
        return folder, inputs

    return build


NETWORKS: dict[str, Callable[[], Built]] = {name: saved(name) for name in LIVE}

__all__ = ["CANNOT", "NETWORKS"]
