"""Builds networks in Keras, writes them as .tflite, and says what they cost by the shapes of their layers.

    python make_keras.py FOLDER

Run in a process of its own: the converter prints hundreds of lines and may crash. ``facts.json`` holds for every
network its macs, its values (learned ones and statistics), and the number of channels its norms have.
"""

from __future__ import annotations

import json
import os
import sys
from math import prod
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

STEPS, FEATURES, HIDDEN = 50, 128, 256


def resnet50() -> keras.Model:
    return keras.applications.ResNet50(weights=None)


def lstm() -> keras.Model:
    """Two bidirectional LSTMs, the sequences of both directions side by side between them."""
    x = sequence = keras.Input((STEPS, FEATURES), batch_size=1)
    for place in (1, 2):
        x = layers.Bidirectional(layers.LSTM(HIDDEN, return_sequences=True), name=f"lstm{place}")(x)
    return keras.Model(sequence, x)


def deconvolution() -> keras.Model:
    """8×8 to 16×16 to 32×32."""
    x = image = keras.Input((8, 8, 8), batch_size=1)
    x = layers.Conv2DTranspose(4, 4, strides=2, padding="same", name="up1")(x)
    x = layers.Conv2DTranspose(2, 4, strides=2, padding="same", name="up2")(x)
    return keras.Model(image, x)


def randomised(model: keras.Model) -> keras.Model:
    """Other values in every weight: equal ones would be stored once."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """The layers that hold weights themselves, those inside a Bidirectional too."""
    found: list[keras.Layer] = []
    for layer in model.layers:
        inside = [layer.forward_layer, layer.backward_layer] if isinstance(layer, layers.Bidirectional) else [layer]
        found += [part for part in inside if part.weights]
    return found


def macs(layer: keras.Layer) -> int:
    """Kernels are (k, k, C_i, C_o), those of a deconvolution (k, k, C_o, C_i), of a dense layer (C_i, C_o)."""
    if isinstance(layer, layers.BatchNormalization):
        return 0
    if isinstance(layer, layers.LSTM):
        return STEPS * 4 * HIDDEN * (layer.cell.kernel.shape[0] + HIDDEN)
    kernel = tuple(layer.kernel.shape)
    if isinstance(layer, layers.Conv2DTranspose):
        return prod(layer.input.shape[1:]) * prod(kernel[:3])
    return prod(layer.output.shape[1:]) * prod(kernel[:-1])


def facts(model: keras.Model) -> dict[str, int]:
    norms = [layer for layer in layers_of(model) if isinstance(layer, layers.BatchNormalization)]
    channels = sum(layer.gamma.shape[0] for layer in norms)
    assert all(len(layer.weights) == 4 for layer in norms)
    return {
        "macs": sum(macs(layer) for layer in layers_of(model)),
        "values": model.count_params(),  # learned values and running statistics
        "norm_channels": channels,
    }


def converted(model: keras.Model) -> bytes:
    """The model, its batch made 1 and its variables constants, as .tflite."""
    shape = (1, *model.inputs[0].shape[1:])
    function = tf.function(lambda x: model(x, training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(tf.TensorSpec(shape, tf.float32)))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())


def main() -> None:
    folder = Path(sys.argv[1])
    found = {}
    for build in (resnet50, lstm, deconvolution):
        model = randomised(build())
        (folder / f"{build.__name__}.tflite").write_bytes(converted(model))
        found[build.__name__] = facts(model)
    (folder / "facts.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
