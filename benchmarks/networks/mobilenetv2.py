"""MobileNetV2 (Sandler et al. 2018): 3,504,872 parameters, 300,774,272 MACs an image of 224×224."""

from __future__ import annotations

from torch import nn

from networks.blocks import ConvNorm, Residual, classifier

# expansion, channels, blocks, stride of the first: table 2 of the paper
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def inverted_residual(in_channels: int, out_channels: int, expansion: int, stride: int) -> nn.Module:
    wide = in_channels * expansion
    expand = [ConvNorm(in_channels, wide, activation=nn.ReLU6)] if expansion > 1 else []
    block = nn.Sequential(
        *expand,
        ConvNorm(wide, wide, 3, stride=stride, groups=wide, activation=nn.ReLU6),
        ConvNorm(wide, out_channels, activation=None),
    )
    return Residual(block) if stride == 1 and in_channels == out_channels else block


def mobilenetv2() -> nn.Module:
    parts: list[nn.Module] = [ConvNorm(3, 32, 3, stride=2, activation=nn.ReLU6)]
    channels = 32
    for expansion, out_channels, blocks, stride in STAGES:
        for block in range(blocks):
            parts.append(inverted_residual(channels, out_channels, expansion, stride if block == 0 else 1))
            channels = out_channels
    parts += [ConvNorm(channels, 1280, activation=nn.ReLU6), classifier(1280)]
    return nn.Sequential(*parts).eval()
