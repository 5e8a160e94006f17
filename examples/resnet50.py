"""ResNet-50 (He et al. 2015, "Deep Residual Learning for Image Recognition"), with the stride in the 3×3 convolution.

    multiprof analyze examples/resnet50.py:resnet50 --input 1x3x224x224

Modules are named as torchvision names them, so its checkpoints fit. The weights are random: only shapes are counted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1×1 to ``width`` channels, 3×3, 1×1 to four times as many, and the input added at the end."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """A stem, four stages of ``depths`` blocks, each half as large and twice as wide as the last, and a classifier."""

    def __init__(self, depths: tuple[int, int, int, int], num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = stage(64, 64, depths[0], stride=1)
        self.layer2 = stage(256, 128, depths[1], stride=2)
        self.layer3 = stage(512, 256, depths[2], stride=2)
        self.layer4 = stage(1024, 512, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def stage(in_channels: int, width: int, depth: int, stride: int) -> nn.Sequential:
    """``depth`` blocks; the first one changes the size and the number of channels."""
    first = Bottleneck(in_channels, width, stride)
    rest = [Bottleneck(width * Bottleneck.expansion, width) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)


def resnet50() -> ResNet:
    """The network with 50 layers, as used for inference."""
    return ResNet((3, 4, 6, 3)).eval()
