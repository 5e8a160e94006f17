"""The fused calls of `nn.TransformerEncoderLayer` and `nn.MultiheadAttention`, taken apart.

Under a function mode torch's modules do not take their fast path; these are for programs that call it themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, between, same_dtype
from multiprof.adapters.torch.rules.attention import emit_attention
from multiprof.adapters.torch.rules.mha import flattened, permuted, project, reshaped
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule("torch._nested_tensor_from_mask_left_aligned")
def left_aligned(t: Tracer, input: Tensor, mask: Tensor) -> Any:
    """Whether a padded batch can become a nested tensor: no, so that nn.TransformerEncoder works on the padded one."""
    return False


def _heads(t: Tracer, x: Tensor, heads: int) -> Tensor:
    """(N, L, E) → (N, heads, L, E / heads)."""
    batch, length, width = x.shape
    return permuted(t, reshaped(t, x, batch, length, heads, width // heads), 0, 2, 1, 3)


def _attend(
    t: Tracer, inputs: tuple[Tensor, Tensor, Tensor], heads: int, weights: tuple[Tensor, Tensor, Tensor, Tensor],
    mask: Tensor | None, y: Tensor, scores: Tensor | None = None,
) -> None:  # fmt: skip
    """Attention on (N, L, E) from the projections into the heads to the one out of them, which makes ``y``."""
    query, key, value = inputs
    w_in, b_in, w_out, b_out = weights
    width = query.shape[-1]
    if width % heads or w_in.shape != (3 * width, width):
        raise ValueError("qkv_weight")
    thirds = (width,) * 3
    if key is query and value is query:
        packed = project(t, query, w_in, b_in, "in_proj")
        parts: Sequence[Tensor] = torch.Tensor.split_with_sizes(packed, thirds, -1)
        t.views("split", packed, parts, {"axis": 2, "sizes": thirds})
    else:
        ws, bs = torch.Tensor.split_with_sizes(w_in, thirds), torch.Tensor.split_with_sizes(b_in, thirds)
        t.views("split", w_in, ws, {"axis": 0, "sizes": thirds})
        t.views("split", b_in, bs, {"axis": 0, "sizes": thirds})
        hints = ("q_proj", "k_proj", "v_proj")
        parts = [project(t, x, w, b, hint) for x, w, b, hint in zip(inputs, ws, bs, hints, strict=True)]
    q, k, v = (_heads(t, x, heads) for x in parts)
    batch, _, length, depth = q.shape
    attended = between((batch, heads, length, depth), query.dtype)
    emit_attention(t, q, k, v, mask, attended, heads=heads, kv_heads=heads, batch=batch, weights=scores)
    project(t, flattened(t, permuted(t, attended, 0, 2, 1, 3), batch, length, width), w_out, b_out, "out_proj", y)


@rule("torch._native_multi_head_attention", aten="_native_multi_head_attention")
def native_multi_head_attention(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_head: int, qkv_weight: Tensor,
    qkv_bias: Tensor, proj_weight: Tensor, proj_bias: Tensor, mask: Tensor | None = None, need_weights: bool = True,
    average_attn_weights: bool = True, mask_type: int | None = None,
) -> Any:  # fmt: skip
    if query.dim() != 3 or query.is_nested or not same_dtype(t, query, key, value) or 0 in (*query.shape, *key.shape):
        return NotImplemented
    batch, length, kv_length = query.shape[0], query.shape[1], key.shape[1]
    y = t.new(query.shape, query.dtype)
    inputs, weights = (query, key, value), (qkv_weight, qkv_bias, proj_weight, proj_bias)
    if not need_weights:
        _attend(t, inputs, num_head, weights, mask, y)
        return y, None
    if not average_attn_weights:
        scores = t.new((batch, num_head, length, kv_length), query.dtype)
        _attend(t, inputs, num_head, weights, mask, y, scores)
        return y, scores
    mean = t.new((batch, length, kv_length), query.dtype)
    scores = between((batch, num_head, length, kv_length), query.dtype)
    _attend(t, inputs, num_head, weights, mask, y, scores)
    t.emit("mean", {"x": scores}, {"y": mean}, {"axis": (1,), "keepdim": False})
    return y, mean


@rule("torch._transformer_encoder_layer_fwd", aten="_transformer_encoder_layer_fwd")
def transformer_encoder_layer(
    t: Tracer, src: Tensor, embed_dim: int, num_heads: int, qkv_weight: Tensor, qkv_bias: Tensor, proj_weight: Tensor,
    proj_bias: Tensor, use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Tensor, norm_bias_1: Tensor,
    norm_weight_2: Tensor, norm_bias_2: Tensor, ffn_weight_1: Tensor, ffn_bias_1: Tensor, ffn_weight_2: Tensor,
    ffn_bias_2: Tensor, mask: Tensor | None = None, mask_type: int | None = None,
) -> Any:  # fmt: skip
    if src.dim() != 3 or src.is_nested or not same_dtype(t, src, qkv_weight) or 0 in src.shape:
        return NotImplemented
    shape, dtype, width = src.shape, src.dtype, src.shape[-1]
    result = t.new(shape, dtype)

    def norm(x: Tensor, weight: Tensor, bias: Tensor, hint: str, y: Tensor | None = None) -> Tensor:
        y = between(shape, dtype) if y is None else y
        attrs = {"eps": eps, "normalized_size": width}
        t.emit("layer_norm", {"x": x, "weight": weight, "bias": bias}, {"y": y}, attrs, hint)
        return y

    def plus(x: Tensor, added: Tensor, y: Tensor | None = None) -> Tensor:
        y = between(shape, dtype) if y is None else y
        t.emit("add", {"x0": x, "x1": added}, {"y": y}, {})
        return y

    def attention(x: Tensor) -> Tensor:
        y = between(shape, dtype)
        _attend(t, (x, x, x), num_heads, (qkv_weight, qkv_bias, proj_weight, proj_bias), mask, y)
        return y

    def feed_forward(x: Tensor) -> Tensor:
        hidden = project(t, x, ffn_weight_1, ffn_bias_1, "linear1")
        active = between(hidden.shape, dtype)
        if use_gelu:
            t.emit("gelu", {"x": hidden}, {"y": active}, {"approximate": "none"})
        else:
            t.emit("relu", {"x": hidden}, {"y": active})
        return project(t, active, ffn_weight_2, ffn_bias_2, "linear2")

    if norm_first:
        x = plus(src, attention(norm(src, norm_weight_1, norm_bias_1, "norm1")))
        return plus(x, feed_forward(norm(x, norm_weight_2, norm_bias_2, "norm2")), result)
    x = norm(plus(src, attention(src)), norm_weight_1, norm_bias_1, "norm1")
    return norm(plus(x, feed_forward(x)), norm_weight_2, norm_bias_2, "norm2", result)
