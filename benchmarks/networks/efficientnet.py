"""EfficientNet-B0 (Tan and Le 2019): 5,288,548 parameters."""

from __future__ import annotations

from torch import Tensor, nn

from networks.blocks import ConvNorm, Residual, classifier

# expansion, kernel, channels, blocks, stride of the first: table 1 of the paper
STAGES = (
    (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1),
)  # fmt: skip


class SqueezeExcitation(nn.Module):
    """Channels weighted by what is in the whole image."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.SiLU(), nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def mobile_block(in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int) -> nn.Module:
    wide = in_channels * expansion
    expand = [ConvNorm(in_channels, wide, activation=nn.SiLU)] if expansion > 1 else []
    block = nn.Sequential(
        *expand,
        ConvNorm(wide, wide, kernel, stride=stride, groups=wide, activation=nn.SiLU),
        SqueezeExcitation(wide, in_channels // 4),
        ConvNorm(wide, out_channels, activation=None),
    )
    return Residual(block) if stride == 1 and in_channels == out_channels else block


def efficientnet_b0() -> nn.Module:
    parts: list[nn.Module] = [ConvNorm(3, 32, 3, stride=2, activation=nn.SiLU)]
    channels = 32
    for expansion, kernel, out_channels, blocks, stride in STAGES:
        for block in range(blocks):
            parts.append(mobile_block(channels, out_channels, expansion, kernel, stride if block == 0 else 1))
            channels = out_channels
    parts += [ConvNorm(channels, 1280, activation=nn.SiLU), classifier(1280)]
    return nn.Sequential(*parts).eval()
