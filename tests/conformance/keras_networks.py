"""The conformance networks in Keras, channels last, on whichever backend the process has chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

Built = tuple[keras.Model, Any]


def lenet() -> Built:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10),
        ],
        name="lenet",
    )
    return model, (1, 28, 28, 1)


def _conv_norm(x: Any, channels: int, kernel: int, strides: int = 1, activation: str | None = "relu") -> Any:
    x = layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return x if activation is None else layers.Activation(activation)(x)


def _basic_block(x: Any, channels: int, strides: int) -> Any:
    inner = _conv_norm(_conv_norm(x, channels, 3, strides), channels, 3, activation=None)
    shortcut = x if strides == 1 else _conv_norm(x, channels, 1, strides, activation=None)
    return layers.ReLU()(layers.Add()([inner, shortcut]))


def resnet_stack() -> Built:
    image = keras.Input((32, 32, 3))
    x = _conv_norm(image, 16, 3)
    x = _basic_block(x, 16, 1)
    x = _basic_block(x, 32, 2)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10)(x), name="resnet_stack"), (2, 32, 32, 3)


def _inverted_residual(x: Any, channels: int, strides: int) -> Any:
    inner = _conv_norm(x, 96, 1, activation="relu6")
    inner = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(inner)
    inner = layers.BatchNormalization()(inner)
    inner = layers.ReLU(6.0)(inner)
    inner = _conv_norm(inner, channels, 1, activation=None)
    return layers.Add()([x, inner]) if strides == 1 else inner


def mobilenetv2_block() -> Built:
    image = keras.Input((28, 28, 16))
    x = _inverted_residual(image, 16, 1)
    x = _inverted_residual(x, 24, 2)
    return keras.Model(image, x, name="mobilenetv2_block"), (1, 28, 28, 16)


def inception() -> Built:
    x = image = keras.Input((14, 14, 192))

    def conv(x: Any, channels: int, kernel: int) -> Any:
        return layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)

    branches = [
        conv(x, 64, 1),
        conv(conv(x, 96, 1), 128, 3),
        conv(conv(x, 16, 1), 32, 5),
        conv(layers.MaxPooling2D(3, strides=1, padding="same")(x), 32, 1),
    ]
    return keras.Model(image, layers.Concatenate()(branches), name="inception"), (1, 14, 14, 192)


def generator() -> Built:
    model = keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(4 * 4 * 64, use_bias=False),
            layers.Reshape((4, 4, 64)),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"),
        ],
        name="generator",
    )
    return model, (2, 100)


def grouped_deconvolution() -> Built:
    """Keras's Conv2DTranspose has no groups: each group is a layer of its own, on its share of the channels."""
    image = keras.Input((8, 8, 16))
    parts = [
        layers.Conv2DTranspose(8, 4, strides=2, padding="same")(image[..., first : first + 4])
        for first in range(0, 16, 4)
    ]
    x = layers.ReLU()(layers.Concatenate()(parts))
    x = layers.Conv2D(8, 3, padding="same", groups=4)(x)
    return keras.Model(image, x, name="grouped_deconvolution"), (1, 8, 8, 16)


def fcn_head() -> Built:
    features, skip = keras.Input((12, 12, 64), name="features"), keras.Input((24, 24, 32), name="skip")
    x = layers.Conv2D(128, 3, padding="same", activation="relu")(features)
    x = layers.Dropout(0.5)(x)
    x = layers.Conv2D(21, 1)(x)
    x = layers.Conv2DTranspose(21, 4, strides=2, padding="same", use_bias=False)(x)
    x = layers.Add()([x, layers.Conv2D(21, 1)(skip)])
    x = layers.Conv2DTranspose(21, 16, strides=8, padding="same", use_bias=False)(x)
    return keras.Model([features, skip], x, name="fcn_head"), [(1, 12, 12, 64), (1, 24, 24, 32)]


def bilstm() -> Built:
    model = keras.Sequential(
        [
            keras.Input((12, 40)),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
            layers.Dense(10),
        ],
        name="bilstm",
    )
    return model, (2, 12, 40)


def gru() -> Built:
    return keras.Sequential([keras.Input((15, 32)), layers.GRU(48), layers.Dense(5)], name="gru"), (2, 15, 32)


def transformer_encoder() -> Built:
    x = tokens = keras.Input((16, 64))
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(num_heads=4, key_dim=16)(x, x))
        inner = layers.Dense(64)(layers.Dense(128, activation="relu")(x))
        x = layers.LayerNormalization()(x + inner)
    return keras.Model(tokens, x, name="transformer_encoder"), (2, 16, 64)


def mlp_mixer() -> Built:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(64, 4, strides=4)(image)
    x = layers.Reshape((64, 64))(x)
    for _ in range(2):
        mixed = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        mixed = layers.Dense(64)(layers.Dense(32, activation="gelu")(mixed))
        x = x + layers.Permute((2, 1))(mixed)
        mixed = layers.LayerNormalization()(x)
        x = x + layers.Dense(64)(layers.Dense(128, activation="gelu")(mixed))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(image, layers.Dense(10)(x), name="mlp_mixer"), (1, 32, 32, 3)


def conv3d() -> Built:
    model = keras.Sequential(
        [
            keras.Input((8, 32, 32, 1)),
            layers.Conv3D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling3D(2),
            layers.Conv3D(16, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(5),
        ],
        name="conv3d",
    )
    return model, (1, 8, 32, 32, 1)


def speech() -> Built:
    model = keras.Sequential(
        [
            keras.Input((100, 40)),
            layers.Conv1D(64, 5, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SeparableConv1D(128, 9, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv1D(128, 3, dilation_rate=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(12),
        ],
        name="speech",
    )
    return model, (1, 100, 40)


NETWORKS: dict[str, Callable[[], Built]] = {
    build.__name__: build
    for build in (
        lenet, resnet_stack, mobilenetv2_block, inception, generator, grouped_deconvolution, fcn_head, bilstm, gru,
        transformer_encoder, mlp_mixer, conv3d, speech,
    )
}  # fmt: skip
CANNOT: dict[str, str] = {}
