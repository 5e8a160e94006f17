"""Interpolation against loops that interpolate, and antialiased filters against their support."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError, UnsupportedOpError
from multiprof.formulas.resize import resize
from multiprof.ir import Layer
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, positions, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@st.composite
def resized(draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3)) -> tuple[Index, Index, Index]:
    """Leading sizes, spatial sizes before and after."""
    rank = draw(st.sampled_from(ranks))
    most = 5 if rank < 3 else 3
    size = tuple(draw(st.integers(1, most)) for _ in range(rank))
    out = tuple(draw(st.integers(1, most + 2)) for _ in range(rank))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2))), size, out


def layer_of(make: Make, mode: str, sizes: tuple[Index, Index, Index], **attrs: object) -> Layer:
    lead, size, out = sizes
    return make("resize", {"x": (*lead, *size)}, {"y": (*lead, *out)}, mode=mode, **attrs)


def place(i: int, size: int, out: int) -> tuple[int, int, float]:
    """The two neighbours of output i along an axis, and how far it stands from the first; a table, made once."""
    at = min(max((i + 0.5) * size / out - 0.5, 0.0), size - 1.0)
    low = math.floor(at)
    return low, min(low + 1, size - 1), at - low


def interpolate(x: Array, lead: tuple[int, int], at: Index, places: list[tuple[int, int, float]]) -> Counted:
    """Interpolation along the first axis left, of values interpolated along the others."""
    if not places:
        return x[(*lead, *at)]
    (low, high, t), rest = places[0], places[1:]
    a, b = (interpolate(x, lead, (*at, i), rest) for i in (low, high))
    return a + t * (b - a)


def linear_resize(tally: Tally, x: Array, out: Index) -> Array:
    size = x.shape[2:]
    y = Array((*x.shape[:2], *out))
    with tally.term("linear"):
        for n, c, *at in y.indices():
            places = [place(i, a, b) for i, a, b in zip(at, size, out, strict=True)]
            y[(n, c, *at)] = interpolate(x, (n, c), (), places)
    return y


@given(resized())
def test_linear_bilinear_trilinear(make: Make, agree: Agree, sizes: tuple[Index, Index, Index]) -> None:
    lead, size, out = sizes
    tally = Tally()
    linear_resize(tally, tally.array((*lead, *size)), out)
    agree(resize, layer_of(make, MODES[len(size)], sizes), tally)


def cubic_weights(t: float, a: float = -0.5) -> list[float]:
    """Keys' convolution kernel at the distances 1 + t, t, 1 − t, 2 − t; a table, made once."""

    def near(d: float) -> float:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1

    def far(d: float) -> float:
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a

    return [far(1 + t), near(t), near(1 - t), far(2 - t)]


def weighted(items: list[Counted], weights: list[float]) -> Counted:
    return total([item * weight for item, weight in zip(items, weights, strict=True)])


def cubic_resize(tally: Tally, x: Array, out: Index) -> Array:
    height, width = x.shape[2:]
    y = Array((*x.shape[:2], *out))

    def taps(i: int, size: int, made: int) -> tuple[list[int], list[float]]:
        at = (i + 0.5) * size / made - 0.5
        low = math.floor(at)
        return [min(max(low + k, 0), size - 1) for k in (-1, 0, 1, 2)], cubic_weights(at - low)

    with tally.term("cubic"):
        for n, c, i, j in y.indices():
            rows, down = taps(i, height, out[0])
            columns, across = taps(j, width, out[1])
            y[n, c, i, j] = weighted([weighted([x[n, c, r, k] for k in columns], across) for r in rows], down)
    return y


@given(resized(ranks=(2,)))
def test_bicubic(make: Make, agree: Agree, sizes: tuple[Index, Index, Index]) -> None:
    lead, size, out = sizes
    tally = Tally()
    cubic_resize(tally, tally.array((*lead, *size)), out)
    agree(resize, layer_of(make, "bicubic", sizes), tally)


@given(resized())
def test_area_averages_windows_that_tile_the_input(make: Make, agree: Agree, sizes: tuple[Index, Index, Index]) -> None:
    lead, size, out = sizes
    tally = Tally()
    x = tally.array((*lead, *size))
    with tally.term("area"):
        for n, c, *at in positions((*lead, *out)):
            spans = [range(i * a // b, -(-(i + 1) * a // b)) for i, a, b in zip(at, size, out, strict=True)]
            inside = [
                x[(n, c, *p)] for p in positions(size) if all(i in span for i, span in zip(p, spans, strict=True))
            ]
            total(inside) / len(inside)
    agree(resize, layer_of(make, "area", sizes), tally)
    channels_last = make("resize", {"x": (lead[0], *size, lead[1])}, {"y": (lead[0], *out, lead[1])}, mode="area")
    assert resize.price(channels_last) == resize.price(layer_of(make, "area", sizes))


@given(resized(), st.sampled_from(["linear", "bicubic"]))
def test_antialiased(make: Make, agree: Agree, sizes: tuple[Index, Index, Index], mode: str) -> None:
    """One axis after the other, the last one first, each output the weighted sum of the inputs within reach."""
    lead, size, out = sizes
    tally = Tally()
    x = tally.array((*lead, *size))
    for axis in reversed(range(len(size))):
        before, after = size[axis], out[axis]
        if before == after:
            continue
        scale = Fraction(before, after)
        reach = (2 if mode == "bicubic" else 1) * max(scale, Fraction(1))
        y = Array((*x.shape[: axis + 2], after, *x.shape[axis + 3 :]))
        with tally.term("filter"):
            for index in y.indices():
                centre = (index[axis + 2] + Fraction(1, 2)) * scale
                taps = [j for j in range(before) if -reach < j + Fraction(1, 2) - centre <= reach]
                items = [x[(*index[: axis + 2], j, *index[axis + 3 :])] for j in taps]
                y[index] = weighted(items, [1 / len(taps)] * len(taps))
        x = y
    agree(resize, layer_of(make, mode if mode == "bicubic" else MODES[len(size)], sizes, antialias=True), tally)


def test_the_loops_interpolate() -> None:
    # a ramp stays a ramp between the centres of the outermost elements
    tally = Tally()
    ramp = Array((1, 1, 4, 4))
    for n, c, i, j in ramp.indices():
        ramp[n, c, i, j] = tally.scalar(10.0 * i + j)
    rows = linear_resize(tally, ramp, (8, 8)).values()[0][0]
    assert rows[3][4] == pytest.approx(10 * (3.5 / 2 - 0.5) + (4.5 / 2 - 0.5))
    rows = cubic_resize(tally, ramp, (8, 8)).values()[0][0]
    assert rows[3][4] == pytest.approx(10 * (3.5 / 2 - 0.5) + (4.5 / 2 - 0.5))
    assert sum(cubic_weights(0.3)) == pytest.approx(1.0)


def test_the_convention_for_an_element(make: Make) -> None:
    # three interpolations a + t·(b − a), two adds and one mul each; of a line one, of a cube 4 + 2 + 1 = 7
    for mode, steps in (("linear", 1), ("bilinear", 3), ("trilinear", 7)):
        counts = resize.price(make("resize", {"x": (2,)}, {"y": (1,)}, mode=mode)).counts
        assert counts == Counts(adds=2 * steps, muls=steps)
    # five sums of four weighted values
    counts = resize.price(make("resize", {"x": (2,)}, {"y": (1,)}, mode="bicubic")).counts
    assert counts == Counts(adds=5 * 3, muls=5 * 4)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_element_is_copied(make: Make, mode: str) -> None:
    layer = make("resize", {"x": (1, 3, 8, 8)}, {"y": (1, 3, 16, 16)}, mode=mode, antialias=False)
    assert resize.price(layer) == Cost()
    assert resize.traffic(layer) == (3 * 64 * 4, 3 * 256 * 4)


def test_integers_count_apart(make: Make) -> None:
    layer = make("resize", {"x": (1, 3, 8, 8)}, {"y": (1, 3, 16, 16)}, "uint8", mode="bilinear")
    assert resize.price(layer).counts == Counts(ints=9 * 3 * 256)


def test_empty_tensors_cost_nothing(make: Make) -> None:
    for mode in ("bilinear", "bicubic", "area"):
        for antialias in (False, True):
            layer = make("resize", {"x": (0, 3, 8)}, {"y": (0, 3, 4)}, mode=mode, antialias=antialias)
            assert not resize.price(layer).counts


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    shapes = {"x": (1, 3, None)}, {"y": (1, 3, 4)}
    for attrs in ({"mode": "area"}, {"mode": "linear", "antialias": True}):
        with pytest.raises(UnknownDimensionError, match="data-dependent"):
            resize.price(make("resize", *shapes, **attrs))
    with pytest.raises(PluginError, match="requires the attribute mode"):
        resize.price(make("resize", *shapes))
    with pytest.raises(UnsupportedOpError, match="no formula for the mode 'lanczos3'"):
        resize.price(make("resize", *shapes, mode="lanczos3"))
