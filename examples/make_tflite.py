"""Writes keywords_int8.tflite: a network that tells spoken words apart, trained on nothing, quantised to int8.

    pip install tensorflow-cpu==2.21.0 keras==3.15.1
    python examples/make_tflite.py [FOLDER]

It is DS-CNN, the keyword-spotting network of MLPerf Tiny (Banbury et al. 2021; Zhang et al. 2017, "Hello Edge"), from
49 frames of 10 features to 12 words: a 10×4 convolution, four depthwise separable blocks, an average pool and a
classifier. Weights and calibration data are random numbers from a fixed seed, so that the file is the same at every run
with these versions. The converter folds the batch norms and fuses the activations.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

FRAMES, FEATURES, WIDTH, WORDS = 49, 10, 64, 12


def ds_cnn() -> keras.Model:
    """The network in float32, with random weights and norm statistics."""
    x = sound = keras.Input((FRAMES, FEATURES, 1), batch_size=1, name="sound")
    x = layers.Conv2D(WIDTH, (10, 4), strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_norm")(x))
    for i in range(1, 5):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"block{i}_depthwise")(x)
        x = layers.ReLU(name=f"block{i}_relu1")(layers.BatchNormalization(name=f"block{i}_norm1")(x))
        x = layers.Conv2D(WIDTH, 1, use_bias=False, name=f"block{i}_pointwise")(x)
        x = layers.ReLU(name=f"block{i}_relu2")(layers.BatchNormalization(name=f"block{i}_norm2")(x))
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D((25, 5), name="pool")(x))
    x = layers.Softmax(name="softmax")(layers.Dense(WORDS, name="words")(x))
    model = keras.Model(sound, x, name="keywords")
    rng = np.random.default_rng(0)
    model.set_weights([value(rng, weight) for weight in model.weights])
    return model


def value(rng: np.random.Generator, weight: keras.Variable) -> np.ndarray:
    """Random values: as large as He et al. 2015 make a kernel's, near 1 for scales and variances, near 0 for others."""
    if weight.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, weight.shape)
    if "kernel" in weight.name:
        inputs = np.prod(weight.shape[:2]) if "depthwise" in weight.path else np.prod(weight.shape[:-1])
        return rng.normal(0, np.sqrt(2 / inputs), weight.shape)
    return rng.normal(0, 0.1, weight.shape)


def calibration() -> Iterator[list[np.ndarray]]:
    rng = np.random.default_rng(1)
    for _ in range(16):
        yield [rng.normal(size=(1, FRAMES, FEATURES, 1)).astype(np.float32)]


def convert(model: keras.Model) -> bytes:
    """The model as an int8 .tflite, inputs and outputs included."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    file = folder / "keywords_int8.tflite"
    file.write_bytes(convert(ds_cnn()))
    print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
