"""Published networks, written out: AlexNet, ViT, DenseNet, Swin, and MobileNetV2's block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AlexNet(nn.Module):
    """Krizhevsky et al. 2012 in one tower (2014), of 96, 192, 384, 256 and 256 channels without biases."""

    def __init__(self) -> None:
        super().__init__()
        channels = [
            (3, 96, 11, 4, 2),
            (96, 192, 5, 1, 2),
            (192, 384, 3, 1, 1),
            (384, 256, 3, 1, 1),
            (256, 256, 3, 1, 1),
        ]
        layers: list[nn.Module] = []
        for i, (c_in, c_out, kernel, stride, padding) in enumerate(channels):
            layers += [nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False), nn.ReLU(inplace=True)]
            if i in (0, 1, 4):
                layers.append(nn.MaxPool2d(3, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, 1000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


# -- ViT (Dosovitskiy et al. 2020) -------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, tokens, width))


class PlainAttention(Attention):
    """The same with products and a softmax written out."""

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, width))


class EncoderBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, attention: type[Attention]) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """ViT-B/16 at 224×224; ``kind`` says how its attention is written: fused, plain, or torch's own encoder."""

    def __init__(self, kind: str = "fused", depth: int = 12) -> None:
        super().__init__()
        width, heads, hidden = 768, 12, 3072
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 197, width))
        if kind == "encoder":
            layer = nn.TransformerEncoderLayer(width, heads, hidden, 0.0, "gelu", batch_first=True, norm_first=True)
            self.blocks: nn.Module = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        else:
            attention = {"fused": Attention, "plain": PlainAttention}[kind]
            self.blocks = nn.Sequential(*(EncoderBlock(width, heads, hidden, attention) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


# -- DenseNet (Huang et al. 2016) --------------------------------------------------------------------------------------


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.conv1(F.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(F.relu(self.norm2(x)))


class DenseBlock(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self:
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet121(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        growth, channels = 32, 64
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        ]  # fmt: skip
        for i, depth in enumerate((6, 12, 24, 16)):
            layers.append(DenseBlock(DenseLayer(channels + n * growth, growth) for n in range(depth)))
            channels += depth * growth
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            if i < 3:
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


# -- MobileNetV2 (Sandler et al. 2018) ---------------------------------------------------------------------------------


def inverted_residual(c_in: int, c_mid: int, c_out: int, stride: int) -> nn.Module:
    """Expansion, depthwise 3×3, projection, each with its batch norm."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_mid, 1, bias=False), nn.BatchNorm2d(c_mid), nn.ReLU6(),
        nn.Conv2d(c_mid, c_mid, 3, stride, 1, groups=c_mid, bias=False), nn.BatchNorm2d(c_mid), nn.ReLU6(),
        nn.Conv2d(c_mid, c_out, 1, bias=False), nn.BatchNorm2d(c_out),
    )  # fmt: skip


# -- Swin (Liu et al. 2021) --------------------------------------------------------------------------------------------


class WindowAttention(nn.Module):
    """Attention inside windows of 7×7, shifted by 3 in every second block, with a learned bias by relative position."""

    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.heads, self.shift, self.side = heads, shift, 7
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.bias_table = nn.Parameter(torch.zeros((2 * self.side - 1) ** 2, heads))
        row, column = torch.meshgrid(torch.arange(self.side), torch.arange(self.side), indexing="ij")
        at = torch.stack([row.flatten(), column.flatten()])
        relative = at[:, :, None] - at[:, None, :] + self.side - 1
        self.register_buffer("bias_index", (relative[0] * (2 * self.side - 1) + relative[1]).flatten())

    def forward(self, x: Tensor) -> Tensor:
        n, height, width, channels = x.shape
        side, heads = self.side, self.heads
        mask = None
        if self.shift and height > side:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
            mask = self.mask(height, width, x)
        windows = x.view(n, height // side, side, width // side, side, channels).permute(0, 1, 3, 2, 4, 5)
        windows = windows.reshape(-1, side * side, channels)
        q, k, v = self.qkv(windows).reshape(-1, side * side, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
        scores = (q * (channels // heads) ** -0.5).matmul(k.transpose(-2, -1))
        bias = self.bias_table[self.bias_index].view(side * side, side * side, heads).permute(2, 0, 1)
        scores = scores + bias.contiguous().unsqueeze(0)
        if mask is not None:
            scores = scores.view(n, -1, heads, side * side, side * side) + mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(-1, heads, side * side, side * side)
        y = scores.softmax(-1).matmul(v).transpose(1, 2).reshape(-1, side * side, channels)
        y = self.proj(y).view(n, height // side, width // side, side, side, channels)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)
        return torch.roll(y, (self.shift, self.shift), (1, 2)) if mask is not None else y

    def mask(self, height: int, width: int, x: Tensor) -> Tensor:
        """−100 between positions that the shift brought together from opposite borders."""
        side, shift = self.side, self.shift
        region = x.new_zeros((height, width))
        count = 0
        parts = ((0, -side), (-side, -shift), (-shift, None))
        for top, bottom in parts:
            for left, right in parts:
                region[top:bottom, left:right] = count
                count += 1
        region = region.view(height // side, side, width // side, side).permute(0, 2, 1, 3).reshape(-1, side * side)
        apart = region.unsqueeze(1) - region.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)


class SwinBlock(nn.Module):
    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, shift)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Four neighbours side by side, then half as many channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, -1)))


class SwinT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width = 96
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.norm0 = nn.LayerNorm(width)
        stages: list[nn.Module] = []
        for i, (depth, heads) in enumerate(zip((2, 2, 6, 2), (3, 6, 12, 24), strict=True)):
            stages += [SwinBlock(width, heads, 3 * (n % 2)) for n in range(depth)]
            if i < 3:
                stages.append(PatchMerging(width))
                width *= 2
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm0(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.norm(self.stages(x)).mean((1, 2)))
