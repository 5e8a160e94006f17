"""Scaled dot-product attention: one layer, whichever kernel computes it."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, broadcast, is_dense, new_like, same_dtype
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# What ATen's fused CPU kernel computes (native/transformers/sdp_utils_cpp.cpp).
_FUSED_DTYPES = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))


def emit_attention(
    t: Tracer,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    y: Tensor,
    *,
    heads: int,
    kv_heads: int,
    batch: int,
    causal: bool = False,
    alignment: str = "top_left",
    scale: float | None = None,
    weights: Tensor | None = None,
    dropout: float = 0.0,
    order: tuple[int, int] = (-2, -1),
    hint: str = "",
) -> None:
    """Emit softmax(scale·q·kᵀ + mask)·v. ``order`` tells which dimensions are the sequence's and the features'.

    ``weights`` is the softmax, where it is a result too. Without a scale it is 1/√D_k.
    """
    sequence, features = order
    qk_dim = q.shape[features]
    attrs: dict[str, Any] = {
        "batch": batch,
        "heads": heads,
        "kv_heads": kv_heads,
        "q_len": q.shape[sequence],
        "kv_len": k.shape[sequence],
        "qk_dim": qk_dim,
        "v_dim": v.shape[features],
        "causal": causal,
        "scale": qk_dim**-0.5 if scale is None else float(scale),
    }
    if causal:
        attrs["causal_alignment"] = alignment
    if dropout:
        attrs["dropout"] = dropout
    outputs = {"y": y} if weights is None else {"y": y, "weights": weights}
    t.emit("attention", {"q": q, "k": k, "v": v, "mask": mask}, outputs, attrs, hint)


def _is_fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, gqa: bool) -> bool:
    """Whether the CPU would run its fused kernel, which lays its result out as the query is."""
    if dropout or q.dim() != 4 or k.dim() != 4 or v.dim() != 4 or q.dtype not in _FUSED_DTYPES:
        return False
    if not q.stride(3) == k.stride(3) == v.stride(3) == 1 or not q.shape[3] == k.shape[3] == v.shape[3]:
        return False
    heads = (q.shape[0], k.shape[1]) if gqa else q.shape[:2]
    if k.shape[:2] != heads or v.shape[:2] != heads or q.shape[0] != k.shape[0]:
        return False
    return mask is None or mask.dim() in (2, 4)


@rule("nn.scaled_dot_product_attention", aten="scaled_dot_product_attention")
def scaled_dot_product_attention(
    t: Tracer,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """(…, heads, L_q, D_k) with (…, heads, L_k, D_k) and (…, heads, L_k, D_v); leading dimensions broadcast."""
    q, k, v, mask = query, key, value, attn_mask
    if not same_dtype(t, q, k, v) or not q.dtype.is_floating_point or min(q.dim(), k.dim(), v.dim()) < 2:
        return NotImplemented
    length, depth = q.shape[-2:]
    kv_length, v_dim = v.shape[-2:]
    if k.shape[-1] != depth or k.shape[-2] != kv_length or 0 in q.shape or 0 in k.shape or 0 in v.shape:
        return NotImplemented
    leading_q, leading_k, leading_v = q.shape[:-2], k.shape[:-2], v.shape[:-2]
    if enable_gqa:
        if min(len(leading_q), len(leading_k), len(leading_v)) < 1:
            return NotImplemented
        heads = leading_q[-1]
        if heads % leading_k[-1] or heads % leading_v[-1]:
            return NotImplemented
        batch: tuple[int, ...] = (*broadcast(leading_q[:-1], leading_k[:-1], leading_v[:-1]), heads)
        kv_heads = leading_k[-1]
    else:
        batch = broadcast(leading_q, leading_k, leading_v)
        # Of three dimensions the first is the batch: samples, or heads of samples folded together.
        heads = batch[-1] if len(batch) > 1 else 1
        kv_heads = leading_k[-1] if len(batch) > 1 and leading_k else 1
    if mask is not None:
        shape = (*batch, length, kv_length)
        if is_causal or mask.dtype not in (torch.bool, torch.float32, q.dtype) or broadcast(mask.shape, shape) != shape:
            return NotImplemented
    if t.forced is not None or not _is_fused(q, k, v, mask, dropout_p, enable_gqa):
        y = t.new((*batch, length, v_dim), q.dtype)
    else:
        y = t.new_strided(q.shape, q.stride(), q.dtype) if is_dense(q) else new_like(t, q)
    samples = prod(batch[:-1] if enable_gqa or len(batch) > 1 else batch)
    emit_attention(
        t, q, k, v, mask, y, heads=heads, kv_heads=kv_heads, batch=samples, causal=is_causal, scale=scale,
        dropout=dropout_p,
    )  # fmt: skip
    return y


# -- the operators beneath: same arguments, other orders, further results --------------------------------------------


def _kernel(t: Tracer, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float | None) -> Any:
    """An operator of ATen on (N, heads, L, D), whose first result is the attention's."""
    y = t.new(q.shape, q.dtype)
    emit_attention(
        t, q, k, v, mask, y, heads=q.shape[1], kv_heads=k.shape[1], batch=q.shape[0], causal=causal, scale=scale
    )  # fmt: skip
    return y


@rule(aten="_scaled_dot_product_flash_attention_for_cpu")
def flash_for_cpu(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, is_causal: bool = False, *,
    attn_mask: Tensor | None = None, scale: float | None = None,
) -> Any:  # fmt: skip
    return _kernel(t, query, key, value, attn_mask, is_causal, scale)


@rule(aten="_scaled_dot_product_flash_attention")
def flash(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, is_causal: bool = False,
    return_debug_mask: bool = False, *, scale: float | None = None,
) -> Any:  # fmt: skip
    return _kernel(t, query, key, value, None, is_causal, scale)


@rule(aten=("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"))
def efficient(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, attn_bias: Tensor | None, compute_log_sumexp: bool,
    dropout_p: float = 0.0, is_causal: bool = False, return_debug_mask: bool = False, *, scale: float | None = None,
) -> Any:  # fmt: skip
    return _kernel(t, query, key, value, attn_bias, is_causal, scale)


@rule(aten="_scaled_dot_product_fused_attention_overrideable")
def overrideable(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, attn_bias: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, return_debug_mask: bool = False, *, scale: float | None = None,
) -> Any:  # fmt: skip
    return _kernel(t, query, key, value, attn_bias, is_causal, scale)


@rule(aten=("_scaled_dot_product_attention_math", "_scaled_dot_product_attention_math_for_mps"))
def mathematics(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, dropout_mask: Tensor | None = None, *, scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:  # fmt: skip
    return _kernel(t, query, key, value, attn_mask, is_causal, scale) if query.dim() == 4 else NotImplemented


def _sequence_first(
    t: Tracer, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, alignment: str, scale: float | None
) -> Any:
    """The kernels' own entry points, on (N, L, heads, D)."""
    y = t.new(q.shape, q.dtype)
    emit_attention(
        t, q, k, v, mask, y, heads=q.shape[2], kv_heads=k.shape[2], batch=q.shape[0], causal=causal,
        alignment=alignment, scale=scale, order=(1, 3),
    )  # fmt: skip
    return y


@rule(aten="_flash_attention_forward")
def flash_forward(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, cum_seq_q: Tensor | None, cum_seq_k: Tensor | None,
    max_q: int, max_k: int, dropout_p: float, is_causal: bool, return_debug_mask: bool, *, scale: float | None = None,
    window_size_left: int | None = None, window_size_right: int | None = None, **others: Any,
) -> Any:  # fmt: skip
    # Sequences of different lengths, windows and paged caches: what is computed depends on values, or on more rules.
    windows = (window_size_left, window_size_right)
    if cum_seq_q is not None or cum_seq_k is not None or any(w not in (None, -1) for w in windows):
        return NotImplemented
    if any(value is not None for value in others.values()):
        return NotImplemented
    # FlashAttention aligns the last query with the last key since its version 2.1.
    return _sequence_first(t, query, key, value, None, is_causal, "bottom_right", scale)


_MASK_TYPES = {0: (False, "top_left"), 1: (True, "top_left"), 2: (True, "bottom_right")}


@rule(aten="_efficient_attention_forward")
def efficient_forward(
    t: Tracer, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, cu_seqlens_q: Tensor | None,
    cu_seqlens_k: Tensor | None, max_seqlen_q: int | None, max_seqlen_k: int | None, dropout_p: float,
    custom_mask_type: int, compute_log_sumexp: bool = False, *, scale: float | None = None,
    seqlen_k: Tensor | None = None, window_size: int | None = None,
) -> Any:  # fmt: skip
    if cu_seqlens_q is not None or cu_seqlens_k is not None or seqlen_k is not None or window_size not in (None, -1):
        return NotImplemented
    causal, alignment = _MASK_TYPES[custom_mask_type]
    return _sequence_first(t, query, key, value, bias, causal, alignment, scale)
