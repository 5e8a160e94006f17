"""DenseNet-121 (Huang et al. 2016): 7,978,856 parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from networks.blocks import classifier


class Dense(nn.Sequential):
    """Norm, 1×1, norm, 3×3: 32 channels more."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], 1)


def densenet121() -> nn.Module:
    parts: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ]  # fmt: skip
    channels = 64
    for stage, layers in enumerate((6, 12, 24, 16)):
        for _ in range(layers):
            parts.append(Dense(channels))
            channels += 32
        parts += [nn.BatchNorm2d(channels), nn.ReLU()]
        if stage < 3:
            parts += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*parts, classifier(channels)).eval()
