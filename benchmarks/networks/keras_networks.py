"""The networks in Keras: functions that return a model built for a batch of one, with random weights.

Those of keras.applications are Keras's own definitions (its ResNet-50 has its strides in the 1×1 convolutions).
"""

from __future__ import annotations

import keras
from keras import layers

IMAGE = (224, 224, 3)


def application(name: str) -> keras.Model:
    model = getattr(keras.applications, name)(weights=None, input_shape=IMAGE, classifier_activation=None)
    fixed = keras.Input(batch_shape=(1, *IMAGE), name="image")
    return keras.Model(fixed, model(fixed), name=name.lower())


def mobilenetv2() -> keras.Model:
    return application("MobileNetV2")


def resnet50() -> keras.Model:
    return application("ResNet50")


def efficientnet_b0() -> keras.Model:
    return application("EfficientNetB0")


class Token(layers.Layer):
    """The class token before the patches, and the positions added."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")
        self.positions = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), name="positions")

    def call(self, x: object) -> object:
        return keras.ops.concatenate([self.token, x], axis=1) + self.positions


def vit(width: int = 192, heads: int = 3, depth: int = 12) -> keras.Model:
    """ViT-Ti/16, pre-norm."""
    image = keras.Input(batch_shape=(1, *IMAGE), name="image")
    x = layers.Conv2D(width, 16, 16)(image)
    x = Token()(layers.Reshape((-1, width))(x))
    for _ in range(depth):
        normed = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(normed, normed)
        normed = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(normed))
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    return keras.Model(image, layers.Dense(1000)(x[:, 0]), name="vit")


def generator() -> keras.Model:
    """The generator of DCGAN."""
    noise = keras.Input(batch_shape=(1, 1, 1, 100), name="noise")
    x = noise
    for channels, stride, padding in ((512, 1, "valid"), (256, 2, "same"), (128, 2, "same"), (64, 2, "same")):
        x = layers.Conv2DTranspose(channels, 4, stride, padding, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(3, 4, 2, "same", use_bias=False, activation="tanh")(x)
    return keras.Model(noise, x, name="generator")


def lstm() -> keras.Model:
    """Two layers of 256 LSTM cells over 50 steps of 128 features."""
    steps = keras.Input(batch_shape=(1, 50, 128), name="steps")
    x = layers.LSTM(256)(layers.LSTM(256, return_sequences=True)(steps))
    return keras.Model(steps, layers.Dense(10)(x), name="lstm")


NETWORKS = {
    "mobilenetv2": mobilenetv2,
    "resnet50": resnet50,
    "efficientnet_b0": efficientnet_b0,
    "vit": vit,
    "generator": generator,
    "lstm": lstm,
}
