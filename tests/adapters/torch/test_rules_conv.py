"""Convolution and deconvolution by rule: against torch's meta kernels on random arguments, and what is recorded."""

from __future__ import annotations

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
    length = rank if choice < 0.97 else rng.randint(1, 4)
    return tuple(rng.randint(low, high) for _ in range(length))


def each(value: Any, rank: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * rank if len(values) == 1 else values


def operands(random_tensors: Any, rank: int, groups: int, transposed: bool) -> tuple[Any, Any, Any]:
    """Input, weight and bias, mostly such that they fit."""
    rng = random_tensors.rng
    c_in, c_out = groups * rng.randint(1, 3), groups * rng.randint(1, 3)
    dtype = rng.choice(FLOATS)
    kernel = tuple(rng.randint(1, 4) for _ in range(rank))
    leading = (rng.randint(1, 3),) if rng.random() < 0.75 else ()
    x = random_tensors.plain((*leading, c_in + (rng.random() < 0.04), *(rng.randint(1, 9) for _ in range(rank))), dtype)
    shape = (c_in, c_out // groups, *kernel) if transposed else (c_out, c_in // groups, *kernel)
    if rng.random() < 0.03:
        shape = shape[:-1]
    w = torch.nn.Parameter(random_tensors.plain(shape, dtype))
    b = None
    if rng.random() < 0.6:
        b = torch.nn.Parameter(random_tensors.plain((c_out + (rng.random() < 0.05),), dtype))
    return x, w, b


def is_sensible(rank: int, bias: Any, y: torch.Tensor, given: dict[str, Any]) -> bool:
    """Whether torch's CPU kernels take the arguments; its meta kernels let more pass, which the rules leave to them."""
    stride, dilation = each(given["stride"], rank), each(given["dilation"], rank)
    padding = (0,) * rank if isinstance(given["padding"], str) else each(given["padding"], rank)
    extra = each(given.get("output_padding", 0), rank)
    if 0 in y.shape or (bias is not None and len(bias) != y.shape[-rank - 1]):
        return False
    if {len(values) for values in (stride, dilation, padding, extra)} != {rank}:
        return False
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0 or min(extra) < 0:
        return False
    return all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True))


def common_attrs(rank: int, x: Any, w: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "kernel_size": tuple(w.shape[2:]),
        "stride": each(given["stride"], rank),
        "dilation": each(given["dilation"], rank),
        "groups": given["groups"],
        "in_channels": x.shape[-rank - 1],
        "data_format": (BATCHED if x.dim() == rank + 2 else UNBATCHED)[rank],
    }


def padding_pairs(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """``same`` pads (k − 1)·d elements in all, the odd one at the end."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        return tuple((d * (k - 1) // 2, (d * (k - 1) + 1) // 2) for k, d in zip(kernel, dilation, strict=True))
    return tuple((p, p) for p in each(padding, len(kernel)))


@RANKS
def test_convolution(rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(1000):
        groups = rng.choice((1, 1, 1, 2, 3))
        x, w, b = operands(random_tensors, rank, groups, False)
        given = {
            "stride": rng.choice((1, one_or_each(rng, rank, 1, 3), one_or_each(rng, rank, 0, 2))),
            "padding": rng.choice((0, one_or_each(rng, rank, 0, 3), one_or_each(rng, rank, -1, 2), "same", "valid")),
            "dilation": rng.choice((1, 1, one_or_each(rng, rank, 1, 2), one_or_each(rng, rank, 0, 2))),
            "groups": groups if rng.random() < 0.95 else rng.choice((0, 2, 5)),
        }
        call = compare(getattr(F, f"conv{rank}d"), x, w, b, **given)
        if call.error is not None:
            refused += 1
            continue
        if not is_sensible(rank, b, call.result, given):
            continue
        assert call.by_rule
        ruled += 1
        layer = call.layer
        assert layer.op == "conv"
        assert set(layer.inputs) == ({"x", "weight"} if b is None else {"x", "weight", "bias"})
        attrs = common_attrs(rank, x, w, given)
        pairs = padding_pairs(given["padding"], attrs["kernel_size"], attrs["dilation"])
        assert layer.attrs == attrs | {"padding": pairs, "out_channels": w.shape[0]}
        assert layer.outputs["y"].shape[-rank - 1] == w.shape[0]
    assert ruled > 300
    assert refused > 80


@RANKS
def test_deconvolution(rank: int, compare: Any, random_tensors: Any) -> None:
    rng, ruled, refused = random_tensors.rng, 0, 0
    for _ in range(1000):
        groups = rng.choice((1, 1, 1, 2, 3))
        x, w, b = operands(random_tensors, rank, groups, True)
        given = {
            "stride": rng.choice((1, one_or_each(rng, rank, 1, 3), one_or_each(rng, rank, 0, 2))),
            "padding": rng.choice((0, one_or_each(rng, rank, 0, 2), one_or_each(rng, rank, -1, 2))),
            "output_padding": rng.choice((0, 0, one_or_each(rng, rank, 0, 1), one_or_each(rng, rank, -1, 2))),
            "dilation": rng.choice((1, 1, one_or_each(rng, rank, 1, 2), one_or_each(rng, rank, 0, 2))),
            "groups": groups if rng.random() < 0.95 else rng.choice((0, 2, 5)),
        }
        call = compare(getattr(F, f"conv_transpose{rank}d"), x, w, b, **given)
        if call.error is not None:
            refused += 1
            continue
        channels = x.shape[-rank - 1]
        if channels != w.shape[0] or given["groups"] != groups or not is_sensible(rank, b, call.result, given):
            continue
        assert call.by_rule
        ruled += 1
        layer = call.layer
        assert layer.op == "conv_transpose"
        assert set(layer.inputs) == ({"x", "weight"} if b is None else {"x", "weight", "bias"})
        attrs = common_attrs(rank, x, w, given)
        assert layer.attrs == attrs | {
            "padding": padding_pairs(given["padding"], attrs["kernel_size"], attrs["dilation"]),
            "out_channels": w.shape[1] * given["groups"],
            "output_padding": each(given["output_padding"], rank),
        }
    assert ruled > 250
    assert refused > 80


@RANKS
def test_odd_tensors(rank: int, compare: Any, random_tensors: Any) -> None:
    """Strides and shapes of any kind: the rules answer rightly or not at all."""
    rng = random_tensors.rng
    for _ in range(200):
        x = random_tensors.tensor(
            random_tensors.shape(rng.choice((rank + 1, rank + 2, rank + 2, rank + 3)), empty=0.05)
        )
        w = random_tensors.tensor(random_tensors.shape(rank + 2, empty=0.05))
        b = random_tensors.tensor((w.shape[rng.choice((0, 0, 1))],)) if rng.random() < 0.5 else None
        padding = rng.choice((0, 1, "same"))
        compare(getattr(F, f"conv{rank}d"), x, w, b, 1, padding)
        compare(getattr(F, f"conv_transpose{rank}d"), x, w, b, rng.choice((1, 2)))


@RANKS
def test_operators(rank: int, compare_aten: Any, random_tensors: Any) -> None:
    """Without rules for the functions: the same layers from aten's one operator for both."""
    x = random_tensors.plain((2, 4, 9, 8, 7)[: rank + 2])
    w = torch.nn.Parameter(random_tensors.plain((4, 2, 3, 3, 3)[: rank + 2]))
    layer = compare_aten(getattr(F, f"conv{rank}d"), x, w, None, 2, 1, 1, 2).layer
    assert layer.op == "conv"
    assert layer.attrs == common_attrs(rank, x, w, {"stride": 2, "dilation": 1, "groups": 2}) | {
        "padding": ((1, 1),) * rank,
        "out_channels": 4,
    }
    layer = compare_aten(getattr(F, f"conv_transpose{rank}d"), x, w, None, 2, 1, 1, 2).layer
    assert layer.op == "conv_transpose"
    assert layer.attrs == common_attrs(rank, x, w, {"stride": 2, "dilation": 1, "groups": 2}) | {
        "padding": ((1, 1),) * rank,
        "output_padding": (1,) * rank,
        "out_channels": 4,
    }


@RANKS
def test_modules(rank: int, compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 4, 9, 8, 7)[: rank + 2])
    layer = compare(getattr(torch.nn, f"Conv{rank}d")(4, 6, 3, padding="same", dilation=2, groups=2), x).layer
    assert layer.attrs["padding"] == ((2, 2),) * rank
    assert layer.inputs["weight"].shape == (6, 2, *(3,) * rank)
    layer = compare(getattr(torch.nn, f"ConvTranspose{rank}d")(4, 6, 3, 2, output_padding=1), x).layer
    # (n − 1)·2 + 3 + 1 = 2n + 2
    assert layer.outputs["y"].shape == (2, 6, *(2 * n + 2 for n in x.shape[2:]))


def test_general_form(compare: Any, random_tensors: Any) -> None:
    x, weight = random_tensors.plain((1, 2, 5, 5)), torch.nn.Parameter(random_tensors.plain((3, 2, 3, 3)))
    call = compare(torch.convolution, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    assert call.by_rule
    assert call.layer.op == "conv"
    back = torch.nn.Parameter(random_tensors.plain((2, 3, 3, 3)))
    call = compare(torch.convolution, x, back, None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1)
    assert call.by_rule
    assert call.layer.op == "conv_transpose"


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_padding(padding: str, compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    """An odd total of padding, of which torch's kernel pads the odd element apart."""
    x, weight = random_tensors.plain((1, 2, 8, 8)), torch.nn.Parameter(random_tensors.plain((2, 2, 4, 3)))
    ruled = compare(F.conv2d, x, weight, padding=padding)
    assert ruled.layer.attrs["padding"] == (((1, 2), (1, 1)) if padding == "same" else ((0, 0), (0, 0)))
    beneath = compare_aten(F.conv2d, x, weight, padding=padding)
    assert beneath.ops == (["pad", "conv"] if padding == "same" else ["conv"])


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: F.conv2d(x, w, padding="same", stride=2),
        lambda x, w: F.conv2d(x, w, padding="full"),
        lambda x, w: F.conv2d(x, w, stride=0),
        lambda x, w: F.conv2d(x, w, dilation=0),
        lambda x, w: F.conv2d(x, w, padding=-1),
        lambda x, w: F.conv2d(x, w, groups=2),
        lambda x, w: F.conv2d(x, w, bias=w),
        lambda x, w: F.conv2d(x[:, :1], w),
        lambda x, w: F.conv2d(x[0, 0], w),
        lambda x, w: F.conv2d(x[..., :1, :1], w),
        lambda x, w: F.conv2d(x, w[0]),
        lambda x, w: F.conv_transpose2d(x, w, output_padding=3),
        lambda x, w: F.conv_transpose2d(x, w, padding=20),
        lambda x, w: F.conv_transpose2d(x[0, 0], w),
        lambda x, w: F.conv_transpose2d(x[:, :1], w),
    ],
)
def test_bad_arguments(function: Any, compare: Any, random_tensors: Any) -> None:
    """torch raises, here or where there are values."""
    x, weight = random_tensors.plain((2, 4, 6, 6)), torch.nn.Parameter(random_tensors.plain((4, 4, 3, 3)))
    assert not compare(function, x, weight).by_rule
