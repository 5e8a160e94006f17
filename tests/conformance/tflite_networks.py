"""The networks of Keras as TensorFlow's converter writes them to .tflite files, in float32."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only one that can be converted

import numpy as np
import tensorflow as tf
from keras_networks import NETWORKS as KERAS
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

Built = tuple[Path, Any]

# With a batch of unknown size their loops cannot be converted: the batch is made static, and the variables constants.
LOOPS = ("bilstm", "gru")


def _converter(name: str, model: Any, inputs: Any) -> Any:
    if name not in LOOPS:
        return tf.lite.TFLiteConverter.from_keras_model(model)
    function = tf.function(lambda x: model(x, training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(tf.TensorSpec(inputs, tf.float32)))
    return tf.lite.TFLiteConverter.from_concrete_functions([frozen])


def _randomise(model: Any) -> None:
    """Other values in every weight: the converter drops a bias of zeros, and stores equal weights once."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))


def exported(name: str) -> Callable[[], Built]:
    def build() -> Built:
        model, inputs = KERAS[name]()
        _randomise(model)
        path = Path(tempfile.mkdtemp()) / f"{name}.tflite"
        path.write_bytes(_converter(name, model, inputs).convert())
        if isinstance(inputs, list):  # the converter does not keep their order
            inputs = {tensor.name: shape for tensor, shape in zip(model.inputs, inputs, strict=True)}
        return path, inputs

    return build


CANNOT: dict[str, str] = {"conv3d": "TFLite has no max pooling in three dimensions: the converter refuses MaxPool3D"}
NETWORKS: dict[str, Callable[[], Built]] = {name: exported(name) for name in KERAS if name not in CANNOT}
