"""Attention against naive loops, its pairs under a causal mask, and the laws it obeys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Counts
from multiprof.formulas.attention import attention, unmasked_pairs
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally, loops
from multiprof.testing.counting import nonzero

few = st.integers(1, 3)
lengths = st.integers(1, 5)
alignments = st.sampled_from(["top_left", "bottom_right"])


def attention_layer(
    batch: int,
    heads: int,
    q_len: int,
    kv_len: int,
    qk_dim: int,
    v_dim: int,
    *,
    kv_heads: int = 0,
    mask: str = "",
    **attrs: object,
) -> Layer:
    kv_heads = kv_heads or heads
    inputs = {
        "q": TensorSpec((batch, heads, q_len, qk_dim)),
        "k": TensorSpec((batch, kv_heads, kv_len, qk_dim)),
        "v": TensorSpec((batch, kv_heads, kv_len, v_dim)),
    }
    if mask:
        inputs["mask"] = TensorSpec((q_len, kv_len), mask)
    sizes = {
        "batch": batch,
        "heads": heads,
        "kv_heads": kv_heads,
        "q_len": q_len,
        "kv_len": kv_len,
        "qk_dim": qk_dim,
        "v_dim": v_dim,
    }
    return Layer("sdpa", "attention", inputs, {"y": TensorSpec((batch, heads, q_len, v_dim))}, sizes | attrs)


@given(
    st.integers(1, 2),
    st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 2)]),
    lengths,
    lengths,
    few,
    few,
    st.sampled_from([1.0, 0.5]),
    st.sampled_from(["", "float32", "bool"]),
    st.sampled_from(["", "top_left", "bottom_right"]),
    st.booleans(),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from([0.0, 0.1]),
)
def test_attention_equals_loops(
    batch: int,
    heads: tuple[int, int],
    q_len: int,
    kv_len: int,
    qk_dim: int,
    v_dim: int,
    scale: float,
    mask: str,
    causal: str,
    unmasked: bool,
    softcap: float,
    dropout: float,
) -> None:
    query_heads, kv_heads = heads
    tally = Tally()
    q = tally.array((batch, query_heads, q_len, qk_dim))
    k = tally.array((batch, kv_heads, kv_len, qk_dim))
    v = tally.array((batch, kv_heads, kv_len, v_dim))
    added = tally.array((q_len, kv_len)) if mask == "float32" else None
    selected = tally.array((q_len, kv_len), integer=True) if mask == "bool" else None
    masks = {"added": added, "selected": selected, "causal": causal, "unmasked": unmasked}
    loops.attention(tally, q, k, v, scale=scale, softcap=softcap, dropout=dropout, **masks)
    layer = attention_layer(
        batch,
        query_heads,
        q_len,
        kv_len,
        qk_dim,
        v_dim,
        kv_heads=kv_heads,
        mask=mask,
        scale=scale,
        softcap=softcap,
        dropout=dropout,
        causal=bool(causal),
        causal_alignment=causal or "top_left",
        pairs="unmasked" if unmasked else "full",
    )
    assert nonzero(attention.price(layer).terms) == tally.terms


@given(st.integers(0, 12), st.integers(0, 12), alignments)
def test_unmasked_pairs_by_enumeration(q_len: int, kv_len: int, alignment: str) -> None:
    offset = kv_len - q_len if alignment == "bottom_right" else 0
    visible = [(i, j) for i in range(q_len) for j in range(kv_len) if j <= i + offset]
    assert unmasked_pairs(q_len, kv_len, alignment) == (len(visible), len({i for i, _ in visible}))


@given(st.integers(0, 300), alignments)
def test_a_square_causal_mask_lets_a_triangle_through(length: int, alignment: str) -> None:
    assert unmasked_pairs(length, length, alignment)[0] == length * (length + 1) // 2


def test_causal_is_counted_in_full_unless_asked() -> None:
    # 4 queries, 6 keys; aligned at the top left 1 + 2 + 3 + 4 pairs, at the bottom right 3 + 4 + 5 + 6
    def macs(**attrs: Any) -> int:
        return attention.price(attention_layer(1, 2, 4, 6, 3, 5, causal=True, **attrs)).macs

    assert macs() == macs(pairs="full") == 2 * 24 * (3 + 5)
    assert macs(pairs="unmasked", causal_alignment="top_left") == 2 * 10 * (3 + 5)
    assert macs(pairs="unmasked", causal_alignment="bottom_right") == 2 * 18 * (3 + 5)


def test_every_term_by_hand() -> None:
    # N = 1, 2 heads, 3 queries, 4 keys, D_k = 5, D_v = 6: 24 scores in 6 rows
    cost = attention.price(attention_layer(1, 2, 3, 4, 5, 6, mask="float32"))
    assert cost.terms == {
        "dot": Counts(macs=24 * (5 + 6), dots=24 + 2 * 3 * 6),
        "scale": Counts(muls=24),
        "mask": Counts(adds=24),
        "softmax": Counts(cmps=6 * 3, adds=6 * (4 + 3), exps=24, divs=24),
    }


@given(few, lengths, lengths, st.integers(1, 12), st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_macs_do_not_depend_on_the_number_of_heads(batch: int, q_len: int, kv_len: int, width: int, heads: int) -> None:
    one = attention.price(attention_layer(batch, 1, q_len, kv_len, 12 * width, 12 * width)).macs
    many = attention.price(attention_layer(batch, heads, q_len, kv_len, 12 * width // heads, 12 * width // heads)).macs
    assert one == many == 2 * batch * q_len * kv_len * 12 * width


@given(st.integers(0, 9), st.booleans())
def test_cost_is_linear_in_the_batch(batch: int, causal: bool) -> None:
    def cost(n: int) -> object:
        return attention.price(attention_layer(n, 2, 3, 4, 5, 6, mask="bool", causal=causal))

    assert cost(batch) == attention.price(attention_layer(1, 2, 3, 4, 5, 6, mask="bool", causal=causal)) * batch


def test_grouped_queries_multiply_as_much_and_move_less() -> None:
    full, grouped = attention_layer(1, 8, 4, 4, 2, 2), attention_layer(1, 8, 4, 4, 2, 2, kv_heads=2)
    assert attention.price(full) == attention.price(grouped)
    q, kv = 8 * 4 * 2, 2 * 4 * 2
    assert attention.traffic(full) == (4 * 3 * q, 4 * q)
    assert attention.traffic(grouped) == (4 * (q + 2 * kv), 4 * q)


def test_layout_does_not_matter() -> None:
    heads_first = attention_layer(2, 4, 3, 5, 6, 7)
    length_first = attention_layer(2, 4, 3, 5, 6, 7)
    length_first.inputs["q"] = TensorSpec((2, 3, 4, 6))
    length_first.outputs["y"] = TensorSpec((2, 3, 4, 7))
    assert attention.price(heads_first) == attention.price(length_first)


@pytest.mark.parametrize(("q_len", "kv_len"), [(0, 4), (4, 0)])
def test_attention_over_nothing_costs_nothing(q_len: int, kv_len: int) -> None:
    cost = attention.price(attention_layer(1, 2, q_len, kv_len, 3, 3, causal=True, mask="float32"))
    assert nonzero(cost.terms) == {}
