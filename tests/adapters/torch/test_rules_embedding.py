"""Embeddings by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

INDICES = (torch.int64, torch.int64, torch.int32)


def test_embedding(compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(600):
        indices = random_tensors.tensor(random_tensors.shape(), rng.choice((*INDICES, torch.int16, torch.float32)))
        shape = rng.choice(((7, 4), (7, 4), (7, 4), (1, 1), (0, 3), (7,), (2, 3, 4)))
        table = random_tensors.tensor(shape, rng.choice((torch.float32, torch.float16, torch.int64)))
        padding = rng.choice((None, None, 0, 3, -1, -7, -8, 7))
        call = compare(F.embedding, indices, table, padding)
        if call.error is not None:
            refused += 1
            continue
        assert call.by_rule
        ruled += 1
        layer = call.layer
        assert layer.op == "embedding"
        assert (layer.inputs["x"].name, layer.inputs["weight"].name) == ("input0", "input1")
        assert layer.attrs == {"num_embeddings": shape[0], "embedding_dim": shape[1]}
        assert layer.outputs["y"].shape == (*indices.shape, shape[1])
    assert ruled > 100
    assert refused > 100


def test_module_and_operator(compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    indices = random_tensors.plain((2, 5), torch.int64)
    module = torch.nn.Embedding(10, 6, padding_idx=1, device="meta")
    table = torch.nn.Parameter(random_tensors.plain((10, 6)))
    calls = [
        compare(module, indices),
        compare(torch.embedding, table, indices),
        compare_aten(F.embedding, indices, table),
    ]
    for call in calls:
        assert call.layer.op == "embedding"
        assert call.layer.attrs == {"num_embeddings": 10, "embedding_dim": 6}
        assert (call.layer.inputs["x"].shape, call.layer.inputs["weight"].shape) == ((2, 5), (10, 6))


def test_rows_are_renormalised_first(compare: Any, random_tensors: Any) -> None:
    """``max_norm`` writes to the table: what follows reads what was written."""
    table = torch.nn.Parameter(random_tensors.plain((10, 6)))
    call = compare(F.embedding, random_tensors.plain((2, 5), torch.int64), table, None, 1.0)
    assert call.ops == ["torch.aten.embedding_renorm_", "embedding"]
    written, read = call.layers
    assert read.inputs["weight"].name in {spec.name for spec in written.outputs.values()}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode: str, compare: Any, random_tensors: Any) -> None:
    """Six rows of four numbers in two bags."""
    weight = torch.nn.Parameter(random_tensors.plain((10, 4)))
    for call in (
        compare(F.embedding_bag, random_tensors.plain((2, 3), torch.int64), weight, mode=mode),
        compare(
            F.embedding_bag,
            random_tensors.plain((6,), torch.int64),
            weight,
            random_tensors.plain((2,), torch.int64),
            mode=mode,
        ),
        compare(
            F.embedding_bag,
            random_tensors.plain((6,), torch.int64),
            weight,
            random_tensors.plain((3,), torch.int64),
            mode=mode,
            include_last_offset=True,
        ),
    ):
        assert call.by_rule
        assert call.ops == ["embedding", mode]
        assert call.layers[0].y.shape == (6, 4)
        assert call.layers[1].y.shape == (2, 4)
    factors = random_tensors.plain((2, 3))
    call = compare(
        F.embedding_bag, random_tensors.plain((2, 3), torch.int64), weight, mode=mode, per_sample_weights=factors
    )
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
    call = compare(
        function, random_tensors.plain((2, 3), torch.int64), torch.nn.Parameter(random_tensors.plain((10, 4)))
    )
    assert call.error is not None
