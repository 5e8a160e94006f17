"""Scaled dot-product attention and rotary positions."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, broadcast, rule


def _order(shape: tuple[int, ...], batch: int, heads: int, length: int, width: int) -> str:
    """Which dimensions a query, key, value or result has: b, h, l, d; parentheses hold joined ones."""
    forms = {
        "bhld": (batch, heads, length, width),
        "blhd": (batch, length, heads, width),
        "bl(hd)": (batch, length, heads * width),
        "(bh)ld": (batch * heads, length, width),
        "lb(hd)": (length, batch, heads * width),
        "hld": (heads, length, width) if batch == 1 else None,
        "lhd": (length, heads, width) if batch == 1 else None,
        "bld": (batch, length, width) if heads == 1 else None,
        "ld": (length, width) if batch == heads == 1 else None,
        "l(hd)": (length, heads * width) if batch == 1 else None,
    }
    for name, form in forms.items():
        if form == shape:
            return name
    if shape[-2:] == (length, width) and torch.Size(shape).numel() == batch * heads * length * width:
        return "(bh)ld"  # several leading dimensions
    raise NotLoweredError(f"a tensor {shape} of {batch}×{heads} heads of {length}×{width}")


def _opened(order: str, batch: int, heads: int, length: int, width: int) -> Callable[[Tensor], Tensor]:
    """(N, heads, L, D)."""
    if order == "bhld":
        return lambda t: t
    if order in ("blhd", "bl(hd)", "lhd", "l(hd)"):
        return lambda t: t.reshape(batch, length, heads, width).transpose(1, 2)
    if order == "lb(hd)":
        return lambda t: t.reshape(length, batch, heads, width).permute(1, 2, 0, 3)
    return lambda t: t.reshape(batch, heads, length, width)


def _closed(order: str, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    if order == "bhld":
        return lambda t: t
    if order in ("blhd", "bl(hd)", "lhd", "l(hd)"):
        return lambda t: t.transpose(1, 2).reshape(shape)
    if order == "lb(hd)":
        return lambda t: t.permute(2, 0, 1, 3).reshape(shape)
    return lambda t: t.reshape(shape)


@rule("attention")
def attention(layer: Layer, context: Context) -> Kernel:
    a = layer.attrs
    batch, heads, kv_heads = int(a["batch"]), int(a["heads"]), int(a["kv_heads"])
    q_len, kv_len, qk_dim, v_dim = int(a["q_len"]), int(a["kv_len"]), int(a["qk_dim"]), int(a["v_dim"])
    shapes = {role: shape_of(spec) for role, spec in layer.inputs.items()}
    y = shape_of(layer.y)
    orders = {
        "q": (_order(shapes["q"], batch, heads, q_len, qk_dim), batch, heads, q_len, qk_dim),
        "k": (_order(shapes["k"], batch, kv_heads, kv_len, qk_dim), batch, kv_heads, kv_len, qk_dim),
        "v": (_order(shapes["v"], batch, kv_heads, kv_len, v_dim), batch, kv_heads, kv_len, v_dim),
    }
    open_q, open_k, open_v = (_opened(*orders[role]) for role in "qkv")
    close = _closed(_order(y, batch, heads, q_len, v_dim), y)
    scale = a.get("scale")
    scale = 1 / sqrt(qk_dim) if scale is None else float(scale)
    causal, softcap = bool(a.get("causal")), a.get("softcap")
    fixed = {}
    windowed = a.get("left_window_size") is not None or a.get("right_window_size") is not None
    aligned = q_len == kv_len or a.get("causal_alignment", "top_left") == "top_left"
    built_in = causal and aligned and not windowed and "mask" not in shapes
    if (causal and not built_in) or windowed:
        fixed["seen"] = _seen(q_len, kv_len, causal, a.get("causal_alignment"), a)
    mask_shape = shapes.get("mask")
    see = _masker(mask_shape, batch, heads, q_len, kv_len) if mask_shape is not None else None
    weights = layer.outputs.get("weights")
    shared = heads != kv_heads

    def masks(mask: Tensor | None, seen: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        if mask is not None and see is not None:
            mask = see(mask)
            if mask.dtype != torch.bool and mask.dtype != dtype:
                mask = mask.to(dtype)
        if seen is None or mask is None:
            return seen if mask is None else mask
        return mask & seen if mask.dtype == torch.bool else mask.masked_fill(~seen, float("-inf"))

    if weights is None and not softcap:

        def run(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
            return close(
                F.scaled_dot_product_attention(
                    open_q(q), open_k(k), open_v(v), masks(mask, seen, q.dtype), is_causal=built_in, scale=scale,
                    enable_gqa=shared,
                )
            )  # fmt: skip

        return Kernel(run, fixed=fixed)
    if built_in:
        fixed["seen"] = _seen(q_len, kv_len, True, "top_left", a)
    shown = shape_of(weights) if weights is not None else ()

    def stepwise(
        q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, seen: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        keys, values = open_k(k), open_v(v)
        if shared:
            keys = keys.repeat_interleave(heads // kv_heads, 1)
            values = values.repeat_interleave(heads // kv_heads, 1)
        scores = torch.matmul(open_q(q) * scale, keys.transpose(-1, -2))
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        joint = masks(mask, seen, q.dtype)
        if joint is not None:
            scores = scores.masked_fill(~joint, float("-inf")) if joint.dtype == torch.bool else scores + joint
        share = torch.softmax(scores, -1)
        result = close(torch.matmul(share, values))
        if weights is None:
            return result
        if share.numel() != torch.Size(shown).numel():
            share = share.mean(1)
        return result, share.reshape(shown)

    return Kernel(stepwise, fixed=fixed)


def _seen(q_len: int, kv_len: int, causal: bool, alignment: str | None, a: object) -> Tensor:
    """Which keys each query sees."""
    attrs = dict(a) if isinstance(a, dict) else {}
    offset = kv_len - q_len if alignment == "bottom_right" else 0
    place = torch.arange(kv_len)[None] - (torch.arange(q_len)[:, None] + offset)
    seen = place <= 0 if causal else torch.ones_like(place, dtype=torch.bool)
    left, right = attrs.get("left_window_size"), attrs.get("right_window_size")
    if left is not None:
        seen &= place >= -int(left)
    if right is not None:
        seen &= place <= int(right)
    return seen


def _masker(shape: tuple[int, ...], batch: int, heads: int, q_len: int, kv_len: int) -> Callable[[Tensor], Tensor]:
    """A mask as (N, heads, L_q, L_k), or what broadcasts to it; one of (N, L_k) is about keys."""
    wanted = (batch, heads, q_len, kv_len)
    if broadcast(shape, wanted) == wanted:
        return lambda mask: mask
    if shape == (batch, kv_len):
        return lambda mask: mask[:, None, None]
    if shape == (batch, q_len, kv_len):
        return lambda mask: mask[:, None]
    if torch.Size(shape).numel() == torch.Size(wanted).numel():
        return lambda mask: mask.reshape(wanted)
    raise NotLoweredError(f"a mask {shape} on {wanted}")


@rule("rotary_embedding")
def rotary(layer: Layer, context: Context) -> Kernel:
    """Tables of angles that are not given, or whose positions are elsewhere, are made for positions 0, 1, …"""
    a, x = layer.attrs, shape_of(layer.x)
    heads = int(a.get("heads") or 1)
    width = x[-1] // heads
    turned = int(a.get("rotary_dim") or 0) or width
    half = turned // 2
    inner = (*x[:-1], heads, width)
    length = x[-2] if len(x) < 4 else max(x[1:3])
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(half)[None] / max(half, 1))
    across = (length, 1) if len(x) < 4 else ((length, 1, 1) if x[1] == length else (1, length, 1))
    dtype = context.type_of(layer.x)
    fixed = {
        "own_cos": angle.cos().reshape(*across, half).to(dtype),
        "own_sin": angle.sin().reshape(*across, half).to(dtype),
    }
    interleaved = bool(a.get("interleaved"))

    def run(
        x: Tensor, own_cos: Tensor, own_sin: Tensor, cos: Tensor | None = None, sin: Tensor | None = None
    ) -> Tensor:
        apart = x.reshape(inner)
        part, rest = apart[..., :turned], apart[..., turned:]
        first, second = (part[..., ::2], part[..., 1::2]) if interleaved else (part[..., :half], part[..., half:])
        left, right = first * own_cos - second * own_sin, first * own_sin + second * own_cos
        joined = torch.stack((left, right), -1).flatten(-2) if interleaved else torch.cat((left, right), -1)
        return torch.cat((joined, rest), -1).reshape(x.shape)

    return Kernel(run, fixed=fixed, notes=("angles are those of the positions 0, 1, …",))
