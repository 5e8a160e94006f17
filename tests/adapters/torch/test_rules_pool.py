"""Pooling by rule: against torch's meta kernels on random arguments, and what is recorded."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOATS = (torch.float32, torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16)
BATCHED = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
UNBATCHED = {1: "CL", 2: "CHW", 3: "CDHW"}
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])


def one_or_each(rng: random.Random, rank: int, low: int, high: int) -> Any:
    """One number, or one per dimension; now and then too few or too many."""
    choice = rng.random()
    if choice < 0.5:
        return rng.randint(low, high)
    length = rank if choice < 0.96 else rng.randint(0, 4)
    return tuple(rng.randint(low, high) for _ in range(length))


def each(value: Any, rank: int) -> tuple[int, ...]:
    """What torch makes of such an argument."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * rank if len(values) == 1 else values


def image(random_tensors: Any, rank: int) -> torch.Tensor:
    """Contiguous, with a batch dimension in most cases."""
    rng = random_tensors.rng
    leading = (rng.randint(1, 3), rng.randint(1, 5)) if rng.random() < 0.75 else (rng.randint(1, 5),)
    return random_tensors.plain((*leading, *(rng.randint(1, 9) for _ in range(rank))), rng.choice(FLOATS))


def odd(random_tensors: Any, rank: int) -> torch.Tensor:
    """Any strides, dtypes and numbers of dimensions, empty ones too."""
    rng = random_tensors.rng
    shape = random_tensors.shape(rng.choice((rank, rank + 1, rank + 2, rank + 2, rank + 3)), empty=0.05)
    return random_tensors.tensor(shape, rng.choice((torch.float32, torch.float32, torch.int64, torch.bool)))


def window(rng: random.Random, rank: int) -> dict[str, Any]:
    """Window arguments; many of them wrong."""
    usual = rng.random() < 0.7
    arguments: dict[str, Any] = {
        "kernel_size": one_or_each(rng, rank, 1 if usual else 0, 4),
        "stride": rng.choice((None, [], one_or_each(rng, rank, 1, 3), one_or_each(rng, rank, 1 if usual else 0, 3))),
        "padding": rng.choice((0, one_or_each(rng, rank, 0, 1), one_or_each(rng, rank, 0 if usual else -1, 2))),
        "ceil_mode": rng.random() < 0.4,
    }
    return arguments


def window_attrs(rank: int, x: torch.Tensor, given: dict[str, Any]) -> dict[str, Any]:
    kernel = each(given["kernel_size"], rank)
    return {
        "kernel_size": kernel,
        "stride": each(given["stride"], rank) if given["stride"] not in (None, [], ()) else kernel,
        "padding": tuple((p, p) for p in each(given.get("padding", 0), rank)),
        "dilation": each(given.get("dilation", 1), rank),
        "data_format": (BATCHED if x.dim() == rank + 2 else UNBATCHED)[rank],
        "ceil_mode": given["ceil_mode"],
    }


@RANKS
def test_max_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(400):
        x = image(random_tensors, rank)
        given = window(rng, rank) | {"dilation": rng.choice((1, 1, one_or_each(rng, rank, 1, 2), 0))}
        indices = rng.random() < 0.4
        call = compare(getattr(F, f"max_pool{rank}d"), x, **given, return_indices=indices)
        if call.error is not None:
            refused += 1
            continue
        assert call.by_rule
        ruled += 1
        layer = call.layer
        assert layer.op == "max_pool"
        assert set(layer.outputs) == ({"y", "indices"} if indices else {"y"})
        assert layer.attrs == window_attrs(rank, x, given)
    assert ruled > 100
    assert refused > 50


@RANKS
def test_faces_of_max_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 9, 8, 7)[: rank + 2])
    expected = window_attrs(rank, x, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False})
    values = (getattr(F, f"max_pool{rank}d"), getattr(torch, f"max_pool{rank}d"))
    pairs = [getattr(F, f"max_pool{rank}d_with_indices")]
    pairs.append(torch.max_pool1d_with_indices if rank == 1 else getattr(torch._C._nn, f"max_pool{rank}d_with_indices"))
    for function in (*values, *pairs):
        call = compare(function, x, 3, 2, 1)
        assert call.by_rule
        assert call.layer.attrs == expected
        assert set(call.layer.outputs) == ({"y", "indices"} if function in pairs else {"y"})
    module = getattr(torch.nn, f"MaxPool{rank}d")
    assert compare(module(3, 2, 1), x).layer.attrs == expected
    assert set(compare(module(3, return_indices=True), x).layer.outputs) == {"y", "indices"}


@RANKS
def test_avg_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(400):
        x = image(random_tensors, rank)
        given = window(rng, rank) | {"count_include_pad": rng.random() < 0.5}
        if given["stride"] is None and rank == 1:
            del given["stride"]
        if rank > 1:
            given["divisor_override"] = rng.choice((None, None, 3, -2, 0))
        call = compare(getattr(F, f"avg_pool{rank}d"), x, **given)
        if call.error is not None:
            refused += 1
            continue
        assert call.by_rule
        ruled += 1
        layer = call.layer
        assert layer.op == "avg_pool"
        assert layer.attrs == window_attrs(rank, x, {"stride": None, **given}) | {
            "count_include_pad": given["count_include_pad"],
            "divisor": given.get("divisor_override"),
        }
    assert ruled > 100
    assert refused > 50
    x = random_tensors.plain((2, 3, 9, 8, 7)[: rank + 2])
    assert (
        compare(getattr(torch.nn, f"AvgPool{rank}d")(3, 2, 1, count_include_pad=False), x).layer.attrs["padding"]
        == ((1, 1),) * rank
    )


@RANKS
def test_lp_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(250):
        x = image(random_tensors, rank)
        given = window(rng, rank)
        del given["padding"]
        if given["stride"] in ([], ()):
            given["stride"] = None
        p = rng.choice((1, 2, 2.0, 3.5, -1, 0, math.inf, -math.inf))
        call = compare(getattr(F, f"lp_pool{rank}d"), x, p, **given)
        if call.error is not None:
            refused += 1
            continue
        assert call.by_rule
        ruled += 1
        assert call.layer.op == "lp_pool"
        assert call.layer.attrs == window_attrs(rank, x, given) | {"p": p}
    assert ruled > 80
    assert refused > 30
    x = random_tensors.plain((2, 3, 9, 8, 7)[: rank + 2])
    assert compare(getattr(torch.nn, f"LPPool{rank}d")(2, 3, 2), x).layer.attrs["p"] == 2


@RANKS
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(kind: str, rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    function = getattr(F, f"adaptive_{kind}_pool{rank}d")
    for _ in range(250):
        x = image(random_tensors, rank)
        length = rank if rng.random() < 0.9 else rng.randint(0, 4)
        sizes = (1, 2, 4, 7) if rank == 1 else (None, 1, 2, 4, 7)
        size = rng.choice((1, 2, 5, tuple(rng.choice(sizes) for _ in range(length)), -1, (None,) * rank))
        indices = kind == "max" and rng.random() < 0.5
        call = compare(function, x, size, *([indices] if kind == "max" else []))
        if call.error is not None:
            refused += 1
            continue
        assert call.by_rule
        ruled += 1
        before = tuple(x.shape[-rank:])
        after = tuple(n if m is None else m for n, m in zip(before, each(size, rank), strict=True))
        assert call.layer.op == f"adaptive_{kind}_pool"
        assert set(call.layer.outputs) == ({"y", "indices"} if indices else {"y"})
        assert call.layer.attrs == {
            "input_size": before,
            "output_size": after,
            "data_format": (BATCHED if x.dim() == rank + 2 else UNBATCHED)[rank],
        }
    assert ruled > 100
    assert refused > 30
    x = random_tensors.plain((2, 3, 9, 8, 7)[: rank + 2])
    module = getattr(torch.nn, f"Adaptive{kind.capitalize()}Pool{rank}d")
    assert compare(module(1), x).layer.attrs["output_size"] == (1,) * rank


@RANKS
def test_pooling_of_odd_tensors(rank: int, compare: Any, random_tensors: Any) -> None:
    """Strides, dtypes and ranks of any kind: the rules answer rightly or not at all."""
    rng = random_tensors.rng
    for _ in range(150):
        x = odd(random_tensors, rank)
        given = window(rng, rank)
        compare(getattr(F, f"max_pool{rank}d"), x, **given, return_indices=rng.random() < 0.5)
        compare(
            getattr(F, f"avg_pool{rank}d"), x, **({"stride": []} | {k: v for k, v in given.items() if v is not None})
        )
        compare(getattr(F, f"adaptive_avg_pool{rank}d"), x, rng.choice((1, 2)))
        compare(getattr(F, f"adaptive_max_pool{rank}d"), x, rng.choice((1, 2)))
        del given["padding"]
        compare(getattr(F, f"lp_pool{rank}d"), x, 2.0, **given)


@RANKS
def test_operators(rank: int, compare_aten: Any, random_tensors: Any) -> None:
    """Without rules for the functions: the same layers from aten operators, but for one-dimensional ones."""
    x = random_tensors.plain((2, 3, 9, 8, 7)[: rank + 2])
    given = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}
    call = compare_aten(getattr(F, f"max_pool{rank}d"), x, **given)
    assert "max_pool" in call.ops
    (layer,) = (layer for layer in call.layers if layer.op == "max_pool")
    assert layer.attrs["kernel_size"][-1] == 3
    if rank > 1:
        assert layer.attrs == window_attrs(rank, x, given)
        assert set(layer.outputs) == {"y", "indices"}
        call = compare_aten(getattr(F, f"avg_pool{rank}d"), x, 3, 2, 1)
        assert call.layer.op == "avg_pool"
        assert call.layer.attrs["stride"] == (2,) * rank
        call = compare_aten(getattr(F, f"adaptive_avg_pool{rank}d"), x, 2)
        assert call.layer.op == "adaptive_avg_pool"
        assert call.layer.attrs["output_size"] == (2,) * rank
        call = compare_aten(getattr(F, f"adaptive_max_pool{rank}d"), x, 2)
        assert call.layer.op == "adaptive_max_pool"
        assert set(call.layer.outputs) == {"y", "indices"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 2, return_indices=True),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_max_pool2d(x, 2),
    ],
)
def test_channels_last(function: Any, compare: Any, random_tensors: Any) -> None:
    """As a permutation leaves it; the result keeps the order, as torch's kernels for images have it."""
    for shape in ((2, 8, 6, 3), (1, 4, 4, 2)):
        assert compare(function, random_tensors.plain(shape).permute(0, 3, 1, 2)).by_rule


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool1d(x, 2, return_indices=True),
        lambda x: F.avg_pool1d(x, 2),
        lambda x: F.adaptive_avg_pool1d(x, 1),
        lambda x: F.adaptive_max_pool1d(x, 2),
    ],
)
def test_transposed_signals(function: Any, compare: Any, random_tensors: Any) -> None:
    """As transformers leave them: positions before channels in memory."""
    for shape in ((2, 8, 3), (1, 4, 2), (4, 3)):
        assert compare(function, random_tensors.plain(shape).transpose(-1, -2)).by_rule


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 0),
        lambda x: F.max_pool2d(x, 3, 0),
        lambda x: F.max_pool2d(x, 3, padding=2),
        lambda x: F.max_pool2d(x, 3, padding=-1),
        lambda x: F.max_pool2d(x, 3, dilation=0),
        lambda x: F.max_pool2d(x, 9),
        lambda x: F.max_pool2d(x, (2, 2, 2)),
        lambda x: F.max_pool2d(x[0, 0], 2),
        lambda x: F.avg_pool2d(x, 3, padding=2),
        lambda x: F.avg_pool2d(x, 9),
        lambda x: F.avg_pool2d(x, 2, divisor_override=0),
        lambda x: F.avg_pool1d(x, 2),
        lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)),
        lambda x: F.adaptive_avg_pool2d(x, -1),
        lambda x: F.adaptive_avg_pool2d(x[0, 0], 2),
        lambda x: F.adaptive_max_pool2d(x, (1, 2, 3)),
        lambda x: F.lp_pool2d(x, 2, 9),
        lambda x: F.adaptive_avg_pool2d(x, None),
        lambda x: F.adaptive_max_pool1d(x[0], (None,)),
    ],
)
def test_bad_arguments(function: Any, compare: Any, random_tensors: Any) -> None:
    assert compare(function, random_tensors.plain((2, 3, 8, 8))).error is not None
