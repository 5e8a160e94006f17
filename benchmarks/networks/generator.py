"""The generator of DCGAN (Radford et al. 2015): transposed convolutions from 100 numbers to an image of 64×64."""

from __future__ import annotations

from torch import nn

# channels in and out, stride, padding of the transposed convolutions, all of kernel 4
LAYERS = ((100, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1))


def generator() -> nn.Module:
    parts: list[nn.Module] = []
    for in_channels, out_channels, stride, padding in LAYERS:
        parts.append(nn.ConvTranspose2d(in_channels, out_channels, 4, stride, padding, bias=False))
        parts += [nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*parts, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()).eval()
