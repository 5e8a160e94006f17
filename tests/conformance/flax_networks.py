"""The conformance networks in Flax, channels last: most in linen, whose variables are made as shapes, others in nnx."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax import nnx

Built = tuple[Any, list[tuple[int, ...]]]
CANNOT: dict[str, str] = {}
gelu = partial(nn.gelu, approximate=False)


def same(kernel: int, rank: int = 2) -> list[tuple[int, int]]:
    """Padding of k // 2 on each side, whatever the stride."""
    return [(kernel // 2, kernel // 2)] * rank


# -- linen ------------------------------------------------------------------------------------------------------------


class LeNet(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.avg_pool(nn.tanh(nn.Conv(6, (5, 5), padding=same(5))(x)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.tanh(nn.Conv(16, (5, 5), padding="VALID")(x)), (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        return nn.Dense(10)(nn.tanh(nn.Dense(84)(nn.tanh(nn.Dense(120)(x)))))


def lenet() -> Built:
    return LeNet(), [(1, 28, 28, 1)]


class ConvNorm(nn.Module):
    """Convolution without a bias, and batch norm."""

    channels: int
    kernel: int
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = nn.Conv(
            self.channels, (self.kernel, self.kernel), self.stride, same(self.kernel), use_bias=False,
            feature_group_count=self.groups,
        )(x)  # fmt: skip
        return nn.BatchNorm(use_running_average=not train)(x)


class BasicBlock(nn.Module):
    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        y = nn.relu(ConvNorm(self.channels, 3, self.stride)(x, train))
        y = ConvNorm(self.channels, 3)(y, train)
        if self.stride > 1:
            x = ConvNorm(self.channels, 1, self.stride, name="shortcut")(x, train)
        return nn.relu(x + y)


class ResNetStack(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = nn.relu(ConvNorm(16, 3)(x, train))
        x = BasicBlock(32, 2)(BasicBlock(16)(x, train), train)
        return nn.Dense(10)(x.mean((1, 2)))


def resnet_stack() -> Built:
    return ResNetStack(), [(2, 32, 32, 3)]


class InvertedResidual(nn.Module):
    channels: int
    stride: int

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        y = nn.relu6(ConvNorm(96, 1)(x, train))
        y = nn.relu6(ConvNorm(96, 3, self.stride, groups=96)(y, train))
        y = ConvNorm(self.channels, 1)(y, train)
        return x + y if x.shape == y.shape else y


class MobileNetBlocks(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        return InvertedResidual(24, 2)(InvertedResidual(16, 1)(x, train), train)


def mobilenetv2_block() -> Built:
    return MobileNetBlocks(), [(1, 28, 28, 16)]


class Inception(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        def conv(channels: int, kernel: int, x: Any) -> Any:
            return nn.relu(nn.Conv(channels, (kernel, kernel))(x))

        pooled = nn.max_pool(x, (3, 3), (1, 1), "SAME")
        parts = [conv(64, 1, x), conv(128, 3, conv(96, 1, x)), conv(32, 5, conv(16, 1, x)), conv(32, 1, pooled)]
        return jnp.concatenate(parts, axis=-1)


def inception() -> Built:
    return Inception(), [(1, 14, 14, 192)]


class FCNHead(nn.Module):
    classes: int = 21

    @nn.compact
    def __call__(self, x: Any, skip: Any, train: bool) -> Any:
        x = nn.relu(nn.Conv(128, (3, 3))(x))
        x = nn.Conv(self.classes, (1, 1))(nn.Dropout(0.5, deterministic=not train)(x))
        x = nn.ConvTranspose(self.classes, (4, 4), (2, 2), use_bias=False)(x)
        x = x + nn.Conv(self.classes, (1, 1))(skip)
        return nn.ConvTranspose(self.classes, (16, 16), (8, 8), use_bias=False)(x)


def fcn_head() -> Built:
    return FCNHead(), [(1, 12, 12, 64), (1, 24, 24, 32)]


class GRU(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        last, _ = nn.RNN(nn.GRUCell(48), return_carry=True)(x)
        return nn.Dense(5)(last)


def gru() -> Built:
    return GRU(), [(2, 15, 32)]


class EncoderLayer(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.LayerNorm()(x + nn.MultiHeadDotProductAttention(self.heads)(x, deterministic=True))
        y = nn.Dense(x.shape[-1])(nn.relu(nn.Dense(self.hidden)(x)))
        return nn.LayerNorm()(x + y)


def transformer_encoder() -> Built:
    return nn.Sequential([EncoderLayer(4, 128), EncoderLayer(4, 128)]), [(2, 16, 64)]


class Conv3D(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.max_pool(nn.relu(nn.Conv(8, (3, 3, 3))(x)), (2, 2, 2), (2, 2, 2))
        x = nn.relu(nn.Conv(16, (3, 3, 3))(x))
        return nn.Dense(5)(x.mean((1, 2, 3)))


def conv3d() -> Built:
    return Conv3D(), [(1, 8, 32, 32, 1)]


# -- nnx --------------------------------------------------------------------------------------------------------------


class Generator(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(100, 4 * 4 * 64, use_bias=False, rngs=rngs)
        self.norm1, self.norm2 = nnx.BatchNorm(64, rngs=rngs), nnx.BatchNorm(32, rngs=rngs)
        self.up1 = nnx.ConvTranspose(64, 32, (4, 4), (2, 2), use_bias=False, rngs=rngs)
        self.up2 = nnx.ConvTranspose(32, 3, (4, 4), (2, 2), rngs=rngs)

    def __call__(self, z: Any) -> Any:
        x = nnx.relu(self.norm1(self.dense(z).reshape(-1, 4, 4, 64)))
        return nnx.tanh(self.up2(nnx.relu(self.norm2(self.up1(x)))))


def generator() -> Built:
    return Generator(nnx.Rngs(0)), [(2, 100)]


class GroupedDeconvolution(nnx.Module):
    """Flax's deconvolution has no groups: one for each of the four, side by side."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.up = nnx.List([nnx.ConvTranspose(4, 8, (4, 4), (2, 2), rngs=rngs) for _ in range(4)])
        self.conv = nnx.Conv(32, 8, (3, 3), feature_group_count=4, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        parts = [up(part) for up, part in zip(self.up, jnp.split(x, 4, axis=-1), strict=True)]
        return self.conv(nnx.relu(jnp.concatenate(parts, axis=-1)))


def grouped_deconvolution() -> Built:
    return GroupedDeconvolution(nnx.Rngs(0)), [(1, 8, 8, 16)]


class BiLSTM(nnx.Module):
    """Of either cell that Flax has: they differ in how they keep their weights."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        def both(units: int) -> Any:
            cells = nnx.LSTMCell(units, 64, rngs=rngs), nnx.OptimizedLSTMCell(units, 64, rngs=rngs)
            return nnx.Bidirectional(*map(nnx.RNN, cells), rngs=rngs)

        self.layers = nnx.List([both(40), both(128)])
        self.head = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def bilstm() -> Built:
    return BiLSTM(nnx.Rngs(0)), [(2, 12, 40)]


class MLP(nnx.Module):
    def __init__(self, units: int, hidden: int, rngs: nnx.Rngs) -> None:
        self.wide, self.narrow = nnx.Linear(units, hidden, rngs=rngs), nnx.Linear(hidden, units, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.narrow(gelu(self.wide(x)))


class MixerBlock(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(64, rngs=rngs), nnx.LayerNorm(64, rngs=rngs)
        self.tokens, self.channels = MLP(64, 32, rngs), MLP(64, 128, rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.tokens(self.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.channels(self.norm2(x))


class MLPMixer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.patches = nnx.Conv(3, 64, (4, 4), strides=4, rngs=rngs)
        self.blocks = nnx.List([MixerBlock(rngs), MixerBlock(rngs)])
        self.norm, self.head = nnx.LayerNorm(64, rngs=rngs), nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(axis=1))


def mlp_mixer() -> Built:
    return MLPMixer(nnx.Rngs(0)), [(1, 32, 32, 3)]


class Speech(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(40, 64, (5,), use_bias=False, rngs=rngs)
        self.depthwise = nnx.Conv(64, 64, (9,), feature_group_count=64, use_bias=False, rngs=rngs)
        self.pointwise = nnx.Conv(64, 128, (1,), use_bias=False, rngs=rngs)
        self.dilated = nnx.Conv(128, 128, (3,), kernel_dilation=2, rngs=rngs)
        self.norm1, self.norm2 = nnx.BatchNorm(64, rngs=rngs), nnx.BatchNorm(128, rngs=rngs)
        self.head = nnx.Linear(128, 12, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.relu(self.norm1(self.conv(x)))
        x = nnx.relu(self.norm2(self.pointwise(self.depthwise(x))))
        return self.head(nnx.relu(self.dilated(x)).mean(1))


def speech() -> Built:
    return Speech(nnx.Rngs(0)), [(1, 100, 40)]


NETWORKS: dict[str, Callable[[], Built]] = {
    build.__name__: build
    for build in (
        lenet, resnet_stack, mobilenetv2_block, inception, generator, grouped_deconvolution, fcn_head, bilstm, gru,
        transformer_encoder, mlp_mixer, conv3d, speech,
    )
}  # fmt: skip
