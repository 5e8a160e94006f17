"""VGG-16 (Simonyan and Zisserman 2014): 138,357,544 parameters."""

from __future__ import annotations

from torch import nn

CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pooling


def vgg16() -> nn.Module:
    parts: list[nn.Module] = []
    channels = 3
    for width in CHANNELS:
        parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    head = [nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*parts, *head, nn.Linear(4096, 1000)).eval()
