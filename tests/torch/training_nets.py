"""Small networks that between them use what networks are trained with, for tests of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 128), nn.GELU(), nn.Dropout(0.1), nn.Linear(128, 128), nn.SiLU(), nn.LayerNorm(128),
        nn.Linear(128, 10), nn.LogSoftmax(-1),
    )  # fmt: skip


def alexnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2), nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((4, 4)), nn.Flatten(), nn.Dropout(), nn.Linear(512, 64), nn.ReLU(),
        nn.Linear(64, 10),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.skip = nn.Identity()
        if stride > 1:
            self.skip = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return self.relu(y + self.skip(x))


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip


class Inverted(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, 4 * c, 1, bias=False), nn.BatchNorm2d(4 * c), nn.ReLU6(inplace=True),
            nn.Conv2d(4 * c, 4 * c, 3, 1, 1, groups=4 * c, bias=False), nn.BatchNorm2d(4 * c), nn.Hardswish(),
            nn.Conv2d(4 * c, c, 1, bias=False), nn.BatchNorm2d(c),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def mobilenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), Inverted(16), Inverted(16), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 64, 10)
    )


class Dense(nn.Module):
    """Concatenations and group norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(2, 8 + 8 * i) for i in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8 + 8 * i, 8, 3, padding=1) for i in range(3))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.leaky_relu(norm(x)))], 1)
        return self.head(x.mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.norm = nn.InstanceNorm2d(16, affine=True)
        self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.tanh(self.down1(x))
        b = F.elu(self.norm(self.down2(a)))
        c = torch.sigmoid(self.up(b))
        y = self.last(torch.cat([a, c], 1))
        return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, 2)
        q, k, v = (t.view(n, length, self.heads, width // self.heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(y.transpose(1, 2).reshape(n, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    """GPT-2 (Radford et al. 2019) with a head tied to its embedding."""

    def __init__(self, vocabulary: int = 100, width: int = 32, heads: int = 4, depth: int = 2, length: int = 16):
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        self.places = nn.Parameter(torch.zeros(1, 17, 32))
        self.blocks = nn.Sequential(Block(32, 4, False), Block(32, 4, False))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.blocks(x)[:, 0])


class Plain(nn.Module):
    """Attention from products and a softmax, with a mask, and a gated feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(32, 32, bias=False) for _ in range(3))
        self.gate, self.up, self.down = nn.Linear(32, 64), nn.Linear(32, 64), nn.Linear(64, 32)
        self.norm = nn.LayerNorm(32)
        self.register_buffer("mask", torch.tril(torch.ones(16, 16, dtype=torch.bool)))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 32**0.5
        weights = scores.masked_fill(~self.mask, float("-inf")).softmax(-1)
        x = self.norm(x + weights @ self.v(x))
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Sequence(nn.Module):
    """An embedding, a recurrent network of two layers, and a head."""

    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.rnn = kind(32, 64, num_layers=2, batch_first=True)
        self.head = nn.Linear(64, 50)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.rnn(self.words(ids))[0])


class Dropped(nn.Module):
    """An LSTM of two layers in both directions, with dropout between the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(16, 32, 2, dropout=0.2, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]


def image(batch: int = 4, side: int = 32) -> Tensor:
    return torch.randn(batch, 3, side, side)


def ids() -> Tensor:
    return torch.randint(0, 50, (4, 16))


NETS: dict[str, tuple[Callable[[], Any], Callable[[], Tensor]]] = {
    "mlp": (mlp, lambda: torch.randn(16, 64)),
    "alexnet": (alexnet, lambda: image(4, 64)),
    "resnet": (resnet, lambda: image(4, 64)),
    "mobilenet": (mobilenet, image),
    "dense": (Dense, lambda: image(4, 16)),
    "unet": (UNet, image),
    "gpt": (GPT, ids),
    "vit": (ViT, image),
    "plain": (Plain, lambda: torch.randn(4, 16, 32)),
    "lstm": (lambda: Sequence(nn.LSTM), ids),
    "gru": (lambda: Sequence(nn.GRU), ids),
    "rnn": (lambda: Sequence(nn.RNN), ids),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), lambda: torch.randn(4, 16, 32)
    ),
    "dropped encoder": (
        lambda: nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True), lambda: torch.randn(4, 16, 32)
    ),
    "dropped lstm": (lambda: Dropped(), lambda: torch.randn(32, 8, 16)),
}  # fmt: skip
