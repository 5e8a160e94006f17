"""ONNX Runtime's own attentions: the projections into the heads, the caches and the positions are layers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import (
    VIEW,
    Found,
    Operand,
    divided,
    float_attr,
    given_ints,
    int_attr,
    number,
    ranked,
    warn,
)
from multiprof.adapters.onnx.rules.attention import score_attrs, sizes
from multiprof.adapters.onnx.rules.linear import contract
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec

Dim = int | None


@dataclass(slots=True)
class Heads:
    """Queries, keys and values, and the sizes of what they are cut into."""

    q: Operand
    k: Operand
    v: Operand
    batch: Dim
    q_len: Dim
    kv_len: Dim  # with what the cache has
    heads: int
    kv_heads: int
    qk_dim: Dim
    v_dim: Dim


def heads_of(node: Node, name: str = "num_heads") -> int:
    heads = int_attr(node, name, 0)
    if heads < 1:
        raise ModelError(f"{node.where}: {name} is {heads}")
    return heads


def one_mask(node: Node, bias: Tensor | None, padding: Tensor | None) -> Operand | None:
    """What is added to the scores, with minus infinity where the keys are padding, or the one of them that is there."""
    if bias is None or padding is None:
        return bias if padding is None else padding
    made = node.between(bias.shape, bias.dtype, "mask")
    node.layer("masked_fill", {"x": bias, "mask": padding}, made, {"value": float("-inf")}, suffix="mask")
    return made


def emit(
    node: Node,
    h: Heads,
    y: TensorSpec,
    mask: Operand | None,
    causal: bool,
    weights: TensorSpec | None = None,
    **extra: Any,
) -> None:
    scale = float_attr(node, "scale", 0.0) or None
    attrs = sizes(h.batch, h.heads, h.kv_heads, h.q_len, h.kv_len, h.qk_dim, h.v_dim)
    softcap = float_attr(node, "softcap", 0.0)
    attrs |= score_attrs(h.qk_dim, scale, causal, square=h.q_len == h.kv_len, softcap=softcap)
    node.layer("attention", {"q": h.q, "k": h.k, "v": h.v, "mask": mask}, {"y": y, "weights": weights}, attrs | extra)


def split_columns(node: Node, x: Operand, widths: Sequence[Dim], hint: str) -> list[TensorSpec]:
    """Parts of the last dimension."""
    dtype = x.spec.dtype if isinstance(x, Tensor) else x.dtype
    parts = [node.between((*x.shape[:-1], width), dtype, name) for width, name in zip(widths, "qkv", strict=False)]
    attrs = {"axis": len(x.shape) - 1, "sizes": tuple(widths)}
    node.layer("split", {"x": x}, {f"y{i}": part for i, part in enumerate(parts)}, attrs, suffix=hint)
    return parts


def piece(whole: TensorSpec, *shape: Dim) -> TensorSpec:
    """A part of a tensor, under its name."""
    return replace(whole, shape=shape)


def extended(
    node: Node, new: Operand, past: Tensor | None, present: TensorSpec | None, shape: Shape, hint: str
) -> Operand:
    """New keys or values (N, L, heads·D) behind a cache (N, heads, P, D): ``shape`` is that of the two together."""
    dtype = new.spec.dtype if isinstance(new, Tensor) else new.dtype
    if past is None and present is None:
        return new
    batch, heads, _, depth = shape
    length = new.shape[1]
    if len(new.shape) == 4:
        turned: Operand = new
    else:
        turned = present if past is None and present is not None else node.between((batch, heads, length, depth), dtype)
        node.layer("transpose", {"x": new}, turned, {"perm": (0, 2, 1, 3)}, suffix=f"{hint}/heads")
    if past is None:
        if len(new.shape) == 4 and present is not None:
            node.layer("identity", {"x": new}, present, suffix=hint, aliases=VIEW)
        return turned
    whole = present if present is not None else node.between(shape, dtype)
    node.layer("concat", {"x0": past, "x1": turned}, whole, {"axis": 2}, suffix=hint)
    return whole


def total_length(node: Node, past: Dim, new: Dim, known: Tensor | None, shared: bool) -> Dim:
    """How many keys there are: those of the cache and the new ones.

    A cache that shares its memory with the result has room for more than it holds; how much it holds is an operand, and
    where nobody knows that it is taken to be full.
    """
    if not shared:
        return None if past is None or new is None else past + new
    held = number(known)
    if held is not None and new is not None:
        return int(held) + new
    warn(node, "the cache is taken to be full, as how much it holds is not known")
    return past


# -- attention with its projection -------------------------------------------------------------------------------------


def _widths(node: Node, columns: Dim, heads: int) -> tuple[Dim, Dim, Dim]:
    """How many columns of the projection are queries, keys and values."""
    given = given_ints(node, "qkv_hidden_sizes", 3)
    if given:
        q, k, v = given
        return q, k, v
    third = divided(columns, 3)
    return third, third, third


def projected(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None, specs: tuple[TensorSpec, TensorSpec] | None = None
) -> tuple[list[TensorSpec], tuple[Dim, Dim, Dim], int]:
    """x·W + b in three parts."""
    heads = heads_of(node)
    if x.rank not in (2, 3) or weight.rank != 2:
        raise ModelError(f"{node.where}: an input {x.shape} and a weight {weight.shape}")
    widths = _widths(node, weight.shape[1], heads)
    together = node.between((*x.shape[:-1], weight.shape[1]), node.y.dtype, "qkv")
    if weight.weight or bias is None:
        contract(node, x, weight, together, bias=bias, suffix="in_proj", specs=specs)
    else:
        product = node.between(together.shape, together.dtype)
        contract(node, x, weight, product, suffix="in_proj", specs=specs)
        node.layer("add", {"x0": product, "x1": bias}, together, suffix="in_proj_bias")
    return split_columns(node, together, widths, "split"), widths, heads


def with_past(node: Node, h: Heads, past: Tensor | None, present: TensorSpec | None, known: Tensor | None) -> None:
    """A cache of keys and values in one tensor (2, N, heads, P, D), which becomes (2, N, heads, P + L, D)."""
    if past is None and present is None:
        return
    shared = bool(int_attr(node, "past_present_share_buffer", 0))
    new = node.between((2, h.batch, h.heads, h.q_len, h.qk_dim), node.y.dtype, "kv") if past is not None else present
    node.layer("stack", {"x0": h.k, "x1": h.v}, new, {"axis": 0}, suffix="kv")
    whole = new
    if past is not None:
        h.kv_len = total_length(node, past.shape[3] if past.rank == 5 else None, h.q_len, known, shared)
        room = past.shape[3] if shared and past.rank == 5 else h.kv_len
        whole = present or node.between((2, h.batch, h.heads, room, h.qk_dim), node.y.dtype, "present")
        if shared:
            node.layer("index_put", {"x": past, "src": new}, whole, {"axes": (3,)}, suffix="past")
        else:
            node.layer("concat", {"x0": past, "x1": new}, whole, {"axis": 3}, suffix="past")
    if whole is not None:
        h.k = piece(whole, h.batch, h.heads, h.kv_len, h.qk_dim)
        h.v = piece(whole, h.batch, h.heads, h.kv_len, h.v_dim)


def emit_projected(
    node: Node,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    past: Tensor | None,
    added: Tensor | None,
    known: Tensor | None,
    specs: tuple[TensorSpec, TensorSpec] | None = None,
) -> None:
    """The whole of Attention: projection, cache, scores."""
    if int_attr(node, "do_rotary", 0):
        warn(node, "rotates by position inside; the few products of that are not counted")
    x = node.need(0)
    (q, k, v), widths, heads = projected(node, x, weight, bias, specs)
    dims = [divided(width, heads) for width in widths]
    batch, length = x.shape[:2]
    h = Heads(q, k, v, batch, length, length, heads, heads, dims[0], dims[2])
    with_past(node, h, past, node.output(1), known)
    emit(node, h, node.y, one_mask(node, added, mask), bool(int_attr(node, "unidirectional", 0)))


def attention(node: Node) -> None:
    """Input, weights, bias, mask index, past, what is added to the scores, length of the past."""
    emit_projected(
        node, node.need(1), node.input(2), node.input(3), node.input(4), node.input(5), node.input(6)
    )  # fmt: skip


def infer_attention(node: Node, past_place: int = 4, dtype: str = "") -> Found:
    x, weight, past = node.need(0), node.need(1), node.input(past_place)
    heads = heads_of(node)
    if x.rank != 3 or weight.rank != 2:
        raise ModelError(f"{node.where}: an input {x.shape} and a weight {weight.shape}")
    widths = _widths(node, weight.shape[1], heads)
    dtype = dtype or x.dtype
    batch, length = x.shape[:2]
    total = length
    if past is not None and past.rank == 5:
        room = past.shape[3]
        shared = int_attr(node, "past_present_share_buffer", 0)
        total = room if shared else None if room is None or length is None else room + length
    cache = (2, batch, heads, total, divided(widths[1], heads))
    return [((batch, length, widths[2]), dtype), (cache, dtype)]


def packed_attention(node: Node) -> None:
    """Tokens of all sequences without padding, (tokens, C): the scores are counted for the padded batch (N, L)."""
    offsets = node.need(3)
    if offsets.rank != 2:
        raise ModelError(f"{node.where}: the offsets of tokens {offsets.shape}")
    (q, k, v), widths, heads = projected(node, node.need(0), node.need(1), node.input(2))
    dims = [divided(width, heads) for width in widths]
    batch, length = offsets.shape
    h = Heads(q, k, v, batch, length, length, heads, heads, dims[0], dims[2])
    emit(node, h, node.y, node.input(5), False)


def infer_packed(node: Node) -> Found:
    x, weight = node.need(0), node.need(1)
    if x.rank != 2 or weight.rank != 2:
        raise ModelError(f"{node.where}: an input {x.shape} and a weight {weight.shape}")
    return [((x.shape[0], _widths(node, weight.shape[1], heads_of(node))[2]), x.dtype)]


CONTRIB: dict[str, Rule] = {"Attention": attention, "PackedAttention": packed_attention}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {(_MS, "Attention"): infer_attention, (_MS, "PackedAttention"): infer_packed}
)
