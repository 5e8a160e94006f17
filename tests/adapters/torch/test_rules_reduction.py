"""Reductions by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

FLOAT, HALF, INT, BYTE, BOOL = torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool
DTYPES = (FLOAT, FLOAT, FLOAT, torch.float64, HALF, torch.bfloat16, INT, torch.int32, BYTE, BOOL)


def dims(random_tensors: Any, rank: int, several: bool = True) -> Any:
    """One dimension or several, counted from either end, now and then one that is not there."""
    rng = random_tensors.rng
    axes = list(range(rank)) or [0]
    chosen = rng.sample(axes, rng.randint(1, len(axes))) if several else [rng.choice(axes)]
    if rng.random() < 0.04:
        chosen.append(rng.choice((rank, chosen[0])))
    chosen = [a - rank if rng.random() < 0.3 and rank else a for a in chosen]
    return chosen[0] if not several or (len(chosen) == 1 and rng.random() < 0.7) else tuple(chosen)


def axes_of(dim: Any, rank: int) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(rank))
    return tuple(a % rank for a in ((dim,) if isinstance(dim, int) else dim)) if rank else ((0,) if dim == 0 else dim)


SEVERAL = {
    "sum": "sum",
    "mean": "mean",
    "amax": "max",
    "amin": "min",
    "any": "any",
    "all": "all",
    "logsumexp": "logsumexp",
}
SINGLE = {"prod": "prod", "argmax": "argmax", "argmin": "argmin"}


@pytest.mark.parametrize("name", [*SEVERAL, *SINGLE])
def test_reduction(name: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    op = (SEVERAL | SINGLE)[name]
    ruled = 0
    for _ in range(250):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        dim, keepdim = dims(random_tensors, x.dim(), name in SEVERAL), rng.random() < 0.5
        options: dict[str, Any] = {}
        if name in ("sum", "mean", "prod") and rng.random() < 0.3:
            options["dtype"] = rng.choice(DTYPES)
        function = getattr(rng.choice((torch, torch.Tensor)), name)
        call = compare(function, x, dim, keepdim, **options)
        ruled += call.by_rule
        if call.by_rule:
            assert call.layer.op == op
            assert call.layer.attrs == {"axis": axes_of(dim, x.dim()), "keepdim": keepdim}
        compare(function, x, dim=dim, **options)
        compare(function, x, axis=dim, keepdims=keepdim)
        if name != "logsumexp":
            call = compare(function, x, **options)
            if call.by_rule:
                assert call.layer.attrs["axis"] == tuple(range(x.dim()))
    assert ruled > 80


@pytest.mark.parametrize("op", ["max", "min"])
def test_extremes(op: str, compare: Any, random_tensors: Any) -> None:
    """Of all elements, along a dimension with positions, of two tensors."""
    rng = random_tensors.rng
    ruled = 0
    for _ in range(250):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        function = getattr(rng.choice((torch, torch.Tensor)), op)
        dim, keepdim = dims(random_tensors, x.dim(), several=False), rng.random() < 0.5
        call = compare(function, x, dim, keepdim)
        ruled += call.by_rule
        if call.by_rule:
            assert (call.layer.op, set(call.layer.outputs)) == (op, {"y", "indices"})
            assert call.layer.attrs == {"axis": axes_of(dim, x.dim()), "keepdim": keepdim}
            assert type(call.result) is getattr(torch.return_types, op)
            assert call.result.values.dtype is x.dtype
        compare(function, x, dim=dim, keepdim=keepdim)
        compare(function, x)
        other = random_tensors.tensor(random_tensors.broadcasting(tuple(x.shape)), rng.choice(DTYPES))
        call = compare(function, x, rng.choice((other, random_tensors.plain(()))))
        if call.by_rule:
            assert call.ops == [f"{op}imum"]
        compare(function, x, other=other)
    assert ruled > 150


@pytest.mark.parametrize(("name", "op"), [("var", "variance"), ("std", "std")])
def test_spread(name: str, op: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(200):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        dim, keepdim = dims(random_tensors, x.dim()), rng.random() < 0.5
        correction = rng.choice((0, 1, 2))
        function = getattr(rng.choice((torch, torch.Tensor)), name)
        call = compare(function, x, dim, correction=correction, keepdim=keepdim)
        ruled += call.by_rule
        if call.by_rule:
            attrs = {"axis": axes_of(dim, x.dim()), "keepdim": keepdim, "correction": correction}
            assert (call.layer.op, call.layer.attrs) == (op, attrs)
        call = compare(function, x, dim, False, keepdim)
        assert not call.by_rule or call.layer.attrs["correction"] == 0
        call = compare(function, x, rng.random() < 0.5)
        compare(function, x)
        call = compare(getattr(torch, f"{name}_mean"), x, dim, correction=correction, keepdim=keepdim)
        if call.by_rule:
            assert (call.layer.op, set(call.layer.outputs)) == (op, {"y", "mean"})
    assert ruled > 80
    assert compare(getattr(torch, name), random_tensors.plain((2, 3))).layer.attrs["correction"] == 1


def test_norms(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(400):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        dim, keepdim = dims(random_tensors, x.dim()), rng.random() < 0.5
        order = rng.choice((2, 1, 0, 3.5, math.inf, -math.inf, "fro"))
        for function in (torch.norm, torch.Tensor.norm):
            call = compare(function, x, order, dim, keepdim)
            ruled += call.by_rule
            if call.by_rule:
                attrs = {"axis": axes_of(dim, x.dim()), "keepdim": keepdim, "ord": 2 if order == "fro" else order}
                assert (call.layer.op, call.layer.attrs) == ("norm", attrs)
        compare(torch.norm, x)
        compare(torch.norm, x, order)
        compare(torch.linalg.norm, x, None if order == "fro" else order, dim, keepdim)
        compare(torch.linalg.norm, x)
        if order != "fro":
            compare(torch.linalg.vector_norm, x, order, dim, keepdim)
            compare(torch.linalg.vector_norm, x, order)
    assert ruled > 200
    assert compare(torch.norm, random_tensors.plain((2, 3))).by_rule
    assert compare(torch.linalg.norm, random_tensors.plain((2, 3)), dim=1).by_rule
    assert not compare(torch.linalg.norm, random_tensors.plain((2, 3)), 2).by_rule  # a norm of matrices


@pytest.mark.parametrize("op", ["cumsum", "cumprod"])
def test_running(op: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(200):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        dim = dims(random_tensors, x.dim(), several=False)
        options = {"dtype": rng.choice(DTYPES)} if rng.random() < 0.3 else {}
        call = compare(getattr(torch, op), x, dim, **options)
        ruled += call.by_rule
        if call.by_rule:
            assert (call.layer.op, call.layer.attrs) == (op, {"axis": axes_of(dim, x.dim())})
        compare(getattr(torch.Tensor, op), x, dim=dim)
        call = compare(getattr(torch.Tensor, f"{op}_"), x, dim)
        if call.by_rule:
            assert call.result is call.given[0]
    assert ruled > 120


def test_count_nonzero(compare: Any, random_tensors: Any) -> None:
    for _ in range(60):
        x = random_tensors.tensor(random_tensors.shape(empty=0.0), random_tensors.rng.choice(DTYPES))
        call = compare(torch.count_nonzero, x, dims(random_tensors, x.dim()))
        compare(torch.Tensor.count_nonzero, x)
    call = compare(torch.count_nonzero, random_tensors.plain((2, 3)), 1)
    assert call.by_rule
    assert call.layer.attrs == {"axis": (1,), "keepdim": False}


@pytest.mark.parametrize(
    ("function", "op", "axis"),
    [
        (lambda x: x.sum(), "sum", (0, 1, 2)),
        (lambda x: x.sum((0, -1), True), "sum", (0, 2)),
        (lambda x: x.mean(1), "mean", (1,)),
        (lambda x: x.mean(), "mean", (0, 1, 2)),
        (lambda x: x.prod(1), "prod", (1,)),
        (lambda x: x.prod(), "prod", (0, 1, 2)),
        (lambda x: x.max(), "max", (0, 1, 2)),
        (lambda x: x.max(1), "max", (1,)),
        (lambda x: x.min(1), "min", (1,)),
        (lambda x: x.amax((0, 1)), "max", (0, 1)),
        (lambda x: x.amin(), "min", (0, 1, 2)),
        (lambda x: x.argmax(1), "argmax", (1,)),
        (lambda x: x.argmin(), "argmin", (0, 1, 2)),
        (lambda x: x.any(1), "any", (1,)),
        (lambda x: x.all(), "all", (0, 1, 2)),
        (lambda x: x.var(1), "variance", (1,)),
        (lambda x: x.std((0, 1), correction=0), "std", (0, 1)),
        (lambda x: torch.var_mean(x, 1), "variance", (1,)),
        (lambda x: torch.std_mean(x), "std", (0, 1, 2)),
        (lambda x: torch.linalg.vector_norm(x, 2, 1), "norm", (1,)),
        (lambda x: x.norm(), "norm", (0, 1, 2)),
        (lambda x: torch.logsumexp(x, 1), "logsumexp", (1,)),
        (lambda x: x.cumsum(1), "cumsum", (1,)),
        (lambda x: x.cumprod(-1), "cumprod", (2,)),
        (lambda x: torch.count_nonzero(x, 1), "count_nonzero", (1,)),
    ],
)
def test_operators_of_aten(
    function: Any, op: str, axis: Any, compare: Any, compare_aten: Any, random_tensors: Any
) -> None:
    """Without rules for the functions, their operators lead to the same layers."""
    x = random_tensors.plain((2, 3, 4))
    ruled, beneath = compare(function, x), compare_aten(function, x)
    assert ruled.by_rule
    assert ruled.ops == beneath.ops == [op]
    assert ruled.layer.attrs == beneath.layer.attrs
    assert ruled.layer.attrs["axis"] == axis


def test_cosine_similarity_is_canonical(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 4))
    assert not [op for op in compare(torch.nn.functional.cosine_similarity, x, x).ops if op.startswith("torch.")]
