"""What TensorFlow's converter makes of a network of Keras in a .tflite file."""

from __future__ import annotations

from differences_keras import DIFFERENCES as KERAS
from expected import Difference


def folded(channels: int) -> Difference:
    """Of the two values and the two statistics of every channel of a norm, a bias is left."""
    return Difference(
        "the converter folds norms: of scale, shift, mean and variance of a channel its convolution keeps a bias",
        params=channels - 2 * channels,
        buffers=-2 * channels,
    )


def spelled_out(positions: int, n: int) -> Difference:
    """The layer of the vocabulary costs 2·n + 5·n + 2 at every position; `expected.layer_norm`."""
    means = 2 * ((n - 1) + 1)
    # ε, the root and −mean; x − mean and its square; γ·root, x·that, −mean·that, and two sums
    steps = 3 + 2 * n + 5 * n
    return Difference(
        "Keras's layer norm as the converter writes it multiplies x and −mean by γ/√(var + ε) each, and adds up",
        rest=positions * (means + steps - (2 * n + 5 * n + 2)),
    )


DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("resnet_stack", "tflite"): [folded(3 * 16 + 3 * 32)],
    ("mobilenetv2_block", "tflite"): [folded((96 + 96 + 16) + (96 + 96 + 24))],
    ("generator", "tflite"): [
        folded(32),
        Difference(
            "the first norm, behind a reshape, is a product with a scale and a sum with a shift, no statistics",
            buffers=-2 * 64,
        ),
    ],
    ("gru", "tflite"): KERAS["gru", "keras-tensorflow"],
    ("transformer_encoder", "tflite"): [spelled_out(2 * 2 * (2 * 16), 64)],
    ("mlp_mixer", "tflite"): [spelled_out((2 * 2 + 1) * 64, 64)],
    ("speech", "tflite"): [
        folded(64 + 128),
        Difference(
            "a convolution of TFLite always has a bias: that of the depthwise one is zeros",
            params=64,
            rest=100 * 64,
        ),
        Difference(
            "the dilated convolution gets a bias of zeros too, its own is added behind a reshape",
            params=128,
            rest=100 * 128,
        ),
    ],
}
