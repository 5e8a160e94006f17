"""Inception v3 (Szegedy et al. 2015) without its second classifier: 23,834,568 parameters, images of 299×299."""

from __future__ import annotations

from functools import partial

from torch import nn

from networks.blocks import ConvNorm, Parallel, classifier

Conv = partial(ConvNorm, eps=1e-3)


def block_a(channels: int, pooled: int) -> nn.Module:
    return Parallel(
        Conv(channels, 64),
        nn.Sequential(Conv(channels, 48), Conv(48, 64, 5)),
        nn.Sequential(Conv(channels, 64), Conv(64, 96, 3), Conv(96, 96, 3)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), Conv(channels, pooled)),
    )


def block_b(channels: int) -> nn.Module:
    return Parallel(
        Conv(channels, 384, 3, stride=2, padding=0),
        nn.Sequential(Conv(channels, 64), Conv(64, 96, 3), Conv(96, 96, 3, stride=2, padding=0)),
        nn.MaxPool2d(3, 2),
    )


def block_c(inner: int) -> nn.Module:
    row, column = (1, 7), (7, 1)
    return Parallel(
        Conv(768, 192),
        nn.Sequential(Conv(768, inner), Conv(inner, inner, row), Conv(inner, 192, column)),
        nn.Sequential(
            Conv(768, inner), Conv(inner, inner, column), Conv(inner, inner, row), Conv(inner, inner, column),
            Conv(inner, 192, row),
        ),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), Conv(768, 192)),
    )  # fmt: skip


def block_d() -> nn.Module:
    return Parallel(
        nn.Sequential(Conv(768, 192), Conv(192, 320, 3, stride=2, padding=0)),
        nn.Sequential(
            Conv(768, 192), Conv(192, 192, (1, 7)), Conv(192, 192, (7, 1)), Conv(192, 192, 3, stride=2, padding=0)
        ),
        nn.MaxPool2d(3, 2),
    )


def block_e(channels: int) -> nn.Module:
    def split() -> nn.Module:
        return Parallel(Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1)))

    return Parallel(
        Conv(channels, 320),
        nn.Sequential(Conv(channels, 384), split()),
        nn.Sequential(Conv(channels, 448), Conv(448, 384, 3), split()),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), Conv(channels, 192)),
    )


def inception_v3() -> nn.Module:
    return nn.Sequential(
        Conv(3, 32, 3, stride=2, padding=0), Conv(32, 32, 3, padding=0), Conv(32, 64, 3), nn.MaxPool2d(3, 2),
        Conv(64, 80), Conv(80, 192, 3, padding=0), nn.MaxPool2d(3, 2),
        block_a(192, 32), block_a(256, 64), block_a(288, 64), block_b(288),
        block_c(128), block_c(160), block_c(160), block_c(192), block_d(), block_e(1280), block_e(2048),
        classifier(2048),
    ).eval()  # fmt: skip
