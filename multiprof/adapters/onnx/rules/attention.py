"""Scaled dot-product attention, linear attention, and rotary positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Operand, copies, divided, float_attr, int_attr, ranked
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec


def sizes(
    batch: int | None,
    heads: int | None,
    kv_heads: int | None,
    q_len: int | None,
    kv_len: int | None,
    qk_dim: int | None,
    v_dim: int | None,
) -> dict[str, Any]:
    return {
        "batch": batch,
        "heads": heads,
        "kv_heads": kv_heads,
        "q_len": q_len,
        "kv_len": kv_len,
        "qk_dim": qk_dim,
        "v_dim": v_dim,
    }


def score_attrs(
    qk_dim: int | None, scale: float | None, causal: bool, *, square: bool = False, softcap: float = 0.0
) -> dict[str, Any]:
    """Scale, 1/√D_k unless given, causality, and a soft cap where there is one.

    A causal mask of ONNX lets the last query see the last key (``bottom_right``). For as many queries as keys that is
    the same as ``top_left``, which other frameworks write then.
    """
    if scale is None:
        scale = qk_dim**-0.5 if qk_dim else None
    attrs: dict[str, Any] = {"causal": causal, "scale": scale}
    if causal:
        attrs["causal_alignment"] = "top_left" if square else "bottom_right"
    if softcap:
        attrs["softcap"] = softcap
    return attrs


def join_past(
    node: Node, past: Operand | None, new: Operand, present: TensorSpec | None, axis: int, shape: Any, hint: str
) -> Operand:
    """The cache with the new keys or values behind it, which is a result of the node where one asks for it."""
    if past is None:
        if present is not None:
            copies(node, new, node.outputs.index(present))
        return new
    whole = (
        present
        if present is not None
        else node.between(shape, new.spec.dtype if isinstance(new, Tensor) else new.dtype)
    )
    node.layer("concat", {"x0": past, "x1": new}, whole, {"axis": axis}, suffix=hint)
    return whole


@dataclass(slots=True)
class _Sizes:
    """What queries, keys, values and the cache of an Attention node measure."""

    batch: int | None
    heads: int | None
    kv_heads: int | None
    q_len: int | None
    past: int | None
    kv_len: int | None
    qk_dim: int | None
    v_dim: int | None


def _measured(node: Node) -> _Sizes:
    q, k, v, past_k = node.need(0), node.need(1), node.need(2), node.input(4)
    if not q.rank == k.rank == v.rank or q.rank not in (3, 4):
        raise ModelError(f"{node.where}: q {q.shape}, k {k.shape} and v {v.shape} of rank 3 or 4 alike")
    heads: int | None
    kv_heads: int | None
    if q.rank == 4:
        batch, heads, q_len, qk_dim = q.shape
        kv_heads, kv_new = k.shape[1:3]
        v_dim = v.shape[3]
    else:
        batch, q_len = q.shape[:2]
        heads, kv_heads = int_attr(node, "q_num_heads", 0), int_attr(node, "kv_num_heads", 0)
        if heads < 1 or kv_heads < 1:
            raise ModelError(f"{node.where}: operands of rank 3 need q_num_heads and kv_num_heads")
        qk_dim, v_dim = divided(q.shape[2], heads), divided(v.shape[2], kv_heads)
        kv_new = k.shape[1]
    past = 0 if past_k is None else past_k.shape[2] if past_k.rank == 4 else None
    kv_len = None if kv_new is None or past is None else kv_new + past
    return _Sizes(batch, heads, kv_heads, q_len, past, kv_len, qk_dim, v_dim)


def infer(node: Node) -> list[tuple[Shape, str] | None]:
    """The result, the caches and the scores; onnx's own inference leaves out the caches where none is given."""
    s = _measured(node)
    dtype = node.need(0).dtype
    if node.need(0).rank == 4:
        y: Shape = (s.batch, s.heads, s.q_len, s.v_dim)
    else:
        y = (s.batch, s.q_len, None if s.heads is None or s.v_dim is None else s.heads * s.v_dim)
    keys, values = (s.batch, s.kv_heads, s.kv_len, s.qk_dim), (s.batch, s.kv_heads, s.kv_len, s.v_dim)
    scores = (s.batch, s.heads, s.q_len, s.kv_len)
    return [(y, dtype), (keys, node.need(1).dtype), (values, node.need(2).dtype), (scores, dtype)]


def attention(node: Node) -> None:
    """Queries (N, heads, L, D) or (N, L, heads·D), and so the keys and values; opset 23 and later.

    With a cache the keys and values before stand in front. The fourth result, the scores, is a result of the layer.
    Without one, inside or outside of the node (operand 6 tells how much that holds), query i sees the keys 0 … i.
    """
    s = _measured(node)
    shape = (s.batch, s.kv_heads, s.kv_len)
    whole_k = _cached(node, node.need(1), node.input(4), 1, (*shape, s.qk_dim), "past_key")
    whole_v = _cached(node, node.need(2), node.input(5), 2, (*shape, s.v_dim), "past_value")
    causal = bool(int_attr(node, "is_causal", 0))
    given = float_attr(node, "scale", 0.0) if "scale" in node.attrs else None
    top_left = s.q_len == s.kv_len or (s.past == 0 and node.input(6) is None)
    attrs = sizes(s.batch, s.heads, s.kv_heads, s.q_len, s.kv_len, s.qk_dim, s.v_dim) | score_attrs(
        s.qk_dim, given, causal, square=top_left, softcap=float_attr(node, "softcap", 0.0)
    )
    for name in ("left_window_size", "right_window_size"):
        if int_attr(node, name, -1) >= 0:
            attrs[name] = int_attr(node, name, -1)
    operands = {"q": node.need(0), "k": whole_k, "v": whole_v, "mask": node.input(3)}
    node.layer("attention", operands, {"y": node.y, "weights": node.output(3)}, attrs)


def _cached(
    node: Node, new: Tensor, past: Tensor | None, number: int, shape: tuple[int | None, ...], hint: str
) -> Operand:
    """Keys or values as (N, heads, L, D), behind those of the cache; ``number`` is the output that hands them out."""
    present = node.output(number)
    if past is None and present is None:
        return new
    folded: Operand = new
    if new.rank == 3:
        batch, length = new.shape[:2]
        apart = node.between((batch, length, shape[1], shape[3]), new.dtype)
        node.layer(
            "reshape", {"x": new}, apart, {"shape": apart.shape}, suffix=f"{hint}/heads", aliases=(("y", "x", "view"),)
        )
        folded = (
            present
            if past is None and present is not None
            else node.between((batch, shape[1], length, shape[3]), new.dtype)
        )
        node.layer("transpose", {"x": apart}, folded, {"perm": (0, 2, 1, 3)}, suffix=f"{hint}/transpose")
        if past is None:
            return folded
    return join_past(node, past, folded, present, 2, shape, hint)


def rotary_embedding(node: Node) -> None:
    """Pairs of features turned by an angle that depends on the position; rows of the tables are read by position."""
    x, cos, sin, positions = node.need(0), node.need(1), node.need(2), node.input(3)
    heads = int_attr(node, "num_heads", 0)
    if x.rank == 4:
        heads, depth = x.shape[1] or 0, x.shape[3]
    else:
        depth = divided(x.shape[-1], heads) if heads else None
    emit_rotary(node, x, cos, sin, positions, heads, depth)


def emit_rotary(
    node: Node, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None, heads: int, depth: int | None
) -> None:
    rotated = int_attr(node, "rotary_embedding_dim", 0) or depth
    tables: list[Operand] = [cos, sin]
    if positions is not None:
        for i, (table, name) in enumerate(((cos, "cos"), (sin, "sin"))):
            rows = node.between((*positions.shape, *table.shape[1:]), table.dtype, name)
            node.layer("gather", {"x": table, "indices": positions}, rows, {"axis": 0}, suffix=name)
            tables[i] = rows
    attrs: dict[str, Any] = {"rotary_dim": rotated, "interleaved": bool(int_attr(node, "interleaved", 0))}
    if heads and x.rank == 3:
        attrs["heads"] = heads
    node.layer("rotary_embedding", {"x": x, "cos": tables[0], "sin": tables[1]}, None, attrs)


RULES: dict[str, Rule] = {
    "Attention": attention,
    "RotaryEmbedding": rotary_embedding,
}
INFER: dict[tuple[str, str], Infer] = ranked({("", "Attention"): infer})
