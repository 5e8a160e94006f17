"""Embeddings by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOAT, HALF, INT = torch.float32, torch.float16, torch.int64


def test_embedding(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(300):
        indices = random_tensors.tensor(random_tensors.shape(), rng.choice((INT, INT, torch.int32, FLOAT)))
        table = (rng.randint(1, 9), rng.randint(1, 5)) if rng.random() < 0.9 else random_tensors.shape()
        weight = torch.nn.Parameter(random_tensors.tensor(table, rng.choice((FLOAT, FLOAT, HALF))))
        padding = rng.choice((None, None, 0, -1, 20))
        call = compare(F.embedding, indices, weight, padding)
        ruled += call.by_rule
        if call.by_rule:
            assert call.layer.op == "embedding"
            assert call.layer.attrs == {"num_embeddings": table[0], "embedding_dim": table[1]}
            assert {role: spec.name for role, spec in call.layer.inputs.items()} == {"x": "input0", "weight": "weight1"}
        compare(torch.embedding, weight, indices)
    assert ruled > 130
    assert compare(torch.nn.Embedding(10, 4, device="meta"), random_tensors.plain((2, 3), INT)).by_rule


def test_operator_of_aten(compare_aten: Any, random_tensors: Any) -> None:
    weight = torch.nn.Parameter(random_tensors.plain((10, 4)))
    layer = compare_aten(F.embedding, random_tensors.plain((2, 3), INT), weight).layer
    assert (layer.op, layer.attrs) == ("embedding", {"num_embeddings": 10, "embedding_dim": 4})


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode: str, compare: Any, random_tensors: Any) -> None:
    """Six rows of four numbers in two bags."""
    weight = torch.nn.Parameter(random_tensors.plain((10, 4)))
    for call in (
        compare(F.embedding_bag, random_tensors.plain((2, 3), INT), weight, mode=mode),
        compare(F.embedding_bag, random_tensors.plain((6,), INT), weight, random_tensors.plain((2,), INT), mode=mode),
        compare(
            F.embedding_bag,
            random_tensors.plain((6,), INT),
            weight,
            random_tensors.plain((3,), INT),
            mode=mode,
            include_last_offset=True,
        ),
    ):
        assert call.by_rule
        assert call.ops == ["embedding", mode]
        assert call.layers[0].y.shape == (6, 4)
        assert call.layers[1].y.shape == (2, 4)
    factors = random_tensors.plain((2, 3))
    call = compare(F.embedding_bag, random_tensors.plain((2, 3), INT), weight, mode=mode, per_sample_weights=factors)
    if mode == "sum":
        assert call.ops == ["embedding", "mul", "sum"]
    else:
        assert call.error is not None


@pytest.mark.parametrize(
    "function",
    [
        lambda i, w: F.embedding(i, w, 10),
        lambda i, w: F.embedding(i, w, -11),
        lambda i, w: F.embedding(i, w[0]),
        lambda i, w: F.embedding(w, w),
        lambda i, w: F.embedding_bag(i[0], w),
        lambda i, w: F.embedding_bag(i, w, i[0]),
        lambda i, w: F.embedding_bag(i, w, mode="median"),
    ],
)
def test_bad_arguments(function: Any, compare: Any, random_tensors: Any) -> None:
    call = compare(function, random_tensors.plain((2, 3), INT), torch.nn.Parameter(random_tensors.plain((10, 4))))
    assert call.error is not None
