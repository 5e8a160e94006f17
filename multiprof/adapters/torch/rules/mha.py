"""`nn.MultiheadAttention`: projections into the heads, attention, and the projection out of them.

torch runs ``F.multi_head_attention_forward`` as one call, which is taken apart here as its own Python code does, step
by step, with the attention itself one layer whether or not its weights are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.rules._common import Tensor, between, same_dtype
from multiprof.adapters.torch.rules.attention import emit_attention, scaled_dot_product_attention
from multiprof.adapters.torch.rules.linear import contract
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

# torch's own checks; its stubs do not list them.
_check_shapes: Callable[..., bool] = vars(F)["_mha_shape_check"]
_canonical_mask: Callable[..., Any] = vars(F)["_canonical_mask"]

_View = torch.Tensor.view
_Permute = torch.Tensor.permute


def reshaped(t: Tracer, x: Tensor, *shape: int) -> Tensor:
    return t.view("reshape", x, _View(x, shape), {"shape": shape})


def permuted(t: Tracer, x: Tensor, *perm: int) -> Tensor:
    return t.view("transpose", x, _Permute(x, perm), {"perm": perm})


def copied(t: Tracer, x: Tensor) -> Tensor:
    """``x.contiguous()`` where that is no identity."""
    y = between(x.shape, x.dtype)
    t.emit("copy", {"x": x}, {"y": y})
    return y


def flattened(t: Tracer, x: Tensor, *shape: int) -> Tensor:
    """``x.reshape(shape)``: a view where the strides allow it, else a copy."""
    try:
        return reshaped(t, x, *shape)
    except RuntimeError:
        return reshaped(t, copied(t, x), *shape)


def by_torch(t: Tracer, function: Callable[..., Any], *args: Any) -> Any:
    """Run Python code of torch's under the rules again."""
    source = t.source
    with ShapeMode(t):
        result = function(*args)
    t.source = source
    return result


def project(t: Tracer, x: Tensor, weight: Tensor, bias: Tensor | None, hint: str, y: Tensor | None = None) -> Tensor:
    """A linear layer of the module, named after its weight."""
    out_features, in_features = weight.shape
    if x.shape[-1] != in_features or (bias is not None and bias.shape != (out_features,)):
        raise ValueError(hint)
    if y is None:
        y = between((*x.shape[:-1], out_features), x.dtype)
    contract(t, x, weight, bias, y, in_features, out_features, hint)
    return y


def _parts(t: Tracer, x: Tensor | None, sizes: tuple[int, ...]) -> tuple[Any, ...]:
    """Pieces of a packed weight or bias."""
    if x is None:
        return (None,) * len(sizes)
    pieces = torch.Tensor.split_with_sizes(x, sizes)
    t.views("split", x, pieces, {"axis": 0, "sizes": sizes})
    return tuple(pieces)


def _unpacked(t: Tracer, x: Tensor, n: int) -> tuple[Tensor, ...]:
    """(L, N, n·E) → n tensors (L, N, E), each in one piece of memory."""
    length, batch, width = x.shape
    apart = permuted(t, reshaped(t, x, length, batch, n, width // n), 2, 0, 1, 3)
    if not apart.is_contiguous():
        apart = copied(t, apart)
    pieces = torch.Tensor.unbind(apart)
    t.views("split", apart, pieces, {"axis": 0, "sizes": (1,) * n})
    return tuple(pieces)


def _projected(t: Tracer, q: Tensor, k: Tensor, v: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Queries, keys and values by one packed weight (3·E, E): as few products as the inputs allow."""
    width = q.shape[-1]
    if k is v and q is k:
        return _unpacked(t, project(t, q, weight, bias, "in_proj"), 3)
    if k is v:
        w_q, w_kv = _parts(t, weight, (width, 2 * width))
        b_q, b_kv = _parts(t, bias, (width, 2 * width))
        return (
            project(t, q, w_q, b_q, "q_proj"),
            *_unpacked(t, project(t, k, w_kv, b_kv, "kv_proj"), 2),
        )
    ws, bs, hints = _parts(t, weight, (width,) * 3), _parts(t, bias, (width,) * 3), ("q_proj", "k_proj", "v_proj")
    return tuple(project(t, x, w, b, hint) for x, w, b, hint in zip((q, k, v), ws, bs, hints, strict=True))


def _checked_mask(mask: Tensor | None, length: int, kv_length: int, folded: int) -> Tensor | None:
    """The attention mask with three dimensions; raises on a shape that torch refuses."""
    if mask is None:
        return None
    if mask.shape == (length, kv_length):
        return mask.unsqueeze(0)
    if mask.shape != (folded, length, kv_length):
        raise ValueError("attn_mask")
    return mask


def _extended(
    batch: int, heads: int, depth: int, k: Tensor, v: Tensor, mask: Any, padding: Any, bias_k: Any, bias_v: Any,
    static_k: Any, static_v: Any, zero: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Keys and values (S, N, E) as (N·heads, S, D), with what some modules append to them; the masks grow along."""
    folded = batch * heads
    if bias_k is not None:
        k = torch.cat([k, bias_k.repeat(1, batch, 1)])
        v = torch.cat([v, bias_v.repeat(1, batch, 1)])
        mask = None if mask is None else F.pad(mask, (0, 1))
        padding = None if padding is None else F.pad(padding, (0, 1))
    k = k.view(k.shape[0], folded, depth).transpose(0, 1) if static_k is None else static_k
    v = v.view(v.shape[0], folded, depth).transpose(0, 1) if static_v is None else static_v
    if zero:
        shape = (folded, 1, depth)
        k = torch.cat([k, torch.zeros(shape, dtype=k.dtype, device=k.device)], dim=1)
        v = torch.cat([v, torch.zeros(shape, dtype=v.dtype, device=v.device)], dim=1)
        mask = None if mask is None else F.pad(mask, (0, 1))
        padding = None if padding is None else F.pad(padding, (0, 1))
    return k, v, mask, padding


def _merged(mask: Any, padding: Any, batch: int, heads: int, kv_length: int) -> Any:
    """One mask of both."""
    if padding.shape != (batch, kv_length):
        raise ValueError("key_padding_mask")
    padding = padding.view(batch, 1, 1, kv_length).expand(-1, heads, -1, -1).reshape(batch * heads, 1, kv_length)
    return padding if mask is None else mask + padding


@rule("F.multi_head_attention_forward")
def multi_head_attention_forward(
    t: Tracer,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """(L, N, E) or (L, E) in and out; raises on whatever torch would refuse, so that torch says why."""
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    q, k, v = query, key, value
    if not same_dtype(t, q, k, v) or not q.dtype.is_floating_point or (bias_k is None) != (bias_v is None):
        return NotImplemented
    if not batched:
        q = t.view("reshape", query, query.unsqueeze(1), {"shape": (query.shape[0], 1, query.shape[1])})
        k = q if key is query else t.view("reshape", key, key.unsqueeze(1), {"shape": (key.shape[0], 1, key.shape[1])})
        v = (
            k
            if value is key
            else t.view("reshape", value, value.unsqueeze(1), {"shape": (value.shape[0], 1, value.shape[1])})
        )
    length, batch, width = q.shape
    depth = width // num_heads
    folded = batch * num_heads
    if width != embed_dim_to_check or depth * num_heads != width or 0 in q.shape or 0 in k.shape:
        raise ValueError("sizes")
    if k.shape[:2] != v.shape[:2] or (not use_separate_proj_weight and k.shape != v.shape) or k.shape[1] != batch:
        raise ValueError("key and value")
    padding, mask = key_padding_mask, attn_mask
    if padding is not None:
        if not batched:
            padding = t.view("reshape", padding, padding.unsqueeze(0), {"shape": (1, *padding.shape)})
        other = None if mask is None else mask.dtype
        padding = by_torch(t, _canonical_mask, padding, "key_padding_mask", other, "attn_mask", q.dtype)
    if is_causal and mask is None:
        raise ValueError("is_causal")
    if is_causal and padding is None and not need_weights:
        mask = None
    elif mask is not None:
        mask = by_torch(t, _canonical_mask, mask, "attn_mask", None, "", q.dtype, False)
    if padding is not None:
        is_causal = False

    if not use_separate_proj_weight:
        if in_proj_weight is None or in_proj_weight.shape != (3 * width, width):
            raise ValueError("in_proj_weight")
        q, k, v = _projected(t, q, k, v, in_proj_weight, in_proj_bias)
    else:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(w is None or w.shape != (width, x.shape[-1]) for w, x in zip(weights, (q, k, v), strict=True)):
            raise ValueError("separate weights")
        b_q, b_k, b_v = _parts(t, in_proj_bias, (width,) * 3)
        q = project(t, q, weights[0], b_q, "q_proj")  # type: ignore[arg-type]  # checked above
        k = project(t, k, weights[1], b_k, "k_proj")  # type: ignore[arg-type]
        v = project(t, v, weights[2], b_v, "v_proj")  # type: ignore[arg-type]

    mask = by_torch(t, _checked_mask, mask, length, k.shape[0], folded)
    q = permuted(t, reshaped(t, q, length, batch, num_heads, depth), 1, 2, 0, 3)
    if bias_k is None and static_k is None and static_v is None and not add_zero_attn:
        kv_length = k.shape[0]
        k = permuted(t, reshaped(t, k, kv_length, batch, num_heads, depth), 1, 2, 0, 3)
        v = permuted(t, reshaped(t, v, kv_length, batch, num_heads, depth), 1, 2, 0, 3)
    else:
        extra = (bias_k, bias_v, static_k, static_v, add_zero_attn)
        k, v, mask, padding = by_torch(t, _extended, batch, num_heads, depth, k, v, mask, padding, *extra)
        kv_length = k.shape[1]
        k = reshaped(t, k, batch, num_heads, kv_length, depth)
        v = reshaped(t, v, batch, num_heads, kv_length, depth)
    if padding is not None:
        mask = by_torch(t, _merged, mask, padding, batch, num_heads, kv_length)
    if mask is not None:
        ours = (1, 1) if mask.shape[0] == 1 else (batch, num_heads)
        mask = reshaped(t, mask, *ours, mask.shape[1], kv_length)

    scores: Tensor | None = None
    dropout = dropout_p if training else 0.0
    if need_weights:
        if is_causal and mask is None:
            raise ValueError("is_causal")
        y = between((batch, num_heads, length, depth), q.dtype)
        scores = between((batch, num_heads, length, kv_length), q.dtype)
        emit_attention(
            t, q, k, v, mask, y, heads=num_heads, kv_heads=num_heads, batch=batch, weights=scores, dropout=dropout
        )  # fmt: skip
    else:
        y = scaled_dot_product_attention(t, q, k, v, mask, dropout, is_causal)
        if y is NotImplemented:
            raise ValueError("attention")
    y = flattened(t, permuted(t, y, 2, 0, 1, 3), length * batch, width)
    y = project(t, y, out_proj_weight, out_proj_bias, "out_proj")
    y = reshaped(t, y, length, batch, y.shape[1])
    if scores is not None and average_attn_weights:
        mean = between((batch, length, kv_length), q.dtype)
        t.emit("mean", {"x": scores}, {"y": mean}, {"axis": (1,), "keepdim": False})
        scores = mean
    if not batched:
        y = t.view("reshape", y, y.squeeze(1), {"shape": (length, y.shape[2])})
        if scores is not None:
            scores = t.view("reshape", scores, scores.squeeze(0), {"shape": tuple(scores.shape[1:])})
    return y, scores
