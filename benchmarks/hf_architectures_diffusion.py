"""Diffusion networks for benchmarks/hf_architectures.py: DiT written out, and with diffusers installed, its models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from hf_architectures_models import Values
from torch import Tensor, nn


class Model(nn.Module):
    """A module that says how many parameters it has, as transformers' do, by looking at every one."""

    def num_parameters(self) -> int:
        return sum({id(p): p.numel() for p in self.parameters()}.values())


class DiTBlock(nn.Module):
    """Peebles and Xie 2022: attention and a perceptron, both shifted, scaled and gated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        n, tokens, width = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(6, -1)
        y = self.norm1(x) * (1 + scale1) + shift1
        q, k, v = self.qkv(y).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        x = x + gate1 * self.proj(y)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class DiT(Model):
    """DiT-XL/2 by default: 118.6 GMACs in the paper (there called Gflops), 675 million parameters."""

    def __init__(
        self, width: int = 1152, heads: int = 16, depth: int = 28, size: int = 32, classes: int = 1001
    ) -> None:
        super().__init__()
        self.config = SimpleNamespace(width=width, depth=depth, size=size)
        self.patches = nn.Conv2d(4, width, 2, 2)
        self.positions = nn.Parameter(torch.zeros(1, (size // 2) ** 2, width), requires_grad=False)
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.classes = nn.Embedding(classes, width)
        self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.head = nn.Linear(width, 2 * 2 * 8)

    def forward(self, latent: Tensor, time: Tensor, label: Tensor) -> Tensor:
        x = self.patches(latent).flatten(2).transpose(1, 2) + self.positions
        angles = time[:, None] * torch.exp(-torch.arange(128, device=time.device) * 0.07)[None]
        condition = self.time(torch.cat((angles.cos(), angles.sin()), -1)) + self.classes(label)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(condition)[:, None].chunk(2, -1)
        y = self.head(self.norm(x) * (1 + scale) + shift)
        side = int(y.shape[1] ** 0.5)
        return y.reshape(-1, side, side, 2, 2, 8).permute(0, 5, 1, 3, 2, 4).reshape(-1, 8, 2 * side, 2 * side)


def dit_macs(c: Any, _: int) -> int:
    d, n = c.width, (c.size // 2) ** 2
    block = 12 * n * d * d + 2 * n * n * d + 6 * d * d
    ends = n * 16 * d + 256 * d + d * d + 2 * d * d + n * d * 32
    return int(c.depth * block + ends)


@dataclass(frozen=True)
class Block:
    """The same face as `hf_architectures_models.Architecture`, for modules that need no configuration class."""

    name: str
    make: Callable[[bool], nn.Module]
    given: Callable[[bool], Values]
    closed: Callable[[Any, int], int] | None = None
    note: str = ""
    group: str = "diffusion"
    values: bool = False

    def build(self, small: bool, device: str) -> nn.Module:
        torch.manual_seed(0)
        with torch.device(device):
            return self.make(small).eval()

    def arguments(self, module: nn.Module, small: bool, device: str) -> Values:
        torch.manual_seed(0)
        return {k: v if v is None else v.to(device) for k, v in self.given(small).items()}


def _dit_inputs(small: bool) -> Values:
    size = 8 if small else 32
    return {"latent": torch.randn(1, 4, size, size), "time": torch.tensor([10.0]), "label": torch.tensor([3])}


def _unet_inputs(small: bool) -> Values:
    size, width, tokens = (8, 16, 5) if small else (64, 768, 77)
    condition = {"encoder_hidden_states": torch.randn(1, tokens, width)}
    return {"sample": torch.randn(1, 4, size, size), "timestep": torch.tensor([10]), **condition}


def _diffusers(name: str, small: Values, full: Values) -> Callable[[bool], nn.Module]:
    def make(is_small: bool) -> nn.Module:
        import diffusers

        model: nn.Module = getattr(diffusers, name)(**(small if is_small else full))
        return model

    return make


BLOCKS: tuple[Block, ...] = (
    Block(
        "DiT-XL/2",
        lambda small: DiT(32, 4, 2, 8, 11) if small else DiT(),
        _dit_inputs,
        dit_macs,
        "118.6 G in its paper",
    ),
)
if find_spec("diffusers"):
    BLOCKS += (
        Block("UNet of Stable Diffusion 1", _diffusers(
            "UNet2DConditionModel",
            {"sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1, "cross_attention_dim": 16,
             "norm_num_groups": 8,
             "attention_head_dim": 4, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
             "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")},
            {"sample_size": 64, "cross_attention_dim": 768}), _unet_inputs, note="diffusers"),
        Block("Autoencoder of Stable Diffusion 1", _diffusers(
            "AutoencoderKL", {"block_out_channels": (8,), "norm_num_groups": 4},
            {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
             "down_block_types": ("DownEncoderBlock2D",) * 4,
             "up_block_types": ("UpDecoderBlock2D",) * 4}),
            lambda small: {"sample": torch.randn(1, 3, 16 if small else 512, 16 if small else 512)}, note="diffusers"),
        Block("PixArt", _diffusers(
            "PixArtTransformer2DModel",
            {"sample_size": 8, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2,
             "cross_attention_dim": 16, "caption_channels": 12},
            {"sample_size": 64, "caption_channels": 4096}),
            lambda small: {"hidden_states": torch.randn(1, 4, 8 if small else 64, 8 if small else 64),
                "timestep": torch.tensor([10]),
                           "encoder_hidden_states": torch.randn(1, 5 if small else 120, 12 if small else 4096),
                           "added_cond_kwargs": None}, note="diffusers"),
    )  # fmt: skip
