"""Whole networks, with the sums of their definitions."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from networks.densenet import densenet121
from networks.generator import generator
from networks.mobilenetv2 import mobilenetv2
from networks.resnet import resnet50
from networks.torch_networks import IMAGE
from networks.unet import unet
from networks.vgg import vgg16
from networks.vit import vit
from torch import nn, randn

from accuracy.battery import case


def resnet50_macs() -> int:
    """He et al. 2015 with the stride in the 3×3: the stem, 16 blocks of 1×1, 3×3, 1×1, four shortcuts, the head."""
    macs, channels, size = 112 * 112 * 64 * 3 * 49, 64, 56
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(depth):
            before, size = size, size // 2 if block == 0 and width > 64 else size
            macs += before**2 * channels * width + size**2 * (9 * width * width + 4 * width * width)
            macs += size**2 * channels * 4 * width if block == 0 else 0
            channels = 4 * width
    return macs + 2048 * 1000


def mobilenetv2_macs() -> int:
    """Sandler et al. 2018, table 2: expansion t, channels c, repeats n, stride s."""
    macs, size, channels = 112 * 112 * 32 * 27, 112, 32
    table = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    for t, c, n, s in table:
        for repeat in range(n):
            wide = t * channels
            macs += size**2 * channels * wide if t > 1 else 0
            size //= s if repeat == 0 else 1
            macs += size**2 * (9 * wide + wide * c)
            channels = c
    return macs + size**2 * channels * 1280 + 1280 * 1000


def vgg16_macs() -> int:
    macs, channels, size = 0, 3, 224
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            macs += size**2 * 9 * channels * width
            channels = width
        size //= 2
    return macs + 25088 * 4096 + 4096 * 4096 + 4096 * 1000


@case("ResNet-50", resnet50_macs())
def resnet() -> Any:
    return resnet50(), randn(IMAGE)


@case("MobileNetV2", mobilenetv2_macs())
def mobilenet() -> Any:
    return mobilenetv2(), randn(IMAGE)


@case("VGG-16", vgg16_macs())
def vgg() -> Any:
    return vgg16(), randn(IMAGE)


D, T = 192, 197  # ViT-Ti/16: width, tokens


@case("ViT-Ti/16", 196 * D * 3 * 256 + 12 * (12 * T * D * D + 2 * T * T * D) + D * 1000)
def vit_tiny() -> Any:
    return vit(), randn(IMAGE)


def unet_macs() -> int:
    """Two 3×3 a level, down and up; 2×2 transposed convolutions between, each input meeting 4·C_o weights."""
    widths, size, channels, macs = (32, 64, 128, 256, 512), 128, 3, 0
    for level, width in enumerate(widths):
        area = (size >> level) ** 2
        macs += area * 9 * (channels * width + width * width)
        channels = width
    for level in (3, 2, 1, 0):
        narrow, area = widths[level], (size >> level) ** 2
        macs += area // 4 * 2 * narrow * narrow * 4 + area * 9 * (2 * narrow * narrow + narrow * narrow)
    return macs + size**2 * 32 * 2


@case("U-Net", unet_macs())
def u_net() -> Any:
    return unet(), randn(1, 3, 128, 128)


def densenet121_macs() -> int:
    """Huang et al. 2016: 58 layers of a 1×1 to 128 channels and a 3×3 to 32; transitions that halve the channels."""
    macs, channels, size = 112 * 112 * 64 * 3 * 49, 64, 56
    for i, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            macs += size**2 * (channels * 128 + 9 * 128 * 32)
            channels += 32
        if i < 3:
            macs += size**2 * channels * channels // 2
            channels, size = channels // 2, size // 2
    return macs + 1024 * 1000


@case("DenseNet-121", densenet121_macs())
def densenet() -> Any:
    return densenet121(), randn(IMAGE)


@case(
    "DCGAN's generator",
    100 * 512 * 16 + sum((4 << i) ** 2 * (512 >> i) * c * 16 for i, c in enumerate((256, 128, 64, 3))),
)
def dcgan() -> Any:
    return generator(), randn(1, 100, 1, 1)


@case("a linear quantised to int8, dynamically", 8 * 64 * 32, 8 * 32, cpu_only=True)
def quantised() -> Any:
    with warnings.catch_warnings():  # torch.ao says that it will go, and quantised tensors too
        warnings.simplefilter("ignore")
        module = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(64, 32)), {nn.Linear}, dtype=torch.qint8
        )
    return module, randn(8, 64)
