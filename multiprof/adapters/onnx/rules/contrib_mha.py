"""ONNX Runtime's attentions of given queries, keys and values: with caches, grouped heads and rotation by position."""

from __future__ import annotations

from dataclasses import dataclass

from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Found, Operand, divided, float_attr, int_attr, like_first, ranked
from multiprof.adapters.onnx.rules.attention import emit_rotary
from multiprof.adapters.onnx.rules.contrib_attention import (
    Dim,
    Heads,
    emit,
    extended,
    heads_of,
    one_mask,
    piece,
    split_columns,
    total_length,
)
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec


def _biased(node: Node, parts: list[Operand], bias: Tensor | None) -> list[Operand]:
    """A piece of the bias added to each of queries, keys and values."""
    if bias is None:
        return parts
    made: list[Operand] = []
    for part, name in zip(parts, "qkv", strict=True):
        if len(part.shape) != 3:
            made.append(part)  # a cache, which has it already
            continue
        total = node.between(part.shape, node.y.dtype, name)
        node.layer("add", {"x0": part, "x1": piece(bias.spec, part.shape[-1])}, total, suffix=f"{name}_bias")
        made.append(total)
    return made


def _apart(node: Node, heads: int) -> tuple[Operand, Operand, Operand]:
    """Queries, keys and values (N, L, heads·D), which may lie packed in tensors (N, L, heads, 3 or 2, D)."""
    q, k, v = node.need(0), node.input(1), node.input(2)
    if k is not None and v is not None:
        return q, k, v
    packed = q if k is None else k
    if packed.rank != 5:
        raise ModelError(f"{node.where}: packed operands {packed.shape}")
    batch, length, _, count, depth = packed.shape
    width = None if depth is None else heads * depth
    names = "qkv" if k is None else "kv"
    if count != len(names):
        raise ModelError(f"{node.where}: packed operands {packed.shape}")
    parts: list[Operand] = [node.between((batch, length, width), packed.dtype, name) for name in names]
    node.layer(
        "split", {"x": packed}, {f"y{i}": _spec(part) for i, part in enumerate(parts)}, {"axis": 3}, suffix="split"
    )
    q_part, k_part, v_part = parts if k is None else [q, *parts]
    return q_part, k_part, v_part


def _spec(operand: Operand) -> TensorSpec:
    return operand.spec if isinstance(operand, Tensor) else operand


@dataclass(slots=True)
class Places:
    """At which operand an operator has what."""

    bias: int
    padding: int
    added: int
    past: int
    known: int


def multi_head(places: Places, decoding: bool = False) -> Rule:
    """MultiHeadAttention, and DecoderMaskedMultiHeadAttention, which has its operands in another order."""

    def rule(node: Node) -> None:
        heads = heads_of(node)
        packed_qkv = decoding and node.input(1) is None
        if packed_qkv:
            widths = [divided(node.need(0).shape[-1], 3)] * 3
            q, k, v = split_columns(node, node.need(0), widths, "split")
            parts: list[Operand] = [q, k, v]
        else:
            parts = list(_apart(node, heads))
        q, k, v = (_spec(part) for part in _biased(node, parts, node.input(places.bias)))
        if len(q.shape) != 3:
            raise ModelError(f"{node.where}: queries {q.shape}")
        batch, q_len, width = q.shape
        past_k, past_v = node.input(places.past), node.input(places.past + 1)
        cached = len(k.shape) == 4
        new_len = k.shape[2] if cached else k.shape[1]
        room = past_k.shape[2] if past_k is not None and past_k.rank == 4 else None
        shared = bool(int_attr(node, "past_present_share_buffer", 0)) or node.input(places.known) is not None
        kv_len = new_len
        if past_k is not None:
            kv_len = total_length(node, room, new_len, node.input(places.known), shared)
        v_dim = v.shape[3] if cached else divided(v.shape[2], heads)
        h = Heads(q, k, v, batch, q_len, kv_len, heads, heads, divided(width, heads), v_dim)
        held = room if shared and past_k is not None else kv_len
        h.k = extended(node, h.k, past_k, node.output(1), (batch, heads, held, h.qk_dim), "past_key")
        h.v = extended(node, h.v, past_v, node.output(2), (batch, heads, held, v_dim), "past_value")
        mask = one_mask(node, node.input(places.added), node.input(places.padding))
        emit(node, h, node.y, mask, bool(int_attr(node, "unidirectional", 0)), node.output(3))

    return rule


def infer_multi_head(places: Places, decoding: bool = False) -> Infer:
    def infer(node: Node) -> Found:
        q, k, v, heads = node.need(0), node.input(1), node.input(2), heads_of(node)
        batch, q_len = q.shape[:2]
        if q.rank == 5:
            width, kv_new, v_width = None if q.shape[4] is None else heads * q.shape[4], q_len, None
            v_width = width
        elif k is None:
            width = v_width = divided(q.shape[-1], 3)
            kv_new = q_len
        elif v is None or v.rank == 4 or k.rank == 5:
            width = v_width = q.shape[-1]
            kv_new = k.shape[2] if k.rank == 4 else k.shape[1]
        else:
            width, v_width, kv_new = q.shape[-1], v.shape[-1], k.shape[1]
        past = node.input(places.past)
        total = kv_new
        if past is not None and past.rank == 4:
            room = past.shape[2]
            shared = int_attr(node, "past_present_share_buffer", 0) or node.input(places.known) is not None
            total = room if shared else None if room is None or kv_new is None else room + kv_new
        keys = (batch, heads, total, divided(width, heads))
        values = (batch, heads, total, divided(v_width, heads))
        scores = (batch, heads, q_len, total)
        return [((batch, q_len, v_width), q.dtype), (keys, q.dtype), (values, q.dtype), (scores, q.dtype)]

    return infer


def grouped(node: Node) -> None:
    """GroupQueryAttention: grouped heads, a cache, a rotation by position and a causal mask, each where asked for.

    Queries, keys and values are three operands or lie side by side in the first.
    """
    heads, kv_heads = heads_of(node), heads_of(node, "kv_num_heads")
    q: Operand
    k: Operand
    v: Operand
    x, key, value = node.need(0), node.input(1), node.input(2)
    depth = _grouped_depth(node, heads, kv_heads)
    if key is None or value is None:
        widths = [None if depth is None else n * depth for n in (heads, kv_heads, kv_heads)]
        q, k, v = split_columns(node, x, widths, "split")
    else:
        q, k, v = x, key, value
    batch, q_len = x.shape[:2]
    for place, name in ((14, "q"), (15, "k")):
        weight = node.input(place)
        if weight is not None:
            made = node.between((q if name == "q" else k).shape, node.y.dtype, name)
            attrs = {"eps": float_attr(node, "qk_norm_epsilon", 1e-6), "normalized_size": depth}
            node.layer("rms_norm", {"x": q if name == "q" else k, "weight": weight}, made, attrs, suffix=f"{name}_norm")
            q, k = (made, k) if name == "q" else (q, made)
    cos, sin = node.input(7), node.input(8)
    if int_attr(node, "do_rotary", 0) and cos is not None and sin is not None:
        q = _rotated(node, q, cos, sin, heads, "q")
        k = _rotated(node, k, cos, sin, kv_heads, "k")
    past_k, past_v = node.input(3), node.input(4)
    room = 0 if past_k is None else past_k.shape[2] if past_k.rank == 4 else None
    kv_len = None if room is None or k.shape[1] is None else room + k.shape[1]
    h = Heads(q, k, v, batch, q_len, kv_len, heads, kv_heads, depth, depth)
    shape = (batch, kv_heads, kv_len, depth)
    h.k = extended(node, k, past_k, node.output(1), shape, "past_key")
    h.v = extended(node, v, past_v, node.output(2), shape, "past_value")
    window = int_attr(node, "local_window_size", -1)
    extra = {"left_window_size": window} if window >= 0 else {}
    emit(node, h, node.y, node.input(10), bool(int_attr(node, "causal", 1)), node.output(3), **extra)


def _grouped_depth(node: Node, heads: int, kv_heads: int) -> Dim:
    x = node.need(0)
    if x.rank != 3:
        raise ModelError(f"{node.where}: queries {x.shape}")
    return divided(x.shape[2], heads if node.input(1) is not None else heads + 2 * kv_heads)


def _rotated(node: Node, x: Operand, cos: Tensor, sin: Tensor, heads: int, hint: str) -> TensorSpec:
    made = node.between(x.shape, node.y.dtype, hint)
    half = cos.shape[-1]
    attrs = {
        "heads": heads,
        "rotary_dim": None if half is None else 2 * half,
        "interleaved": bool(int_attr(node, "rotary_interleaved", 0)),
    }
    node.layer("rotary_embedding", {"x": x, "cos": cos, "sin": sin}, made, attrs, suffix=f"{hint}_rotary")
    return made


def infer_grouped(node: Node) -> Found:
    x, key, past = node.need(0), node.input(1), node.input(3)
    heads, kv_heads = heads_of(node), heads_of(node, "kv_num_heads")
    depth = _grouped_depth(node, heads, kv_heads)
    batch, q_len = x.shape[:2]
    new = q_len if key is None else key.shape[1]
    room = 0 if past is None else past.shape[2] if past.rank == 4 else None
    total = None if room is None or new is None else room + new
    cache = ((batch, kv_heads, total, depth), x.dtype if past is None else past.dtype)
    width = None if depth is None else heads * depth
    return [((batch, q_len, width), x.dtype), cache, cache, ((batch, heads, q_len, total), x.dtype)]


def rotary(node: Node) -> None:
    """Rotation by position; opset 1 of com.microsoft has the positions second, and 1-D for an offset."""
    x, positions, cos, sin = node.need(0), node.need(1), node.need(2), node.need(3)
    heads = int_attr(node, "num_heads", 0)
    half = cos.shape[-1]
    if x.rank == 4:
        heads, depth = x.shape[1] or 0, x.shape[3]
    elif heads:
        depth = divided(x.shape[-1], heads)
    else:
        depth = None if half is None else 2 * half
        heads = divided(x.shape[-1], depth) or 0 if depth else 0
    emit_rotary(node, x, cos, sin, positions if positions.rank == 2 else None, heads, depth)


_MHA = Places(bias=3, padding=4, added=5, past=6, known=8)
_DECODER = Places(bias=10, padding=3, added=4, past=5, known=7)
CONTRIB: dict[str, Rule] = {
    "DecoderMaskedMultiHeadAttention": multi_head(_DECODER, decoding=True),
    "GroupQueryAttention": grouped,
    "MultiHeadAttention": multi_head(_MHA),
    "RotaryEmbedding": rotary,
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        (_MS, "DecoderMaskedMultiHeadAttention"): infer_multi_head(_DECODER, decoding=True),
        (_MS, "GroupQueryAttention"): infer_grouped,
        (_MS, "MultiHeadAttention"): infer_multi_head(_MHA),
        (_MS, "RotaryEmbedding"): like_first,
    }
)
