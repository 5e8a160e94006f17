"""Attention, standard and of ONNX Runtime: products, caches, masks, and the plain operators it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

One = Callable[..., Any]
RNG = np.random.default_rng(9)
MS = "com.microsoft"


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def scores(batch: int, heads: int, q_len: int, kv_len: int, qk_dim: int, v_dim: int) -> int:
    """Products of attention, counted pair by pair."""
    total = 0
    for _ in range(batch * heads):
        for _ in range(q_len):
            total += kv_len * qk_dim  # a score for every key
            total += v_dim * kv_len  # a weighted sum of the values
    return total


def test_four_dimensions(one: One) -> None:
    model = one("Attention", {"q": f(2, 3, 4, 8), "k": f(2, 3, 6, 8), "v": f(2, 3, 6, 10)}, version=23)
    assert model.ops == ["attention"]
    assert model.report.macs == scores(2, 3, 4, 6, 8, 10)
    assert model.layer.attrs["scale"] == 8**-0.5


def test_three_dimensions_with_fewer_key_heads(one: One) -> None:
    attrs = {"q_num_heads": 4, "kv_num_heads": 2}
    model = one("Attention", {"q": f(2, 4, 32), "k": f(2, 6, 16), "v": f(2, 6, 16)}, version=23, **attrs)
    assert model.report.macs == scores(2, 4, 4, 6, 8, 8)
    assert (model.layer.attrs["heads"], model.layer.attrs["kv_heads"]) == (4, 2)
    assert model.layer.y.shape == (2, 4, 32)


def test_a_cache_stands_in_front(one: One) -> None:
    q, k = f(1, 2, 3, 8), f(1, 2, 3, 8)
    given = {"q": q, "k": k, "v": k, "m": None, "pk": f(1, 2, 5, 8), "pv": f(1, 2, 5, 8)}
    model = one("Attention", given, ["y", "k2", "v2"], version=23, is_causal=1)
    assert model.ops == ["concat", "concat", "attention"]
    assert model.report.macs == scores(1, 2, 3, 5 + 3, 8, 8)
    assert model.shapes()["k2"] == ((1, 2, 8, 8), "float32")
    attention = model.layers[-1]
    assert attention.inputs["k"].name == "k2"
    assert (attention.attrs["causal"], attention.attrs["causal_alignment"]) == (True, "bottom_right")


def test_masks_scores_and_a_soft_cap(one: One) -> None:
    given = {"q": f(1, 2, 3, 8), "k": f(1, 2, 3, 8), "v": f(1, 2, 3, 8), "m": f(3, 3)}
    model = one("Attention", given, ["y", "", "", "s"], version=23, softcap=30.0, qk_matmul_output_mode=3)
    assert list(model.layer.inputs) == ["q", "k", "v", "mask"]
    assert list(model.layer.outputs) == ["y", "weights"]
    assert model.layer.attrs["softcap"] == 30.0
    plain = one("Attention", dict(list(given.items())[:3]), version=23).report
    assert model.report.flops >= plain.flops + 2 * 9  # the mask is added


def test_present_without_past(one: One) -> None:
    given = {"q": f(2, 4, 16), "k": f(2, 6, 16), "v": f(2, 6, 16)}
    model = one("Attention", given, ["y", "k2", "v2"], version=23, q_num_heads=2, kv_num_heads=2)
    assert model.shapes()["k2"] == ((2, 2, 6, 8), "float32")
    assert model.report.macs == scores(2, 2, 4, 6, 8, 8)


# -- ONNX Runtime's own -----------------------------------------------------------------------------------------------


def test_attention_with_its_projection_is_a_linear_layer_and_attention(one: One) -> None:
    """The plain operators: Gemm of (8, 24) with a bias for 2·4 tokens, then attention of 2 heads of 4."""
    model = one("Attention", {"x": f(2, 4, 8), "w": f(8, 24), "b": f(24)}, weights=["w", "b"], domain=MS, num_heads=2)
    linear = one("Gemm", {"x": f(8, 8), "w": f(8, 24), "b": f(24)}, weights=["w", "b"]).report
    attention = one("Attention", {"q": f(2, 2, 4, 4), "k": f(2, 2, 4, 4), "v": f(2, 2, 4, 4)}, version=23).report
    assert model.ops == ["linear", "split", "attention"]
    assert (model.report.macs, model.report.flops, model.report.params) == (
        linear.macs + attention.macs,
        linear.flops + attention.flops,
        linear.params,
    )


def test_a_quantised_projection_forms_the_same_products(one: One) -> None:
    given = {
        "x": np.zeros((2, 4, 8), np.uint8), "w": np.zeros((8, 24), np.int8), "b": f(24), "xs": f(1)[0], "ws": f(1)[0],
        "m": None, "xz": np.array(3, np.uint8), "wz": np.array(0, np.int8),
    }  # fmt: skip
    given = {k: v if v is None else np.asarray(v) for k, v in given.items()}
    weights = ["w", "b", "xs", "ws", "xz", "wz"]
    quantised = one("QAttention", given, weights=weights, domain=MS, num_heads=2).report
    plain = one("Attention", {"x": f(2, 4, 8), "w": f(8, 24), "b": f(24)}, weights=["w", "b"], domain=MS, num_heads=2)
    assert (quantised.macs, quantised.flops, quantised.params) == (
        plain.report.macs, plain.report.flops, plain.report.params,
    )  # fmt: skip
    assert quantised.graph.layers[0].inputs["weight"].quant is not None


def test_a_cache_in_one_tensor(one: One) -> None:
    given = {"x": f(2, 4, 8), "w": f(8, 24), "b": f(24), "m": None, "p": f(2, 2, 2, 3, 4)}
    model = one("Attention", given, ["y", "present"], ["w", "b"], domain=MS, num_heads=2, unidirectional=1)
    assert model.report.macs == 8 * 8 * 24 + scores(2, 2, 4, 3 + 4, 4, 4)
    assert model.layers[-1].attrs["causal_alignment"] == "bottom_right"


@pytest.mark.parametrize("packed", ["apart", "qkv", "kv"])
def test_multi_head_attention(one: One, packed: str) -> None:
    given = {
        "apart": {"q": f(2, 4, 8), "k": f(2, 4, 8), "v": f(2, 4, 8)},
        "qkv": {"q": f(2, 4, 2, 3, 4)},
        "kv": {"q": f(2, 4, 8), "k": f(2, 4, 2, 2, 4)},
    }[packed]
    model = one("MultiHeadAttention", given, domain=MS, num_heads=2)
    assert model.report.macs == scores(2, 2, 4, 4, 4, 4)
    assert model.ops == [*(["split"] if packed != "apart" else []), "attention"]


def test_multi_head_attention_adds_its_bias_and_masks(one: One) -> None:
    given = {"q": f(2, 4, 8), "k": f(2, 6, 8), "v": f(2, 6, 8), "b": f(24), "p": np.ones((2, 6), np.int32)}
    model = one("MultiHeadAttention", given, weights=["b"], domain=MS, num_heads=2)
    assert model.ops == ["add", "add", "add", "attention"]
    bare = one("MultiHeadAttention", {"q": f(2, 4, 8), "k": f(2, 6, 8), "v": f(2, 6, 8)}, domain=MS, num_heads=2).report
    # the bias on 2·(4 + 6 + 6)·8 elements, a selection for each of 2·2·4·6 scores
    assert model.report.flops == bare.flops + 2 * 16 * 8 + 2 * 2 * 24


def test_grouped_queries_with_cache_and_rotation(one: One) -> None:
    given = {
        "q": f(1, 1, 64), "k": None, "v": None, "pk": f(1, 1, 5, 16), "pv": f(1, 1, 5, 16),
        "l": np.array([5], np.int32), "t": np.array(6, np.int32), "cos": f(9, 8), "sin": f(9, 8),
    }  # fmt: skip
    weights = ["l", "t", "cos", "sin"]
    attrs = {"num_heads": 2, "kv_num_heads": 1, "do_rotary": 1, "local_window_size": 4}
    model = one("GroupQueryAttention", given, ["y", "k2", "v2"], weights, domain=MS, **attrs)
    assert [op for op in model.ops if op not in ("transpose", "concat", "split")] == [
        "rotary_embedding", "rotary_embedding", "attention",
    ]  # fmt: skip
    assert model.report.macs == scores(1, 2, 1, 6, 16, 16)
    attention = model.layers[-1]
    assert (attention.attrs["heads"], attention.attrs["kv_heads"]) == (2, 1)
    assert (attention.attrs["causal"], attention.attrs["left_window_size"]) == (True, 4)
    assert model.layers[1].attrs["heads"] == 2


def test_one_token_against_a_shared_cache(one: One) -> None:
    """4 tokens are held and one is new: 5 keys, though the buffer has room for 9."""
    given = {
        "q": f(1, 1, 8), "k": f(1, 1, 8), "v": f(1, 1, 8), "m": None, "a": None, "pk": f(1, 2, 9, 4),
        "pv": f(1, 2, 9, 4), "n": np.array([4], np.int32),
    }  # fmt: skip
    attrs = {"num_heads": 2, "past_present_share_buffer": 1}
    model = one("DecoderMaskedMultiHeadAttention", given, ["y", "k2", "v2"], ["n"], domain=MS, **attrs)
    assert model.report.macs == scores(1, 2, 1, 5, 4, 4)
    unknown = one("DecoderMaskedMultiHeadAttention", given, ["y", "k2", "v2"], domain=MS, **attrs).report
    assert unknown.macs == scores(1, 2, 1, 9, 4, 4)
    assert any("full" in text for text in unknown.graph.metadata["warnings"])


@pytest.mark.parametrize(("shape", "heads"), [((2, 3, 4, 8), 1), ((2, 4, 24), 3)])
def test_rotation_by_position(one: One, shape: tuple[int, ...], heads: int) -> None:
    given = {"x": f(*shape), "cos": f(9, 4), "sin": f(9, 4), "p": np.zeros((2, 4), np.int64)}
    attrs = {"num_heads": heads} if len(shape) == 3 else {}
    model = one("RotaryEmbedding", given, version=23, **attrs)
    assert model.ops == ["gather", "gather", "rotary_embedding"]
    assert model.layers[-1].attrs["rotary_dim"] == 8
    # every pair (a, b) becomes (a·cos − b·sin, b·cos + a·sin): 4 products, 2 sums
    assert model.report.flops == 6 * (2 * 3 * 4 * 8) // 2
    half = one("RotaryEmbedding", given, version=23, rotary_embedding_dim=4, **attrs)
    assert half.layers[-1].attrs["rotary_dim"] == 4
    assert half.report.flops == model.report.flops // 2
