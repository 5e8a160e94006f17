"""Convolutions: a dot product of C_i/G·K terms makes an output; transposed, an input element meets K·C_o/G weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, randn

from accuracy.battery import case


@case("conv 3×3", 2 * 32 * 16 * 16 * 16 * 9, 2 * 32 * 16 * 16)
def conv() -> Any:
    return nn.Conv2d(16, 32, 3, padding=1), randn(2, 16, 16, 16)


@case("conv 7×7, stride 2, no bias", 32 * 16 * 16 * 3 * 49)
def stem() -> Any:
    return nn.Conv2d(3, 32, 7, 2, 3, bias=False), randn(1, 3, 32, 32)


@case("conv 1×1", 2 * 64 * 14 * 14 * 32, 2 * 64 * 14 * 14)
def pointwise() -> Any:
    return nn.Conv2d(32, 64, 1), randn(2, 32, 14, 14)


@case("conv in 4 groups", 32 * 16 * 16 * 4 * 9, 32 * 16 * 16)
def grouped() -> Any:
    return nn.Conv2d(16, 32, 3, padding=1, groups=4), randn(1, 16, 16, 16)


@case("depthwise", 32 * 16 * 16 * 9)
def depthwise() -> Any:
    return nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), randn(1, 32, 16, 16)


@case("depthwise, multiplier 2", 64 * 16 * 16 * 9)
def multiplied() -> Any:
    return nn.Conv2d(32, 64, 3, padding=1, groups=32, bias=False), randn(1, 32, 16, 16)


@case("depthwise separable", 32 * 16 * 16 * 9 + 64 * 16 * 16 * 32)
def separable() -> Any:
    first = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
    return nn.Sequential(first, nn.Conv2d(32, 64, 1, bias=False)), randn(1, 32, 16, 16)


@case("dilated by 2", 32 * 12 * 12 * 16 * 9)
def dilated() -> Any:
    return nn.Conv2d(16, 32, 3, dilation=2, bias=False), randn(1, 16, 16, 16)


@case("kernel 5×1, stride (2, 1)", 24 * 8 * 16 * 16 * 5)
def oblong() -> Any:
    return nn.Conv2d(16, 24, (5, 1), stride=(2, 1), padding=(2, 0), bias=False), randn(1, 16, 16, 16)


@case("padding as a word: same", 32 * 15 * 15 * 16 * 16)
def same() -> Any:
    return nn.Conv2d(16, 32, 4, padding="same", bias=False), randn(1, 16, 15, 15)


@case("padding by reflection", 32 * 16 * 16 * 16 * 9)
def reflected() -> Any:
    return nn.Conv2d(16, 32, 3, padding=1, padding_mode="reflect", bias=False), randn(1, 16, 16, 16)


@case("padding around", 32 * 16 * 16 * 16 * 9)
def circular() -> Any:
    return nn.Conv2d(16, 32, 3, padding=1, padding_mode="circular", bias=False), randn(1, 16, 16, 16)


@case("conv 1-d", 2 * 32 * 64 * 16 * 5, 2 * 32 * 64)
def one_dimension() -> Any:
    return nn.Conv1d(16, 32, 5, padding=2), randn(2, 16, 64)


@case("conv 3-d", 16 * 8 * 8 * 8 * 8 * 27, 16 * 8 * 8 * 8)
def three_dimensions() -> Any:
    return nn.Conv3d(8, 16, 3, padding=1), randn(1, 8, 8, 8, 8)


@case("conv without a batch", 32 * 16 * 16 * 16 * 9)
def unbatched() -> Any:
    return nn.Conv2d(16, 32, 3, padding=1, bias=False), randn(16, 16, 16)


@case("transposed 4×4, stride 2", 8 * 64 * 16 * 4)
def transposed() -> Any:
    """8 channels of 8×8 to 4 of 16×16."""
    return nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), randn(1, 8, 8, 8)


@case("transposed in 4 groups", 32 * 64 * 9 * 16 // 4)
def transposed_groups() -> Any:
    return nn.ConvTranspose2d(32, 16, 3, 2, 1, 1, groups=4, bias=False), randn(1, 32, 8, 8)


@case("transposed 1-d, stride 1", 16 * 32 * 3 * 8, 8 * 34)
def transposed_line() -> Any:
    return nn.ConvTranspose1d(16, 8, 3), randn(1, 16, 32)


@case("transposed 3-d", 8 * 4 * 4 * 4 * 8 * 8)
def transposed_volume() -> Any:
    return nn.ConvTranspose3d(8, 8, 2, 2, bias=False), randn(1, 8, 4, 4, 4)


@case("conv, batch norm, relu", 64 * 32 * 32 * 64 * 9, note="64·32·32 biases where the norm is folded")
def conv_norm() -> Any:
    layers = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()
    return nn.Sequential(*layers), randn(1, 64, 32, 32)


@case("lazy conv and linear", 32 * 14 * 14 * 16 * 9 + 6272 * 10, 32 * 14 * 14 + 10)
def lazy() -> Any:
    return nn.Sequential(nn.LazyConv2d(32, 3), nn.Flatten(), nn.LazyLinear(10)), randn(1, 16, 16, 16)


@case("weight norm by a parametrization", 32 * 16 * 16 * 16 * 9)
def normed() -> Any:
    module = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    return nn.utils.parametrizations.weight_norm(module), randn(1, 16, 16, 16)


@case("pruned to a half (dense count)", 32 * 16 * 16 * 16 * 9)
def pruned() -> Any:
    from torch.nn.utils import prune

    module = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    mask = (torch.arange(module.weight.numel()) % 2 == 0).reshape(module.weight.shape)
    return prune.custom_from_mask(module, "weight", mask), randn(1, 16, 16, 16)


@case("channels last", 2 * 32 * 16 * 16 * 16 * 9)
def channels_last() -> Any:
    module = nn.Conv2d(16, 32, 3, padding=1, bias=False)
    return module, randn(2, 16, 16, 16).contiguous(memory_format=torch.channels_last)
