"""Convolution of sampled values, and correlation of feature maps, against naive loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.formulas.conv import conv, correlation, deform_conv
from multiprof.ir import Layer
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import positions, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]


def value(x: Array, n: int, c: int, i: int, j: int) -> Counted:
    """An element; 0 outside, as padding is."""
    inside = 0 <= i < x.shape[2] and 0 <= j < x.shape[3]
    return x[n, c, i, j] if inside else x[n, c, 0, 0].tally.scalar()


@given(
    batch=st.integers(1, 2),
    groups=st.integers(1, 2),
    group_in=st.integers(1, 2),
    group_out=st.integers(1, 2),
    size=st.integers(2, 3),
    k=st.integers(1, 2),
    masked=st.booleans(),
    biased=st.booleans(),
)
def test_deform_conv(
    make: Make,
    agree: Agree,
    batch: int,
    groups: int,
    group_in: int,
    group_out: int,
    size: int,
    k: int,
    masked: bool,
    biased: bool,
) -> None:
    """One group of offsets, stride 1, no padding."""
    tally = Tally()
    out = size - k + 1
    x, weight = tally.array((batch, groups * group_in, size, size)), tally.array((groups * group_out, group_in, k, k))
    offset, mask = tally.array((batch, 2 * k * k, out, out)), tally.array((batch, k * k, out, out))
    bias = tally.array((groups * group_out,))
    for n, i, j in positions((batch, out, out)):
        sampled: dict[tuple[int, int], Counted] = {}
        for tap, (a, b) in enumerate(positions((k, k))):
            with tally.term("place"):
                places = [float(i + a) + offset[n, 2 * tap, i, j], float(j + b) + offset[n, 2 * tap + 1, i, j]]
                lows = [int(place.cast(math.floor).value) for place in places]
                t, u = (place - low for place, low in zip(places, lows, strict=True))
            for c in range(x.shape[1]):
                with tally.term("sample"):
                    near = [[value(x, n, c, lows[0] + p, lows[1] + q) for q in (0, 1)] for p in (0, 1)]
                    rows = [left + u * (right - left) for left, right in near]
                    found = rows[0] + t * (rows[1] - rows[0])
                if masked:
                    with tally.term("mask"):
                        found = found * mask[n, tap, i, j]
                sampled[c, tap] = found
        for o in range(groups * group_out):
            first = o // group_out * group_in
            with tally.term("dot"):
                y = tally.dot(
                    (sampled[first + c, tap], weight[o, c, tap // k, tap % k])
                    for c in range(group_in)
                    for tap in range(k * k)
                )
            if biased:
                with tally.term("bias"):
                    y + bias[o,]
    inputs = {"x": x.shape, "offset": offset.shape, "weight": weight.shape}
    inputs |= {"mask": mask.shape} if masked else {}
    inputs |= {"bias": bias.shape} if biased else {}
    attrs = {"groups": groups, "in_channels": x.shape[1], "out_channels": weight.shape[0], "kernel_size": (k, k)}
    layer = make("deform_conv", inputs, {"y": (batch, weight.shape[0], out, out)}, **attrs)
    agree(deform_conv, layer, tally)
    plain = make("conv", inputs, {"y": layer.y.shape}, **attrs)
    assert conv.price(plain).terms["dot"] == deform_conv.price(layer).terms["dot"]


@pytest.mark.parametrize("multiply", [True, False])
@given(batch=st.integers(1, 2), channels=st.integers(1, 3), k=st.integers(1, 3), reach=st.integers(0, 1))
def test_correlation(make: Make, agree: Agree, multiply: bool, batch: int, channels: int, k: int, reach: int) -> None:
    """Every patch with those up to ``reach`` away from it; what lies outside is 0."""
    tally = Tally()
    a, b = tally.array((batch, channels, k + 1, k + 1)), tally.array((batch, channels, k + 1, k + 1))
    moves = list(positions((2 * reach + 1, 2 * reach + 1)))
    for n, (down, right), i, j in (
        (n, move, i, j) for n in range(batch) for move in moves for i, j in positions((2, 2))
    ):
        pairs = [
            (value(a, n, c, i + p, j + q), value(b, n, c, i + p + down - reach, j + q + right - reach))
            for c in range(channels)
            for p, q in positions((k, k))
        ]
        with tally.term("dot" if multiply else "absolute"):
            met = tally.dot(pairs) if multiply else total([abs(u - v) for u, v in pairs])
        with tally.term("mean"):
            met / (channels * k * k)
    y = (batch, len(moves), 2, 2)
    layer = make("correlation", {"x0": a.shape, "x1": b.shape}, {"y": y}, kernel_size=(k, k), channels=channels)
    layer.attrs["multiply"] = multiply
    agree(correlation, layer, tally)


def test_products_unless_said(make: Make) -> None:
    # FlowNet-C: 256 channels, single elements, 21 × 21 displacements
    shape = (1, 256, 48, 64)
    layer = make("correlation", {"x0": shape, "x1": shape}, {"y": (1, 441, 48, 64)}, kernel_size=(1, 1), channels=256)
    y = 441 * 48 * 64
    assert correlation.price(layer) == Cost({"dot": Counts(macs=256 * y, dots=y), "mean": Counts(divs=y)})
