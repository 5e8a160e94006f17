"""Sampling at computed places: loops over the places and the elements, on values that can be checked."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.errors import PluginError, UnsupportedOpError
from multiprof.formulas.sampling import affine_grid, grid_sample, interpolations
from multiprof.ir import Layer
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, maximum, minimum, positions, select, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]


def placed(g: Counted, size: int, corners: bool) -> Counted:
    """From [−1, 1] to elements; the constants are made ahead of time."""
    return (g + 1.0) * ((size - 1) / 2) if corners else (g + 1.0) * (size / 2) - 0.5


def limited(tally: Tally, p: Counted, size: int) -> Counted:
    with tally.term("clip"):
        return minimum(maximum(p, 0.0), size - 1.0)


def reflected(tally: Tally, p: Counted, size: int, corners: bool) -> Counted:
    """As ATen does it: how often the mirrors are passed says whether the rest is turned round."""
    low, span = (0.0, max(size - 1.0, 1.0)) if corners else (-0.5, float(size))
    with tally.term("reflect"):
        away = abs(p - low)
        tally.count("divs")
        rest = tally.scalar(math.fmod(away.value, span))
        flips = (away / span).cast(math.floor)
        straight, turned = rest + low, (span + low) - rest
        return select(flips.value % 2 == 0, straight, turned)


def cubic_weights(t: Counted, a: float = -0.75) -> list[Counted]:
    """Keys' kernel at the distances 1 + t, t, 1 − t, 2 − t, in Horner's form."""

    def near(d: Counted) -> Counted:
        return (d * (a + 2) - (a + 3)) * d * d + 1.0

    def far(d: Counted) -> Counted:
        return ((d * a - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]


class Sampler:
    """Values of an image at places; what is asked for outside is 0, or is inside after all."""

    def __init__(self, tally: Tally, x: Array, mode: str, padding: str, corners: bool) -> None:
        self.tally, self.x, self.mode, self.padding, self.corners = tally, x, mode, padding, corners
        self.sizes = x.shape[2:]
        self.zero = tally.scalar()

    def inside(self, p: Counted, size: int) -> Counted:
        if self.padding == "reflection":
            p = reflected(self.tally, p, size, self.corners)
        return p if self.padding == "zeros" else limited(self.tally, p, size)

    def taps(self, g: Counted, size: int) -> tuple[list[int], list[Counted]]:
        """The elements along an axis that a coordinate meets, and what they are weighted by: a fraction, or weights."""
        with self.tally.term("place"):
            p = placed(g, size, self.corners)
        if self.mode != "bicubic":
            p = self.inside(p, size)
        with self.tally.term("place"):
            low = p.cast(round if self.mode == "nearest" else math.floor)
        first = int(low.value)
        if self.mode == "nearest":
            return [first], []
        with self.tally.term("fraction"):
            t = p - low.value
        if self.mode == "bilinear":
            return [first, first + 1], [t]
        with self.tally.term("kernel"):
            weights = cubic_weights(t)
        near = [self.inside(self.tally.scalar(first + k), size) for k in (-1, 0, 1, 2)]
        return [round(p.value) for p in near], weights

    def at(self, index: Index) -> Counted:
        outside = any(not 0 <= i < n for i, n in zip(index[2:], self.sizes, strict=True))
        return self.zero if outside else self.x[index]

    def value(self, index: Index, axes: list[tuple[list[int], list[Counted]]]) -> Counted:
        if not axes:
            return self.at(index)
        (elements, by), rest = axes[0], axes[1:]
        values = [self.value((*index, i), rest) for i in elements]
        if self.mode == "nearest":
            return values[0]
        if self.mode == "bilinear":
            with self.tally.term("linear"):
                return values[0] + by[0] * (values[1] - values[0])
        with self.tally.term("cubic"):
            return total([value * weight for value, weight in zip(values, by, strict=True)])

    def sample(self, grid: Array) -> Array:
        n, *places, dims = grid.shape
        y = Array((n, self.x.shape[1], *places))
        for batch, *place in positions((n, *places)):
            # the last coordinate of the grid is that of the first axis
            g = [grid[(batch, *place, d)] for d in reversed(range(dims))]
            axes = [self.taps(item, size) for item, size in zip(g, self.sizes, strict=True)]
            for channel in range(self.x.shape[1]):
                y[(batch, channel, *place)] = self.value((batch, channel), axes)
        return y


MODES = st.sampled_from(["nearest", "bilinear", "bicubic"])
PADDING = st.sampled_from(["zeros", "border", "reflection"])


@settings(max_examples=60)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(2, 4), MODES, PADDING, st.booleans())
def test_images(
    make: Make, agree: Agree, n: int, c: int, made: int, size: int, mode: str, padding: str, corners: bool
) -> None:
    tally = Tally()
    x, grid = tally.array((n, c, size, 3)), tally.array((n, made, 2, 2))
    Sampler(tally, x, mode, padding, corners).sample(grid)
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    shapes = {"x": x.shape, "grid": grid.shape}
    agree(grid_sample, make("grid_sample", shapes, {"y": (n, c, made, 2)}, **attrs), tally)


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_volumes(make: Make, agree: Agree, padding: str) -> None:
    tally = Tally()
    x, grid = tally.array((1, 2, 3, 4, 2)), tally.array((1, 2, 2, 3, 3))
    Sampler(tally, x, "bilinear", padding, True).sample(grid)
    attrs = {"mode": "bilinear", "padding_mode": padding, "align_corners": True}
    agree(grid_sample, make("grid_sample", {"x": x.shape, "grid": grid.shape}, {"y": (1, 2, 2, 2, 3)}, **attrs), tally)
    assert interpolations(3) == 7


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_the_loops_sample(mode: str, padding: str) -> None:
    """A grid of the elements' own places gives the image back."""
    tally = Tally()
    x = tally.array((1, 1, 4, 5))
    grid = Array((1, 4, 5, 2))
    for i, j in positions((4, 5)):
        grid[0, i, j, 0], grid[0, i, j, 1] = tally.scalar(2 * j / 4 - 1), tally.scalar(2 * i / 3 - 1)
    y = Sampler(tally, x, mode, padding, True).sample(grid)
    for index in x.indices():
        assert y[index].value == pytest.approx(x[index].value)


def test_a_grid_of_centres(make: Make) -> None:
    """Half an element more to take off where the corners are those of the image, not of its outer elements."""
    tally = Tally()
    with tally.term("place"):
        assert [placed(tally.scalar(g), 4, False).value for g in (-0.75, 0.75)] == [0.0, 3.0]
    with tally.term("place"):
        reflections = [reflected(tally, tally.scalar(p), 3, True).value for p in (-1.0, 2.5, 4.0, 5.0)]
    assert reflections == pytest.approx([1.0, 1.5, 0.0, 1.0])


def test_what_a_place_and_an_element_take(make: Make) -> None:
    layer = make("grid_sample", {"x": (1, 256, 32, 32), "grid": (1, 10, 10, 2)}, {"y": (1, 256, 10, 10)})
    layer.attrs = {"mode": "bilinear", "align_corners": False}
    # 200 coordinates: 2 adds, 1 mul, 1 cast, 1 add for the fraction; 25,600 elements: 6 adds, 3 muls
    assert grid_sample.price(layer).counts == Counts(adds=3 * 200 + 6 * 25_600, muls=200 + 3 * 25_600, casts=200)


@given(st.integers(1, 2), st.integers(1, 3), st.sampled_from([2, 3]), st.booleans())
def test_affine_grids(make: Make, agree: Agree, n: int, size: int, dims: int, flat: bool) -> None:
    tally = Tally()
    theta = tally.array((n, dims, dims + 1))
    places = (size,) * dims
    with tally.term("affine"):
        for batch, *place in positions((n, *places)):
            for d in range(dims):
                whole = theta[batch, d, dims]
                for k in range(dims):
                    whole = whole + theta[batch, d, k] * float(place[k])
    shape = (n, dims * (dims + 1)) if flat else theta.shape
    agree(affine_grid, make("affine_grid", {"theta": shape}, {"y": (n, *places, dims)}), tally)


def test_what_is_unknown_is_said(make: Make) -> None:
    shapes = {"x": (1, 1, 2, 2), "grid": (1, 1, 1, 2)}
    with pytest.raises(PluginError, match="requires the attribute mode"):
        grid_sample.price(make("grid_sample", shapes, {"y": (1, 1, 1, 1)}))
    with pytest.raises(UnsupportedOpError, match="no formula for the mode 'lanczos'"):
        grid_sample.price(make("grid_sample", shapes, {"y": (1, 1, 1, 1)}, mode="lanczos"))
