"""Attention: N·heads·L_q·L_k·(D_k + D_v), whoever writes it, and whatever the mask; and the layers around it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn, randn

from accuracy.battery import Call, case

N, L, D, H = 2, 32, 256, 4  # batch, tokens, width, heads
PROJECTIONS = 4 * N * L * D * D
PRODUCTS = 2 * N * L * L * D
FEED = 2 * N * L * D * 512  # two linear layers, to 512 and back


@case("scaled_dot_product_attention", PRODUCTS)
def sdpa() -> Any:
    q, k, v = (randn(N, H, L, D // H) for _ in range(3))
    return Call(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v)), (q, k, v)


@case("sdpa, causal", PRODUCTS, note="counted in full")
def sdpa_causal() -> Any:
    q, k, v = (randn(N, H, L, D // H) for _ in range(3))
    return Call(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)), (q, k, v)


@case("sdpa, 4 heads of queries on 2 of keys; values of 32", N * 4 * 16 * 24 * (64 + 32))
def sdpa_grouped() -> Any:
    arguments = randn(N, 4, 16, 64), randn(N, 2, 24, 64), randn(N, 2, 24, 32)
    return Call(lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)), arguments


@case("attention by hand: two products and a softmax", PRODUCTS)
def by_hand() -> Any:
    q, k, v = (randn(N, H, L, D // H) for _ in range(3))
    return Call(lambda m, q, k, v: (q @ k.transpose(-2, -1) * 0.125).softmax(-1) @ v), (q, k, v)


@case("MultiheadAttention", PROJECTIONS + PRODUCTS, 4 * N * L * D)
def mha() -> Any:
    x = randn(N, L, D)
    return nn.MultiheadAttention(D, H, batch_first=True), (x, x, x)


@case("MultiheadAttention, no weights returned", PROJECTIONS + PRODUCTS, 4 * N * L * D)
def mha_quiet() -> Any:
    x = randn(N, L, D)
    return nn.MultiheadAttention(D, H, batch_first=True), (x, x, x), {"need_weights": False}


@case("MultiheadAttention, keys of 96 and values of 160",
      N * L * D * D * 2 + N * 48 * (96 + 160) * D + 2 * N * L * 48 * D, N * (2 * L + 2 * 48) * D)  # fmt: skip
def mha_wide() -> Any:
    module = nn.MultiheadAttention(D, H, kdim=96, vdim=160, batch_first=True)
    return module, (randn(N, L, D), randn(N, 48, 96), randn(N, 48, 160))


@case("TransformerEncoderLayer", PROJECTIONS + PRODUCTS + FEED, N * L * (4 * D + 512 + D))
def encoder_layer() -> Any:
    return nn.TransformerEncoderLayer(D, H, 512, batch_first=True), randn(N, L, D)


@case("TransformerEncoder of 2, sequence first", 2 * (PROJECTIONS + PRODUCTS + FEED), 2 * N * L * (4 * D + 512 + D))
def encoder() -> Any:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(D, H, 512), 2, enable_nested_tensor=False), randn(L, N, D)


@case("TransformerDecoderLayer", 2 * (PROJECTIONS + PRODUCTS) + FEED, N * L * (8 * D + 512 + D))
def decoder_layer() -> Any:
    return nn.TransformerDecoderLayer(D, H, 512, batch_first=True), (randn(N, L, D), randn(N, L, D))


@case("Transformer, 1 + 1 layers", 3 * (PROJECTIONS + PRODUCTS) + 2 * FEED, N * L * (12 * D + 2 * (512 + D)))
def transformer() -> Any:
    return nn.Transformer(D, H, 1, 1, 512, batch_first=True), (randn(N, L, D), randn(N, L, D))


class Block(nn.Module):
    """GPT-2's block: causal attention and a perceptron of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(width, 2)
        q, k, v = (t.view(n, length, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(n, length, width))
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


@case("GPT-2's block, 64 tokens", 12 * 64 * 768 * 768 + 2 * 64 * 64 * 768, 64 * 9 * 768)
def gpt2_block() -> Any:
    return Block(768, 12), randn(1, 64, 768)


class LlamaBlock(nn.Module):
    """Llama's: grouped queries, rotated; a gated perceptron."""

    def __init__(self, width: int, heads: int, shared: int, hidden: int) -> None:
        super().__init__()
        self.heads, self.shared, self.size = heads, shared, width // heads
        self.q, self.o = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.k, self.v = (nn.Linear(width, shared * self.size, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)

    def rotate(self, x: Any) -> Any:
        angle = torch.arange(x.shape[2], device=x.device)[:, None] * torch.ones(self.size, device=x.device)
        a, b = x.chunk(2, -1)
        return x * angle.cos() + torch.cat((-b, a), -1) * angle.sin()

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        y = self.norm1(x)
        q = self.rotate(self.q(y).view(n, length, self.heads, self.size).transpose(1, 2))
        k = self.rotate(self.k(y).view(n, length, self.shared, self.size).transpose(1, 2))
        v = self.v(y).view(n, length, self.shared, self.size).transpose(1, 2)
        k, v = (t.repeat_interleave(self.heads // self.shared, 1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(n, length, width))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


@case("Llama's block, 32 tokens", 32 * (2 * 512 * 512 + 2 * 512 * 128 + 3 * 512 * 1376) + 2 * 32 * 32 * 512)
def llama_block() -> Any:
    return LlamaBlock(512, 8, 2, 1376), randn(1, 32, 512)
