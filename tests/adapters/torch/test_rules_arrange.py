"""Flips, rolls, triangles, shuffles and windows: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

META = torch.device("meta")


def flip(r: Any) -> Any:
    x = r.tensor(r.shape())
    axes = [r.axis(x.dim()) for _ in range(r.rng.randint(0, 2))]
    return r.rng.choice(
        (
            lambda x: x.flip(axes),
            lambda x: x.flip(*axes),
            lambda x: torch.flip(x, dims=axes),
            lambda x: x.fliplr(),
            lambda x: torch.flipud(x),
            lambda x: reversed(x),
        )
    ), x


def roll(r: Any) -> Any:
    x = r.tensor(r.shape())
    axes = [r.axis(x.dim()) for _ in range(r.rng.randint(1, 2))]
    n = r.rng.randint(-2, 2)
    return r.rng.choice(
        (lambda x: x.roll(n, axes[0]), lambda x: torch.roll(x, n), lambda x: torch.roll(x, [n] * len(axes), axes))
    ), x


def rot90(r: Any) -> Any:
    x = r.tensor(r.shape(r.rng.randint(1, 4)))
    axes = (0, 1) if r.rng.random() < 0.6 else (r.axis(x.dim()), r.axis(x.dim()))
    k = r.rng.randint(-1, 4)
    return r.rng.choice((lambda x: x.rot90(k, axes), lambda x: torch.rot90(x))), x


def triangle(r: Any) -> Any:
    k = r.rng.randint(-2, 2)
    return r.rng.choice(
        (
            lambda x: x.tril(k),
            lambda x: torch.triu(x, diagonal=k),
            lambda x: x.triu(),
            lambda x: x.tril_(k),
            lambda x: x.triu_(),
        )
    ), r.tensor(r.shape(r.rng.randint(1, 4)))


def shuffle(r: Any) -> Any:
    n = r.rng.choice((1, 2))
    shape = (
        *r.shape(r.rng.randint(0, 2)),
        r.rng.choice((4, 4, 8, 3, 9)),
        r.rng.choice((2, 4, 3)),
        r.rng.choice((2, 4, 6)),
    )
    return r.rng.choice(
        (
            lambda x: F.pixel_shuffle(x, n),
            lambda x: torch.pixel_unshuffle(x, n),
            lambda x: F.channel_shuffle(x, n),
            lambda x: F.native_channel_shuffle(x, 2),
        )
    ), r.tensor(shape)


def windows(r: Any) -> Any:
    rng = r.rng
    shape = (rng.randint(1, 2), rng.choice((1, 2)), rng.randint(2, 6), rng.randint(2, 6))
    kernel, padding = rng.choice(((2, 2), (1, 2), (3, 3))), rng.choice(((0, 0), (1, 1), (0, 1)))
    dilation, stride = rng.choice((1, 1, 2)), rng.choice((1, 2))
    length = 1
    for size, k, p in zip(shape[2:], kernel, padding, strict=True):
        length *= max((size + 2 * p - dilation * (k - 1) - 1) // stride + 1, 0)
    columns = r.tensor((shape[0], shape[1] * kernel[0] * kernel[1], length + (rng.random() < 0.05)))
    x = r.tensor(shape if rng.random() < 0.8 else shape[1:])
    return (
        rng.choice(
            (
                lambda x, y: F.unfold(x, kernel, dilation, padding, stride),
                lambda x, y: F.fold(y, shape[2:], kernel, dilation=dilation, padding=padding, stride=stride),
            )
        ),
        x,
        columns,
    )


CASES: dict[Any, tuple[tuple[str, ...], float]] = {
    flip: (("flip",), 0.5),
    roll: (("roll",), 0.5),
    rot90: (("flip", "transpose", "copy"), 0.4),
    triangle: (("triangle",), 0.6),
    shuffle: (("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "reshape", "transpose", "copy"), 0.3),
    windows: (("unfold", "fold"), 0.9),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    ops, share = CASES[make]
    sweep(make, ops, share=share, times=400)


@pytest.mark.parametrize(
    ("function", "op", "attrs"),
    [
        (lambda x: x.flip(-1, 0), "flip", {"axis": (3, 0)}),
        (lambda x: x.roll((1, -2), (1, -1)), "roll", {"axis": (1, 3), "shift": (1, -2)}),
        (lambda x: x.roll(3), "roll", {"axis": (), "shift": (3,)}),
        (lambda x: x.tril(-1), "triangle", {"diagonal": -1, "upper": False}),
        (lambda x: x.triu(), "triangle", {"diagonal": 0, "upper": True}),
        (lambda x: torch.nn.PixelShuffle(2)(x), "pixel_shuffle", {"factor": 2}),
        (lambda x: torch.nn.PixelUnshuffle(2)(x), "pixel_unshuffle", {"factor": 2}),
        (lambda x: torch.nn.ChannelShuffle(4)(x), "channel_shuffle", {"groups": 4}),
    ],
)
def test_attributes(compare: Any, compare_aten: Any, function: Any, op: str, attrs: dict[str, Any]) -> None:
    x = torch.empty(2, 8, 4, 6, device=META)
    by_rule = compare(function, x)
    assert by_rule.by_rule
    assert (by_rule.layer.op, by_rule.layer.attrs) == (op, attrs)
    layer = compare_aten(function, x).layer
    assert (layer.op, layer.attrs) == (op, attrs)


def test_windows_are_complete_enough_to_run(compare: Any, compare_aten: Any) -> None:
    attrs = {
        "kernel_size": (2, 3), "stride": (1, 2), "padding": ((1, 1), (0, 0)), "dilation": (1, 1), "data_format": "NCHW",
    }  # fmt: skip
    x = torch.empty(2, 3, 6, 7, device=META)
    for check in (compare, compare_aten):
        layer = check(lambda x: F.unfold(x, (2, 3), 1, (1, 0), (1, 2)), x).layer
        assert (layer.op, layer.attrs) == ("unfold", attrs)
        assert layer.y.shape == (2, 3 * 2 * 3, 7 * 3)
        layer = check(lambda y: F.fold(y, (6, 7), (2, 3), 1, (1, 0), (1, 2)), torch.empty(2, 18, 21, device=META)).layer
        assert (layer.op, layer.attrs, layer.y.shape) == ("fold", attrs, (2, 3, 6, 7))


def test_triangle_in_place_is_a_write(compare: Any) -> None:
    layer = compare(lambda x: x.triu_(1), torch.empty(4, 4, device=META)).layer
    assert layer.aliases == (("y", "x", "write"),)


def test_values_survive(trace: Any) -> None:
    found: list[Any] = []

    def function(x: Any) -> Any:
        mask = torch.ones(3, 3, dtype=torch.bool).tril()
        found.append(mask.flip(0).roll(1, 1).tolist())
        return x

    trace(function, (2,))
    assert found == [torch.ones(3, 3, dtype=torch.bool).tril().flip(0).roll(1, 1).tolist()]
