"""What the thirteen networks cost, worked by hand, with every factor written out.

A number stands here as its closed form: output elements × contracted size for a convolution, |x|·K·C_o/G for a
deconvolution, positions × inputs × outputs for a dense layer, N·heads·L_q·L_k·(D_k + D_v) for attention and
steps × gates × H·(C_i + H) for a recurrent layer. The networks themselves are described in README.md beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Expected:
    """What a network costs in every framework.

    ``macs`` by family, where matmul and attention are one family and families that a network lacks are left out;
    ``params`` are elements of learned weights, each gate of a recurrent layer with one bias; ``buffers`` are running
    statistics; ``rest`` are the FLOPs besides those of the multiply-adds, by what makes them.
    """

    macs: Mapping[str, int]
    params: int
    buffers: int
    rest: Mapping[str, int]


@dataclass(frozen=True)
class Difference:
    """By how much, and why, a network differs on one route: amounts to add to those of `Expected`.

    ``rest`` is what the FLOPs differ by besides 2·macs.
    """

    reason: str
    macs: Mapping[str, int] = field(default_factory=dict)
    params: int = 0
    buffers: int = 0
    rest: int = 0


def average(n: int) -> int:
    """FLOPs of the mean of n elements: n − 1 additions and a division."""
    return (n - 1) + 1


def layer_norm(n: int) -> int:
    """FLOPs of a layer norm over n elements, with scale and shift.

    Two means (of the elements, of their squared distances), then n distances, squares, products with 1/σ, scales and
    shifts, and once the epsilon and the root.
    """
    return 2 * average(n) + 5 * n + 1 + 1


def softmax(n: int) -> int:
    """FLOPs of a softmax over n elements: their maximum, n differences, exponentials, their sum, n divisions."""
    return (n - 1) + n + n + (n - 1) + n


# an LSTM cell, per unit: four sums of two products, three sigmoids of 4, a tanh; 3 products, a sum, a tanh; four biases
LSTM_UNIT = (4 + 3 * 4 + 1) + (3 + 1 + 1)
LSTM_BIASES = 4
# a GRU cell, per unit: three sums of two products, two sigmoids, a product, a tanh; 2 sums, 2 products; three biases
GRU_UNIT = (3 + 2 * 4 + 1 + 1) + (2 + 2)
GRU_BIASES = 3
GELU = 5  # by erf: 3 products, a sum, erf

EXPECTED: dict[str, Expected] = {
    # 28×28×1 → 28×28×6 → 14×14×6 → 10×10×16 → 5×5×16 = 400 → 120 → 84 → 10
    "lenet": Expected(
        macs={
            "convolution": 28 * 28 * 6 * (5 * 5 * 1) + 10 * 10 * 16 * (5 * 5 * 6),
            "linear": 400 * 120 + 120 * 84 + 84 * 10,
        },
        params=(5 * 5 * 1 * 6 + 6) + (5 * 5 * 6 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10),
        buffers=0,
        rest={
            "bias": 28 * 28 * 6 + 10 * 10 * 16 + 120 + 84 + 10,
            "tanh": 28 * 28 * 6 + 10 * 10 * 16 + 120 + 84,
            "average pool": 14 * 14 * 6 * average(2 * 2) + 5 * 5 * 16 * average(2 * 2),
        },
    ),
    # batch 2: stem 32×32×16, a block of the same, a block 16×16×32 with a 1×1 shortcut, the mean of 16×16, 10 classes
    "resnet_stack": Expected(
        macs={
            "convolution": 2
            * (
                32 * 32 * 16 * (3 * 3 * 3)
                + 2 * (32 * 32 * 16 * (3 * 3 * 16))
                + 16 * 16 * 32 * (3 * 3 * 16)
                + 16 * 16 * 32 * (3 * 3 * 32)
                + 16 * 16 * 32 * (1 * 1 * 16)
            ),
            "linear": 2 * 32 * 10,
        },
        params=3 * 3 * 3 * 16
        + 2 * (3 * 3 * 16 * 16)
        + (3 * 3 * 16 * 32 + 3 * 3 * 32 * 32 + 16 * 32)
        + 2 * (3 * 16 + 3 * 32)  # scale and shift of three norms of 16 channels and three of 32
        + (32 * 10 + 10),
        buffers=2 * (3 * 16 + 3 * 32),
        rest={
            "folded norms": 2 * (3 * 32 * 32 * 16 + 3 * 16 * 16 * 32),
            "relu": 2 * (3 * 32 * 32 * 16 + 2 * 16 * 16 * 32),  # the second block's shortcut has none
            "residual": 2 * (32 * 32 * 16 + 16 * 16 * 32),
            "global average pool": 2 * 32 * average(16 * 16),
            "bias": 2 * 10,
        },
    ),
    # two inverted residuals, the second of stride 2: its expansion is paid at 28×28
    "mobilenetv2_block": Expected(
        macs={
            "convolution": (28 * 28 * 96 * 16 + 28 * 28 * 96 * (3 * 3) + 28 * 28 * 16 * 96)
            + (28 * 28 * 96 * 16 + 14 * 14 * 96 * (3 * 3) + 14 * 14 * 24 * 96),
        },
        params=(16 * 96 + 3 * 3 * 96 + 96 * 16 + 2 * (96 + 96 + 16))
        + (16 * 96 + 3 * 3 * 96 + 96 * 24 + 2 * (96 + 96 + 24)),
        buffers=2 * (96 + 96 + 16) + 2 * (96 + 96 + 24),
        rest={
            "folded norms": 28 * 28 * (96 + 96 + 16) + 28 * 28 * 96 + 14 * 14 * (96 + 24),
            "relu6": 2 * (28 * 28 * (96 + 96) + 28 * 28 * 96 + 14 * 14 * 96),
            "residual": 28 * 28 * 16,
        },
    ),
    # GoogLeNet (3a): 64 + 128 + 32 + 32 channels out, by way of 96 and 16
    "inception": Expected(
        macs={
            "convolution": 14
            * 14
            * (64 * 192 + 96 * 192 + 128 * (3 * 3 * 96) + 16 * 192 + 32 * (5 * 5 * 16) + 32 * 192),
        },
        params=(64 * 192 + 64)
        + (96 * 192 + 96)
        + (128 * 3 * 3 * 96 + 128)
        + (16 * 192 + 16)
        + (32 * 5 * 5 * 16 + 32)
        + (32 * 192 + 32),
        buffers=0,
        rest={
            "bias": 14 * 14 * (64 + 96 + 128 + 16 + 32 + 32),
            "relu": 14 * 14 * (64 + 96 + 128 + 16 + 32 + 32),
            "max pool": 14 * 14 * 192 * (3 * 3 - 1),
        },
    ),
    # batch 2: 100 → 4×4×64 → 8×8×32 → 16×16×3; a deconvolution is paid for its input
    "generator": Expected(
        macs={
            "linear": 2 * 100 * (4 * 4 * 64),
            "deconvolution": 2 * ((4 * 4 * 64) * (4 * 4) * 32 + (8 * 8 * 32) * (4 * 4) * 3),
        },
        params=100 * 4 * 4 * 64 + 2 * 64 + 4 * 4 * 64 * 32 + 2 * 32 + (4 * 4 * 32 * 3 + 3),
        buffers=2 * 64 + 2 * 32,
        rest={
            "norm": 2 * (4 * 4 * 64) * 2,  # of channels that the dense layer does not know: a product and a sum
            "folded norm": 2 * (8 * 8 * 32),
            "relu": 2 * (4 * 4 * 64 + 8 * 8 * 32),
            "bias": 2 * (16 * 16 * 3),
            "tanh": 2 * (16 * 16 * 3),
        },
    ),
    # 8×8×16 → 16×16×32 → 16×16×8, both in four groups
    "grouped_deconvolution": Expected(
        macs={
            "deconvolution": (8 * 8 * 16) * (4 * 4) * (32 // 4),
            "convolution": 16 * 16 * 8 * (3 * 3 * (32 // 4)),
        },
        params=(4 * 4 * 16 * (32 // 4) + 32) + (3 * 3 * (32 // 4) * 8 + 8),
        buffers=0,
        rest={"bias": 16 * 16 * 32 + 16 * 16 * 8, "relu": 16 * 16 * 32},
    ),
    # 12×12×64 → 128 → 21 classes, up to 24×24, plus the skip's 21, up to 192×192
    "fcn_head": Expected(
        macs={
            "convolution": 12 * 12 * 128 * (3 * 3 * 64) + 12 * 12 * 21 * 128 + 24 * 24 * 21 * 32,
            "deconvolution": (12 * 12 * 21) * (4 * 4) * 21 + (24 * 24 * 21) * (16 * 16) * 21,
        },
        params=(3 * 3 * 64 * 128 + 128) + (128 * 21 + 21) + (32 * 21 + 21) + 4 * 4 * 21 * 21 + 16 * 16 * 21 * 21,
        buffers=0,
        rest={
            "bias": 12 * 12 * 128 + 12 * 12 * 21 + 24 * 24 * 21,
            "relu": 12 * 12 * 128,
            "sum with the skip": 24 * 24 * 21,
        },
    ),
    # batch 2, 12 steps: 40 → 2·64 → 2·64, then 10 at every step
    "bilstm": Expected(
        macs={
            "recurrent": 2 * 12 * (2 * 4 * 64 * (40 + 64) + 2 * 4 * 64 * (2 * 64 + 64)),
            "linear": 2 * 12 * (2 * 64) * 10,
        },
        params=2 * (4 * 64 * (40 + 64) + 4 * 64) + 2 * (4 * 64 * (2 * 64 + 64) + 4 * 64) + (2 * 64 * 10 + 10),
        buffers=0,
        rest={"cells": 2 * 12 * 2 * 2 * 64 * (LSTM_UNIT + LSTM_BIASES), "bias": 2 * 12 * 10},
    ),
    # batch 2, 15 steps: 32 → 48, then 5 from the last state
    "gru": Expected(
        macs={"recurrent": 2 * 15 * 3 * 48 * (32 + 48), "linear": 2 * 48 * 5},
        params=(3 * 48 * (32 + 48) + 3 * 48) + (48 * 5 + 5),
        buffers=0,
        rest={"cells": 2 * 15 * 48 * (GRU_UNIT + GRU_BIASES), "bias": 2 * 5},
    ),
    # batch 2, 16 positions of 64, twice: q, k, v, out; 4 heads of 16; 64 → 128 → 64
    "transformer_encoder": Expected(
        macs={
            "linear": 2 * (2 * 16) * (4 * 64 * 64 + 64 * 128 + 128 * 64),
            "attention": 2 * (2 * 4 * 16 * 16 * (16 + 16)),
        },
        params=2 * (4 * (64 * 64 + 64) + (64 * 128 + 128) + (128 * 64 + 64) + 2 * (64 + 64)),
        buffers=0,
        rest={
            "bias": 2 * (2 * 16) * (4 * 64 + 128 + 64),
            "scale": 2 * (2 * 4 * 16 * 16),
            "softmax": 2 * (2 * 4 * 16 * softmax(16)),
            "residual": 2 * 2 * (2 * 16 * 64),
            "relu": 2 * (2 * 16 * 128),
            "layer norm": 2 * 2 * (2 * 16 * layer_norm(64)),
        },
    ),
    # 8×8 = 64 tokens of 64 channels; tokens through 32, channels through 128, twice; then 10 classes of their mean
    "mlp_mixer": Expected(
        macs={
            "convolution": 8 * 8 * 64 * (4 * 4 * 3),
            "linear": 2 * (64 * (64 * 32 + 32 * 64) + 64 * (64 * 128 + 128 * 64)) + 64 * 10,
        },
        params=(4 * 4 * 3 * 64 + 64)
        + 2 * (2 * (64 + 64) + (64 * 32 + 32) + (32 * 64 + 64) + (64 * 128 + 128) + (128 * 64 + 64))
        + (64 + 64)
        + (64 * 10 + 10),
        buffers=0,
        rest={
            "bias": 8 * 8 * 64 + 2 * (64 * (32 + 64) + 64 * (128 + 64)) + 10,
            "gelu": 2 * (64 * 32 * GELU + 64 * 128 * GELU),
            "residual": 2 * 2 * (64 * 64),
            "layer norm": (2 * 2 + 1) * (64 * layer_norm(64)),
            "mean over tokens": 64 * average(64),
        },
    ),
    # 8×32×32×1 → 8 channels → 4×16×16×8 → 16 channels → their mean → 5
    "conv3d": Expected(
        macs={
            "convolution": 8 * 32 * 32 * 8 * (3 * 3 * 3 * 1) + 4 * 16 * 16 * 16 * (3 * 3 * 3 * 8),
            "linear": 16 * 5,
        },
        params=(3 * 3 * 3 * 1 * 8 + 8) + (3 * 3 * 3 * 8 * 16 + 16) + (16 * 5 + 5),
        buffers=0,
        rest={
            "bias": 8 * 32 * 32 * 8 + 4 * 16 * 16 * 16 + 5,
            "relu": 8 * 32 * 32 * 8 + 4 * 16 * 16 * 16,
            "max pool": 4 * 16 * 16 * 8 * (2 * 2 * 2 - 1),
            "global average pool": 16 * average(4 * 16 * 16),
        },
    ),
    # 100 steps: 40 → 64, depthwise over 9, 64 → 128, 128 → 128 dilated, their mean, 12 words
    "speech": Expected(
        macs={
            "convolution": 100 * 64 * (5 * 40) + 100 * 64 * 9 + 100 * 128 * 64 + 100 * 128 * (3 * 128),
            "linear": 128 * 12,
        },
        params=5 * 40 * 64 + 2 * 64 + 9 * 64 + 64 * 128 + 2 * 128 + (3 * 128 * 128 + 128) + (128 * 12 + 12),
        buffers=2 * 64 + 2 * 128,
        rest={
            "folded norms": 100 * (64 + 128),
            "bias": 100 * 128 + 12,
            "relu": 100 * (64 + 128 + 128),
            "global average pool": 128 * average(100),
        },
    ),
}
