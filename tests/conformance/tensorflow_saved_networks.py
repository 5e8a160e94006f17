"""The networks of raw TensorFlow as SavedModels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow_networks import CANNOT
from tensorflow_networks import NETWORKS as LIVE


def saved(name: str) -> Callable[[], tuple[Path, None]]:
    def build() -> tuple[Path, None]:
        net, _ = LIVE[name]()
        folder = Path(tempfile.mkdtemp())
        tf.saved_model.save(net, folder, signatures=net.function)
        return folder, None

    return build


NETWORKS = {name: saved(name) for name in LIVE}

__all__ = ["CANNOT", "NETWORKS"]
