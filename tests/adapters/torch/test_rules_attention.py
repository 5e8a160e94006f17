"""Attention: shapes against torch's kernels, strides against the CPU's, and the exact layers."""

from __future__ import annotations

import random
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.tracer import Tracer

Shape = tuple[int, ...]


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def as_meta(x: torch.Tensor | None) -> torch.Tensor | None:
    return None if x is None else torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def laid_out(rng: random.Random, shape: Shape) -> torch.Tensor:
    """A tensor whose dimensions lie in memory in some order, some of them parts of longer ones."""
    order = list(range(len(shape)))
    if rng.random() < 0.6:
        rng.shuffle(order)
    more = [int(rng.random() < 0.2) for _ in shape]
    made = torch.zeros([shape[i] + more[i] for i in order]).permute([order.index(i) for i in range(len(shape))])
    for axis, extra in enumerate(more):
        if extra:
            made = made.narrow(axis, 0, shape[axis])
    return made


def random_call(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
    """Query, key, value and mask as torch allows them: from 2 to 5 dimensions, broadcasting, grouped heads."""
    rank = rng.choice((2, 3, 4, 4, 4, 5))
    length, kv_length, depth = (rng.randint(1, 5) for _ in range(3))
    v_depth = depth if rng.random() < 0.8 else rng.randint(1, 5)
    lead = [rng.randint(1, 3) for _ in range(rank - 2)]
    q_lead, k_lead = list(lead), list(lead)
    kwargs: dict[str, Any] = {}
    if lead and rng.random() < 0.2:
        rng.choice((q_lead, k_lead))[rng.randrange(len(lead))] = 1
    if lead and rng.random() < 0.2:
        k_lead[-1] = rng.choice((1, 2))
        q_lead[-1] = k_lead[-1] * rng.choice((1, 2, 3))
        kwargs["enable_gqa"] = True
    shapes = [(*q_lead, length, depth), (*k_lead, kv_length, depth), (*k_lead, kv_length, v_depth)]
    tensors: list[Any] = [laid_out(rng, shape) for shape in shapes]
    mask = None
    choice = rng.random()
    if choice < 0.3:
        shape = (*q_lead, length, kv_length)[rng.randint(0, rank - 2) :]
        shape = tuple(rng.choice((1, n)) if rng.random() < 0.3 else n for n in shape)
        mask = torch.zeros(shape, dtype=rng.choice((torch.bool, torch.float32)))
    elif choice < 0.5:
        kwargs["is_causal"] = True
    if rng.random() < 0.2:
        kwargs["scale"] = 0.5
    if rng.random() < 0.1:
        kwargs["dropout_p"] = 0.5
    return [*tensors, mask], kwargs


def test_random_calls_as_the_cpu_answers_them() -> None:
    """torch's meta kernel makes every result contiguous; the CPU's lays it out as the query is, and that is copied.

    Models rely on it: ``attended.transpose(1, 2).view(n, length, width)`` works where the query was transposed too.
    """
    rng = random.Random(1)
    for _ in range(800):
        tensors, kwargs = random_call(rng)
        expected = F.scaled_dot_product_attention(*tensors, **kwargs)
        given = [as_meta(x) for x in tensors]
        tracer = Tracer(torch.device("cpu"), real=False)
        for i, x in enumerate(given):
            if x is not None:
                tracer.give_input(x, f"input{i}")
        with torch.no_grad(), ShapeMode(tracer):
            got = F.scaled_dot_product_attention(*given, **kwargs)
        assert tracer.kernel_calls == 0
        assert (got.shape, got.stride(), got.dtype) == (expected.shape, expected.stride(), expected.dtype)
        (layer,) = tracer.layers
        # Every score is a product over D_k, every output a sum over L_k of them.
        attrs = layer.attrs
        n, heads, length, kv_length = (attrs[k] for k in ("batch", "heads", "q_len", "kv_len"))
        assert n * heads * length * attrs["v_dim"] == layer.y.numel
        q, k, v = (layer.inputs[role].shape for role in "qkv")
        assert (length, kv_length, attrs["qk_dim"], attrs["v_dim"]) == (q[-2], k[-2], q[-1], v[-1])


@pytest.mark.parametrize(
    ("q", "k", "expected"),
    [
        ((2, 4, 8, 16), (2, 4, 9, 16), {"batch": 2, "heads": 4, "kv_heads": 4}),
        ((4, 8, 16), (4, 9, 16), {"batch": 4, "heads": 1, "kv_heads": 1}),
        ((8, 16), (9, 16), {"batch": 1, "heads": 1, "kv_heads": 1}),
        ((3, 2, 4, 8, 16), (3, 2, 4, 9, 16), {"batch": 6, "heads": 4, "kv_heads": 4}),
        ((2, 4, 8, 16), (2, 1, 9, 16), {"batch": 2, "heads": 4, "kv_heads": 1}),
        ((1, 4, 8, 16), (3, 4, 9, 16), {"batch": 3, "heads": 4, "kv_heads": 4}),
    ],
)
def test_the_layer(compare: Any, q: Shape, k: Shape, expected: dict[str, int]) -> None:
    checked = compare(F.scaled_dot_product_attention, meta(*q), meta(*k), meta(*k))
    assert checked.by_rule
    layer = checked.layer
    assert layer.op == "attention"
    assert layer.attrs == expected | {
        "q_len": 8, "kv_len": 9, "qk_dim": 16, "v_dim": 16, "causal": False, "scale": 0.25,
    }  # fmt: skip
    assert list(layer.inputs) == ["q", "k", "v"]


def test_grouped_heads(compare: Any) -> None:
    function = F.scaled_dot_product_attention
    checked = compare(function, meta(2, 6, 8, 16), meta(2, 2, 9, 16), meta(2, 2, 9, 16), enable_gqa=True)
    assert checked.layer.attrs["heads"] == 6
    assert checked.layer.attrs["kv_heads"] == 2
    refused = compare(function, meta(2, 6, 8, 16), meta(2, 4, 9, 16), meta(2, 4, 9, 16), enable_gqa=True)
    assert refused.error is not None


def test_mask_scale_and_causal(compare: Any) -> None:
    q, k = meta(2, 4, 8, 16), meta(2, 4, 9, 16)
    checked = compare(F.scaled_dot_product_attention, q, k, k, meta(8, 9, dtype=torch.bool), scale=1.0)
    assert checked.layer.inputs["mask"].shape == (8, 9)
    assert checked.layer.attrs["scale"] == 1.0
    checked = compare(F.scaled_dot_product_attention, q, k, k, is_causal=True)
    assert checked.layer.attrs["causal"] is True
    assert checked.layer.attrs["causal_alignment"] == "top_left"


@pytest.mark.parametrize(
    ("shapes", "kwargs"),
    [
        (((2, 4, 8, 16), (2, 4, 9, 15), (2, 4, 9, 16)), {}), (((2, 4, 8, 16), (2, 4, 9, 16), (2, 4, 8, 16)), {}),
        (((2, 4, 8, 16), (2, 3, 9, 16), (2, 3, 9, 16)), {}), (((16,), (9, 16), (9, 16)), {}),
        (((2, 4, 8, 16), (2, 4, 9, 16), (2, 4, 9, 16), (8, 8)), {}),
        (((2, 4, 8, 16), (2, 4, 9, 16), (2, 4, 9, 16), (8, 9)), {"is_causal": True}),
    ],
)  # fmt: skip
def test_calls_that_torch_refuses(compare: Any, shapes: Any, kwargs: Any) -> None:
    assert compare(F.scaled_dot_product_attention, *(meta(*s) for s in shapes), **kwargs).error is not None


def test_odd_calls_are_torchs(compare: Any) -> None:
    x = meta(2, 4, 8, 16)
    compare(F.scaled_dot_product_attention, x, x.double(), x)
    compare(F.scaled_dot_product_attention, x.long(), x.long(), x.long())
    compare(F.scaled_dot_product_attention, meta(2, 4, 0, 16), x, x)
    compare(F.scaled_dot_product_attention, x, meta(2, 4, 0, 16), meta(2, 4, 0, 16))


# -- operators beneath ---------------------------------------------------------------------------------------------

ATEN = torch.ops.aten
EXPECTED = {
    "batch": 2, "heads": 4, "kv_heads": 4, "q_len": 8, "kv_len": 8, "qk_dim": 16, "v_dim": 16, "causal": False,
    "scale": 0.25,
}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ATEN._scaled_dot_product_flash_attention_for_cpu(x, x, x),
        lambda x: ATEN._scaled_dot_product_flash_attention(x, x, x),
        lambda x: ATEN._scaled_dot_product_efficient_attention(x, x, x, None, False),
        lambda x: ATEN._scaled_dot_product_cudnn_attention(x, x, x, None, False),
        lambda x: ATEN._scaled_dot_product_fused_attention_overrideable(x, x, x),
    ],
)
def test_operators(compare_aten: Any, call: Any) -> None:
    checked = compare_aten(lambda x: call(x)[0], meta(2, 4, 8, 16))
    assert checked.layer.op == "attention"
    assert checked.layer.attrs == EXPECTED


@pytest.mark.parametrize(
    ("call", "causal"),
    [
        (lambda x: ATEN._flash_attention_forward(x, x, x, None, None, 8, 8, 0.0, False, False), None),
        (lambda x: ATEN._flash_attention_forward(x, x, x, None, None, 8, 8, 0.0, True, False), "bottom_right"),
        (lambda x: ATEN._efficient_attention_forward(x, x, x, None, None, None, None, None, 0.0, 0), None),
        (lambda x: ATEN._efficient_attention_forward(x, x, x, None, None, None, None, None, 0.0, 1), "top_left"),
        (lambda x: ATEN._efficient_attention_forward(x, x, x, None, None, None, None, None, 0.0, 2), "bottom_right"),
    ],
)
def test_operators_with_the_sequence_first(compare_aten: Any, call: Any, causal: str | None) -> None:
    checked = compare_aten(lambda x: call(x)[0], meta(2, 8, 4, 16))
    assert checked.layer.op == "attention"
    expected = EXPECTED | ({"causal": True, "causal_alignment": causal} if causal else {})
    assert checked.layer.attrs == expected


def test_sequences_of_different_lengths_are_not_guessed(compare_aten: Any) -> None:
    """Packed sequences and windows: what is computed depends on more than shapes, so the layer is unsupported."""
    x, offsets = meta(16, 4, 16), meta(3, dtype=torch.int32)
    forward = ATEN._flash_attention_forward
    calls: list[Any] = [
        lambda x, ends: forward(x, x, x, ends, ends, 8, 8, 0.0, False, False)[0],
        lambda x, _: forward(x[None], x[None], x[None], None, None, 8, 8, 0.0, False, False, window_size_left=2)[0],
    ]
    for call in calls:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checked = compare_aten(call, x, offsets)
        assert checked.layers[-1].op == "torch.aten._flash_attention_forward"
