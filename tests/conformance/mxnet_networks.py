"""The conformance networks in Gluon: hybrid blocks, channels first, sizes of what goes in left to the first call.

MXNet must have been imported, which on a numpy of today is done by `multiprof.adapters.mxnet.compat.import_mxnet`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from multiprof.adapters.mxnet.compat import import_mxnet

mx = import_mxnet()
nn = mx.gluon.nn
rnn = mx.gluon.rnn

Built = tuple[Any, list[tuple[int, ...]]]
CANNOT: dict[str, str] = {}


def sequential(*blocks: Any) -> Any:
    net = nn.HybridSequential()
    net.add(*blocks)
    return net


def conv_norm(channels: int, kernel: int, stride: int = 1, padding: int = 0, groups: int = 1, act: str = "") -> Any:
    """Convolution without a bias, batch norm, and the activation, if any."""
    net = sequential(
        nn.Conv2D(channels, kernel, strides=stride, padding=padding, groups=groups, use_bias=False), nn.BatchNorm()
    )
    if act == "relu6":
        net.add(nn.HybridLambda(lambda F, x: F.clip(x, a_min=0, a_max=6)))
    elif act:
        net.add(nn.Activation(act))
    return net


def lenet() -> Built:
    return sequential(
        nn.Conv2D(6, 5, padding=2, activation="tanh"), nn.AvgPool2D(2), nn.Conv2D(16, 5, activation="tanh"),
        nn.AvgPool2D(2), nn.Dense(120, activation="tanh"), nn.Dense(84, activation="tanh"), nn.Dense(10),
    ), [(1, 1, 28, 28)]  # fmt: skip


class BasicBlock(nn.HybridBlock):
    """Two 3×3 convolutions around a shortcut, which is a 1×1 convolution where the shape changes."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        with self.name_scope():
            self.body = sequential(conv_norm(channels, 3, stride, 1, act="relu"), conv_norm(channels, 3, 1, 1))
            self.shortcut = conv_norm(channels, 1, stride) if stride > 1 else None

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        kept = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.body(x) + kept)


def resnet_stack() -> Built:
    return sequential(
        conv_norm(16, 3, 1, 1, act="relu"), BasicBlock(16), BasicBlock(32, 2), nn.GlobalAvgPool2D(), nn.Dense(10)
    ), [(2, 3, 32, 32)]


class InvertedResidual(nn.HybridBlock):
    """Wider by a 1×1 convolution, a depthwise 3×3 one, narrower by a 1×1 one; the sum where the shape allows it."""

    def __init__(self, channels: int, wide: int, stride: int, add: bool) -> None:
        super().__init__()
        self.add = add
        with self.name_scope():
            self.body = sequential(
                conv_norm(wide, 1, act="relu6"), conv_norm(wide, 3, stride, 1, groups=wide, act="relu6"),
                conv_norm(channels, 1),
            )  # fmt: skip

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.body(x)
        return F.elemwise_add(y, x) if self.add else y


def mobilenetv2_block() -> Built:
    return sequential(InvertedResidual(16, 96, 1, True), InvertedResidual(24, 96, 2, False)), [(1, 16, 28, 28)]


def inception() -> Built:
    def relu(channels: int, kernel: int, padding: int = 0) -> Any:
        return nn.Conv2D(channels, kernel, padding=padding, activation="relu")

    net = mx.gluon.contrib.nn.HybridConcurrent(axis=1)
    net.add(
        relu(64, 1), sequential(relu(96, 1), relu(128, 3, 1)), sequential(relu(16, 1), relu(32, 5, 2)),
        sequential(nn.MaxPool2D(3, strides=1, padding=1), relu(32, 1)),
    )  # fmt: skip
    return net, [(1, 192, 14, 14)]


def generator() -> Built:
    return sequential(
        nn.Dense(4 * 4 * 64, use_bias=False), nn.HybridLambda(lambda F, x: F.reshape(x, shape=(-1, 64, 4, 4))),
        nn.BatchNorm(), nn.Activation("relu"),
        nn.Conv2DTranspose(32, 4, strides=2, padding=1, use_bias=False), nn.BatchNorm(), nn.Activation("relu"),
        nn.Conv2DTranspose(3, 4, strides=2, padding=1, activation="tanh"),
    ), [(2, 100)]  # fmt: skip


def grouped_deconvolution() -> Built:
    """Gluon cannot leave the channels of a grouped deconvolution to the first call: it asks whether 0 is divisible."""
    return sequential(
        nn.Conv2DTranspose(32, 4, strides=2, padding=1, groups=4, in_channels=16, activation="relu"),
        nn.Conv2D(8, 3, padding=1, groups=4),
    ), [(1, 16, 8, 8)]


class FCNHead(nn.HybridBlock):
    """Scores of two maps of features, the coarser one made as large as the finer, and their sum as the image."""

    def __init__(self, classes: int = 21) -> None:
        super().__init__()
        with self.name_scope():
            self.head = sequential(
                nn.Conv2D(128, 3, padding=1, activation="relu"), nn.Dropout(0.5), nn.Conv2D(classes, 1)
            )
            self.score = nn.Conv2D(classes, 1)
            self.twice = nn.Conv2DTranspose(classes, 4, strides=2, padding=1, use_bias=False)
            self.image = nn.Conv2DTranspose(classes, 16, strides=8, padding=4, use_bias=False)

    def hybrid_forward(self, F: Any, x: Any, skip: Any) -> Any:
        return self.image(self.twice(self.head(x)) + self.score(skip))


def fcn_head() -> Built:
    return FCNHead(), [(1, 64, 12, 12), (1, 32, 24, 24)]


def bilstm() -> Built:
    return sequential(
        rnn.LSTM(64, num_layers=2, layout="NTC", bidirectional=True), nn.Dense(10, flatten=False)
    ), [(2, 12, 40)]  # fmt: skip


def gru() -> Built:
    last = nn.HybridLambda(lambda F, x: F.SequenceLast(x, axis=1))
    return sequential(rnn.GRU(48, layout="NTC"), last, nn.Dense(5)), [(2, 15, 32)]


class Attention(nn.HybridBlock):
    """Self-attention of N×T×C, as it is written with the products of batches of matrices."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, math.sqrt(units // heads)
        with self.name_scope():
            self.q, self.k, self.v, self.out = (nn.Dense(units, flatten=False) for _ in range(4))

    def split(self, F: Any, x: Any) -> Any:
        """N×T×(heads·d) → (N·heads)×T×d"""
        x = F.transpose(F.reshape(x, shape=(0, 0, self.heads, -1)), axes=(0, 2, 1, 3))
        return F.reshape(x, shape=(-1, 0, 0), reverse=True)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        q, k, v = (self.split(F, project(x)) for project in (self.q, self.k, self.v))
        weights = F.softmax(F.batch_dot(q, k, transpose_b=True) / self.scale)
        y = F.reshape(F.batch_dot(weights, v), shape=(-1, self.heads, 0, 0), reverse=True)
        return self.out(F.reshape(F.transpose(y, axes=(0, 2, 1, 3)), shape=(0, 0, -1)))


class InterleavedAttention(nn.HybridBlock):
    """The same by the fused operators, which take q, k and v of every head side by side, and time first."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        with self.name_scope():
            self.qkv = nn.Dense(3 * units, flatten=False)
            self.out = nn.Dense(units, flatten=False)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        qkv = F.swapaxes(self.qkv(x), 0, 1)
        scores = F.contrib.interleaved_matmul_selfatt_qk(qkv, heads=self.heads)
        y = F.contrib.interleaved_matmul_selfatt_valatt(qkv, F.softmax(scores), heads=self.heads)
        return self.out(F.swapaxes(y, 0, 1))


class EncoderLayer(nn.HybridBlock):
    """Attention and a feed-forward part, each with a sum and a norm after it."""

    def __init__(self, attention: Any, units: int, hidden: int) -> None:
        super().__init__()
        with self.name_scope():
            self.attention = attention
            self.feed = sequential(
                nn.Dense(hidden, activation="relu", flatten=False), nn.Dense(units, flatten=False)
            )  # fmt: skip
            self.norm1, self.norm2 = nn.LayerNorm(), nn.LayerNorm()

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.feed(x))


def transformer_encoder() -> Built:
    """A layer each of the two ways in which attention is written."""
    return sequential(
        EncoderLayer(Attention(64, 4), 64, 128), EncoderLayer(InterleavedAttention(64, 4), 64, 128)
    ), [(2, 16, 64)]  # fmt: skip


def two_dense(hidden: int, units: int) -> Any:
    return sequential(nn.Dense(hidden, flatten=False), nn.GELU(), nn.Dense(units, flatten=False))


class MixerBlock(nn.HybridBlock):
    """Two dense layers over the tokens, then two over the channels, each after a norm and with a sum."""

    def __init__(self, tokens: int, channels: int, over_tokens: int, over_channels: int) -> None:
        super().__init__()
        with self.name_scope():
            self.norm1, self.norm2 = nn.LayerNorm(), nn.LayerNorm()
            self.tokens = two_dense(over_tokens, tokens)
            self.channels = two_dense(over_channels, channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.tokens(F.transpose(self.norm1(x), axes=(0, 2, 1)))
        x = x + F.transpose(y, axes=(0, 2, 1))
        return x + self.channels(self.norm2(x))


def mlp_mixer() -> Built:
    return sequential(
        nn.Conv2D(64, 4, strides=4),
        nn.HybridLambda(lambda F, x: F.transpose(F.reshape(x, shape=(0, 0, -1)), axes=(0, 2, 1))),
        MixerBlock(64, 64, 32, 128), MixerBlock(64, 64, 32, 128), nn.LayerNorm(),
        nn.HybridLambda(lambda F, x: F.mean(x, axis=1)), nn.Dense(10),
    ), [(1, 3, 32, 32)]  # fmt: skip


def conv3d() -> Built:
    return sequential(
        nn.Conv3D(8, 3, padding=1, activation="relu"), nn.MaxPool3D(2), nn.Conv3D(16, 3, padding=1, activation="relu"),
        nn.GlobalAvgPool3D(), nn.Dense(5),
    ), [(1, 1, 8, 32, 32)]  # fmt: skip


def speech() -> Built:
    return sequential(
        nn.Conv1D(64, 5, padding=2, use_bias=False), nn.BatchNorm(), nn.Activation("relu"),
        nn.Conv1D(64, 9, padding=4, groups=64, use_bias=False), nn.Conv1D(128, 1, use_bias=False), nn.BatchNorm(),
        nn.Activation("relu"), nn.Conv1D(128, 3, dilation=2, padding=2, activation="relu"), nn.GlobalAvgPool1D(),
        nn.Dense(12),
    ), [(1, 40, 100)]  # fmt: skip


NETWORKS: dict[str, Callable[[], Built]] = {
    build.__name__: build
    for build in (
        lenet, resnet_stack, mobilenetv2_block, inception, generator, grouped_deconvolution, fcn_head, bilstm, gru,
        transformer_encoder, mlp_mixer, conv3d, speech,
    )
}  # fmt: skip
