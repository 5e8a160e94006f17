"""What convolutional networks are made of, in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """A convolution without bias that keeps the size (at stride 1), a batch norm, and an activation or none."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] | None = None,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
        eps: float = 1e-5,
    ) -> None:
        sides = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        same = (sides[0] // 2, sides[1] // 2)
        conv = nn.Conv2d(
            in_channels, out_channels, sides, stride, same if padding is None else padding, groups=groups, bias=False
        )
        parts: list[nn.Module] = [conv, nn.BatchNorm2d(out_channels, eps)]
        super().__init__(*parts, *([activation()] if activation else []))


class Residual(nn.Module):
    """What a block computes, and its input added."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Parallel(nn.Module):
    """Branches over one input, concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def classifier(features: int, classes: int = 1000) -> nn.Sequential:
    """The mean over the image, and a fully connected layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(features, classes))
