"""MLP-Mixer S/16 (Tolstikhin et al. 2021): 18,528,264 parameters."""

from __future__ import annotations

from torch import Tensor, nn


class Mixer(nn.Module):
    """An MLP over the patches, then one over the channels."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens, self.channels = mlp(patches, 256), mlp(width, 2048)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.second(x))


class MLPMixer(nn.Module):
    def __init__(self, width: int = 512, depth: int = 8, patches: int = 196) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.mixers = nn.Sequential(*(Mixer(patches, width) for _ in range(depth)), nn.LayerNorm(width))
        self.head = nn.Linear(width, 1000)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.mixers(self.patches(image).flatten(2).transpose(1, 2)).mean(1))


def mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def mlp_mixer() -> nn.Module:
    return MLPMixer().eval()
