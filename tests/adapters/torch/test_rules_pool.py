"""Pooling by rule: against torch's meta kernels on random windows, bad ones included, and what is recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOAT, HALF, INT = torch.float32, torch.float16, torch.int64
FORMATS = {1: ("CL", "NCL"), 2: ("CHW", "NCHW"), 3: ("CDHW", "NCDHW")}


def image(random_tensors: Any, rank: int) -> Any:
    """With a batch dimension or without, mostly plain; now and then of another rank."""
    rng = random_tensors.rng
    shape = [rng.randint(1, 3) for _ in range(rng.choice((1, 2, 2, 2)))] + [rng.randint(1, 9) for _ in range(rank)]
    if rng.random() < 0.04:
        shape.insert(0, 2) if rng.random() < 0.5 else shape.pop()
    dtype = rng.choice((FLOAT,) * 9 + (HALF, torch.float64, INT))
    if rng.random() < 0.7 or len(shape) < 2:
        return random_tensors.plain(tuple(shape), dtype)
    return rng.choice((random_tensors.tensor, random_tensors.permuted, channels_last))(tuple(shape), dtype)


def channels_last(shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    return torch.empty((shape[0], *shape[2:], shape[1]), dtype=dtype, device="meta").movedim(-1, 1)


def per_dimension(random_tensors: Any, rank: int, low: int, high: int) -> Any:
    """One number for all, or one for each; now and then too many."""
    rng = random_tensors.rng
    if rng.random() < 0.5:
        return rng.randint(low, high)
    count = rank + 1 if rng.random() < 0.03 else rng.choice((rank, rank, rank, 1))
    return [rng.randint(low, high) for _ in range(count)]


def pairs(value: Any, rank: int) -> tuple[int, ...]:
    values = [value] if isinstance(value, int) else list(value)
    return tuple(values * rank if len(values) == 1 else values)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    function = getattr(F, f"max_pool{rank}d")
    ruled = 0
    for _ in range(700):
        x = image(random_tensors, rank)
        kernel = per_dimension(random_tensors, rank, 1, 4)
        stride = rng.choice((None, per_dimension(random_tensors, rank, 1, 3)))
        padding = per_dimension(random_tensors, rank, 0, 2 if rng.random() < 0.3 else 0)
        dilation = per_dimension(random_tensors, rank, 1, 2 if rng.random() < 0.3 else 1)
        ceil_mode, indices = rng.random() < 0.4, rng.random() < 0.3
        call = compare(function, x, kernel, stride, padding, dilation, ceil_mode, indices)
        ruled += call.by_rule
        if call.by_rule:
            layer = call.layer
            assert (layer.op, "indices" in layer.outputs) == ("max_pool", indices)
            assert layer.attrs == {
                "kernel_size": pairs(kernel, rank),
                "stride": pairs(kernel if stride is None else stride, rank),
                "padding": tuple((p, p) for p in pairs(padding, rank)),
                "dilation": pairs(dilation, rank),
                "ceil_mode": ceil_mode,
                "data_format": FORMATS[rank][x.dim() - rank - 1],
            }
    assert ruled > 200


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_avg_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    function = getattr(F, f"avg_pool{rank}d")
    ruled = 0
    for _ in range(700):
        x = image(random_tensors, rank)
        kernel = per_dimension(random_tensors, rank, 1, 4)
        stride = rng.choice((None, per_dimension(random_tensors, rank, 1, 3)))
        padding = per_dimension(random_tensors, rank, 0, 2 if rng.random() < 0.3 else 0)
        options: dict[str, Any] = {"ceil_mode": rng.random() < 0.4, "count_include_pad": rng.random() < 0.5}
        if rank > 1:
            options["divisor_override"] = rng.choice((None, None, None, 3, 0))
        call = compare(function, x, kernel, stride, padding, **options)
        ruled += call.by_rule
        if call.by_rule:
            attrs = call.layer.attrs
            assert call.layer.op == "avg_pool"
            assert attrs["kernel_size"] == pairs(kernel, rank)
            assert attrs["divisor"] == options.get("divisor_override")
            assert attrs["count_include_pad"] is options["count_include_pad"]
            assert attrs["ceil_mode"] is options["ceil_mode"]
    assert ruled > 200


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lp_pool(rank: int, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    function = getattr(F, f"lp_pool{rank}d")
    ruled = 0
    for _ in range(200):
        x = image(random_tensors, rank)
        p = rng.choice((1, 2, 2.0, 3.5, math.inf, 0))
        kernel = per_dimension(random_tensors, rank, 1, 3)
        stride = rng.choice((None, per_dimension(random_tensors, rank, 1, 3)))
        call = compare(function, x, p, kernel, stride, rng.random() < 0.4)
        if call.by_rule and call.ops == ["lp_pool"]:
            ruled += 1
            assert call.layer.attrs["p"] == p
            assert call.layer.attrs["kernel_size"] == pairs(kernel, rank)
    assert ruled > 35


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(rank: int, kind: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    function = getattr(F, f"adaptive_{kind}_pool{rank}d")
    ruled = 0
    for _ in range(400):
        x = image(random_tensors, rank)
        size: Any = per_dimension(random_tensors, rank, 1, 4)
        if rank > 1 and rng.random() < 0.3:
            size = tuple(rng.choice((None, 1, 3)) for _ in range(rank))
        if rng.random() < 0.03:
            size = 0
        indices = kind == "max" and rng.random() < 0.4
        call = compare(function, x, size, *((indices,) if kind == "max" else ()))
        ruled += call.by_rule
        if call.by_rule:
            layer = call.layer
            assert (layer.op, "indices" in layer.outputs) == (f"adaptive_{kind}_pool", indices)
            given = tuple(x.shape[-rank:])
            wanted = tuple(n if s is None else s for s, n in zip(pairs(size, rank), given, strict=True))
            assert layer.attrs == {
                "input_size": given,
                "output_size": wanted,
                "data_format": FORMATS[rank][x.dim() - rank - 1],
            }
    assert ruled > 200


@pytest.mark.parametrize(
    ("module", "op"),
    [
        (torch.nn.MaxPool2d(3, 2, 1), "max_pool"),
        (torch.nn.MaxPool2d(3, 2, 1, return_indices=True), "max_pool"),
        (torch.nn.AvgPool2d(2), "avg_pool"),
        (torch.nn.LPPool2d(2, 2), "lp_pool"),
        (torch.nn.AdaptiveAvgPool2d(1), "adaptive_avg_pool"),
        (torch.nn.AdaptiveAvgPool2d((None, 3)), "adaptive_avg_pool"),
        (torch.nn.AdaptiveMaxPool2d(2), "adaptive_max_pool"),
    ],
)
def test_modules(module: Any, op: str, compare: Any, random_tensors: Any) -> None:
    call = compare(module, random_tensors.plain((2, 3, 8, 8)))
    assert call.by_rule
    assert call.ops == [op]


def test_other_faces(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 8, 8))
    for function, op in (
        (lambda x: torch.max_pool2d(x, 2), "max_pool"),
        (lambda x: torch.max_pool1d(x[0], 2), "max_pool"),
        (lambda x: torch.max_pool1d_with_indices(x[0], 2), "max_pool"),
        (lambda x: F.max_pool2d_with_indices(x, 2), "max_pool"),
        (lambda x: torch.avg_pool1d(x[0], 2), "avg_pool"),
        (lambda x: torch.adaptive_avg_pool1d(x[0], 2), "adaptive_avg_pool"),
        (lambda x: torch.adaptive_max_pool1d(x[0], 2), "adaptive_max_pool"),
        (lambda x: F.adaptive_max_pool2d_with_indices(x, 2), "adaptive_max_pool"),
    ):
        call = compare(function, x)
        assert call.by_rule
        assert call.ops[-1] == op


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x: F.max_pool2d(x, 3, 2, 1), "max_pool"),
        (lambda x: F.max_pool3d(x, 2), "max_pool"),
        (lambda x: F.avg_pool2d(x, 2, ceil_mode=True), "avg_pool"),
        (lambda x: F.avg_pool3d(x, 2, padding=1), "avg_pool"),
        (lambda x: F.adaptive_avg_pool2d(x, 3), "adaptive_avg_pool"),
        (lambda x: F.adaptive_avg_pool3d(x, 3), "adaptive_avg_pool"),
        (lambda x: F.adaptive_max_pool2d(x, 3), "adaptive_max_pool"),
        (lambda x: F.adaptive_max_pool3d(x, 3), "adaptive_max_pool"),
    ],
)
def test_operators_of_aten(function: Any, op: str, compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    """Without rules for the functions, their operators lead to the same layers."""
    x = random_tensors.plain((2, 3, 8, 8))
    ruled, beneath = compare(function, x), compare_aten(function, x)
    assert ruled.ops == beneath.ops == [op]
    assert ruled.layer.attrs == beneath.layer.attrs


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
