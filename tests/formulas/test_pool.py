"""Pooling against loops over materialised windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.pool import adaptive_avg_pool, adaptive_max_pool, avg_pool, lp_pool, max_pool
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, largest, maximum, positions, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]
Reduce = Callable[[Sequence[Counted]], Counted]


@dataclass(frozen=True)
class Window:
    """One set of arguments of a pooling layer."""

    lead: Index
    size: Index
    kernel: Index
    stride: Index
    padding: tuple[tuple[int, int], ...]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    rank = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3 if rank < 3 else 2)) for _ in range(rank))
    return Window(
        lead=(draw(st.integers(1, 2)), draw(st.integers(1, 3))),
        size=tuple(k + draw(st.integers(0, 3)) for k in kernel),
        kernel=kernel,
        stride=tuple(draw(st.integers(1, 3)) for _ in kernel),
        padding=tuple((draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in kernel),
    )


def pool(tally: Tally, x: Array, window: Window, reduce: Reduce) -> Array:
    """``reduce`` on every window of x padded with zeros; x is (N, C, spatial …)."""
    padded = Array((*window.lead, *(n + sum(p) for n, p in zip(window.size, window.padding, strict=True))))
    for index in padded.indices():
        source = tuple(i - p[0] for i, p in zip(index[2:], window.padding, strict=True))
        inside = all(0 <= i < n for i, n in zip(source, window.size, strict=True))
        padded[index] = x[(*index[:2], *source)] if inside else tally.scalar()
    out = ((n - k) // s + 1 for n, k, s in zip(padded.shape[2:], window.kernel, window.stride, strict=True))
    y = Array((*window.lead, *out))
    for n, c, *place in y.indices():
        corner = [p * s for p, s in zip(place, window.stride, strict=True)]
        taps = positions(window.kernel)
        y[(n, c, *place)] = reduce([padded[(n, c, *(a + b for a, b in zip(corner, tap, strict=True)))] for tap in taps])
    return y


def layer_of(make: Make, op: str, window: Window, y: Array, **attrs: object) -> Layer:
    return make(
        op,
        {"x": (*window.lead, *window.size)},
        {"y": y.shape},
        kernel_size=window.kernel,
        stride=window.stride,
        padding=window.padding,
        **attrs,
    )


@given(windows())
def test_max_pool(make: Make, agree: Agree, window: Window) -> None:
    tally = Tally()
    with tally.term("window"):
        y = pool(tally, tally.array((*window.lead, *window.size)), window, largest)
    agree(max_pool, layer_of(make, "max_pool", window, y), tally)


@given(windows())
def test_max_pool_of_integers_is_integer_work(make: Make, window: Window) -> None:
    tally = Tally()
    x = tally.array((*window.lead, *window.size), integer=True)
    flat = Window(window.lead, window.size, window.kernel, window.stride, tuple((0, 0) for _ in window.kernel))
    with tally.term("window"):
        y = pool(tally, x, flat, largest)
    layer = make("max_pool", {"x": x.shape}, {"y": y.shape}, "int8", kernel_size=window.kernel)
    layer.outputs["indices"] = TensorSpec(y.shape, "int64", "indices")
    assert max_pool.price(layer).counts == tally.cost.counts


@given(windows())
def test_avg_pool(make: Make, agree: Agree, window: Window) -> None:
    tally = Tally()
    with tally.term("window"):
        y = pool(tally, tally.array((*window.lead, *window.size)), window, lambda items: total(items) / len(items))
    agree(avg_pool, layer_of(make, "avg_pool", window, y), tally)


@given(windows(), st.sampled_from([1, 2, 3, 4, 2.5, inf]))
def test_lp_pool(make: Make, agree: Agree, window: Window, p: float) -> None:
    tally = Tally()
    x = tally.array((*window.lead, *window.size))
    powers = Array(x.shape)
    for index in x.indices():
        value = x[index]
        if p not in (2, 4):  # an even power needs no absolute value
            with tally.term("abs"):
                value = abs(value)
        if p == 2:
            with tally.term("square"):
                value = value * value
        elif p == 3:
            with tally.term("cube"):
                value = value * value * value
        elif p not in (1, inf):
            with tally.term("power"):
                value = value.transcendental(lambda v: abs(v) ** p)
        powers[index] = value

    def joined(items: Sequence[Counted]) -> Counted:
        with tally.term("extreme" if p == inf else "sum"):
            whole = largest(items) if p == inf else total(items)
        if p in (1, inf):
            return whole
        with tally.term("root"):
            return whole.transcendental(lambda v: v ** (1 / p))

    y = pool(tally, powers, window, joined)
    agree(lp_pool, layer_of(make, "lp_pool", window, y, p=p), tally)


@st.composite
def adaptive(draw: st.DrawFn) -> tuple[Index, Index, Index]:
    """Leading sizes, spatial input sizes, spatial output sizes (also larger than the input)."""
    rank = draw(st.integers(1, 3))
    size = tuple(draw(st.integers(1, 9 if rank < 3 else 4)) for _ in range(rank))
    out = tuple(draw(st.integers(1, 7 if rank < 3 else 5)) for _ in range(rank))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2))), size, out


def adaptive_pool(tally: Tally, x: Array, out: Index, reduce: Reduce) -> Array:
    """``reduce`` over windows from ⌊i·in/out⌋ to ⌈(i + 1)·in/out⌉."""
    size = x.shape[2:]
    y = Array((*x.shape[:2], *out))
    for n, c, *place in y.indices():
        spans = [range(i * a // b, -(-(i + 1) * a // b)) for i, a, b in zip(place, size, out, strict=True)]
        inside = [x[(n, c, *at)] for at in positions(size) if all(p in span for p, span in zip(at, spans, strict=True))]
        y[(n, c, *place)] = reduce(inside)
    return y


@given(adaptive())
def test_adaptive_average(make: Make, agree: Agree, sizes: tuple[Index, Index, Index]) -> None:
    lead, size, out = sizes
    tally = Tally()
    with tally.term("window"):
        y = adaptive_pool(tally, tally.array((*lead, *size)), out, lambda items: total(items) / len(items))
    layer = make("adaptive_avg_pool", {"x": (*lead, *size)}, {"y": y.shape}, input_size=size, output_size=out)
    agree(adaptive_avg_pool, layer, tally)
    channels_last = make(
        "adaptive_avg_pool",
        {"x": (lead[0], *size, lead[1])},
        {"y": (lead[0], *out, lead[1])},
        input_size=size,
        output_size=out,
    )
    assert adaptive_avg_pool.price(channels_last) == adaptive_avg_pool.price(layer)


@given(adaptive())
def test_adaptive_maximum(make: Make, agree: Agree, sizes: tuple[Index, Index, Index]) -> None:
    lead, size, out = sizes
    tally = Tally()
    with tally.term("window"):
        y = adaptive_pool(tally, tally.array((*lead, *size)), out, largest)
    layer = make("adaptive_max_pool", {"x": (*lead, *size)}, {"y": y.shape}, input_size=size, output_size=out)
    agree(adaptive_max_pool, layer, tally)


@given(adaptive())
def test_an_adaptive_maximum_over_tiles_is_a_maximum_over_windows(
    make: Make, sizes: tuple[Index, Index, Index]
) -> None:
    lead, tile, out = sizes
    size = tuple(a * b for a, b in zip(tile, out, strict=True))
    shapes = {"x": (*lead, *size)}, {"y": (*lead, *out)}
    tiled = adaptive_max_pool.price(make("adaptive_max_pool", *shapes, input_size=size, output_size=out))
    assert tiled == max_pool.price(make("max_pool", *shapes, kernel_size=tile, stride=tile))


def test_max_pool_2x2_of_vgg(make: Make) -> None:
    # 56·56·128 outputs, 3 comparisons each (tools that count the inputs say 112·112·128 = 1,605,632)
    layer = make("max_pool", {"x": (1, 128, 112, 112)}, {"y": (1, 128, 56, 56)}, kernel_size=(2, 2), stride=(2, 2))
    assert max_pool.price(layer) == Cost({"window": Counts(cmps=56 * 56 * 128 * 3)})
    assert 56 * 56 * 128 * 3 == 1_204_224


def test_max_pool_of_resnet_50(make: Make) -> None:
    # 3×3 windows, 56·56·64 outputs, 8 comparisons each
    layer = make("max_pool", {"x": (1, 64, 112, 112)}, {"y": (1, 64, 56, 56)}, kernel_size=(3, 3))
    assert max_pool.price(layer).counts.cmps == 56 * 56 * 64 * 8 == 1_605_632


def test_average_pool_of_resnet_50(make: Make) -> None:
    # 2,048 maps of 7×7: 48 adds and 1 division each
    layer = make(
        "adaptive_avg_pool", {"x": (1, 2048, 7, 7)}, {"y": (1, 2048, 1, 1)}, input_size=(7, 7), output_size=(1, 1)
    )
    assert adaptive_avg_pool.price(layer) == Cost({"window": Counts(adds=2048 * 48, divs=2048)})
    assert 2048 * 48 == 98_304
    fixed = make("avg_pool", {"x": (1, 2048, 7, 7)}, {"y": (1, 2048, 1, 1)}, kernel_size=(7, 7))
    assert avg_pool.price(fixed) == adaptive_avg_pool.price(layer)


def test_adaptive_7_of_alexnet_and_of_a_10x10_map(make: Make) -> None:
    # 6 → 6: windows of 1. 10 → 7: ⌊10i/7⌋ = 0 1 2 4 5 7 8, ⌈10(i + 1)/7⌉ = 2 3 5 6 8 9 10: sizes 2 2 3 2 3 2 2 = 16
    same = {"input_size": (6, 6), "output_size": (6, 6)}
    layer = make("adaptive_avg_pool", {"x": (1, 256, 6, 6)}, {"y": (1, 256, 6, 6)}, **same)
    assert adaptive_avg_pool.price(layer).counts == Counts(divs=256 * 36)
    wider = {"input_size": (10, 10), "output_size": (7, 7)}
    layer = make("adaptive_avg_pool", {"x": (1, 3, 10, 10)}, {"y": (1, 3, 7, 7)}, **wider)
    assert adaptive_avg_pool.price(layer).counts == Counts(adds=3 * (16 * 16 - 49), divs=3 * 49)


def test_the_loops_average() -> None:
    tally = Tally()
    x = Array((1, 1, 5))
    for i in range(5):
        x[0, 0, i] = tally.scalar(float(i))
    with tally.term("window"):
        assert adaptive_pool(tally, x, (2,), lambda items: total(items) / len(items)).values() == [[[1.0, 3.0]]]
        window = Window((1, 1), (5,), (3,), (2,), ((1, 0),))
        assert pool(tally, x, window, lambda items: total(items) / 3).values() == [[[1 / 3, 2.0]]]
        assert maximum(x[0, 0, 1], x[0, 0, 2]).value == 2.0


@pytest.mark.parametrize("rule", [adaptive_avg_pool, adaptive_max_pool])
def test_an_empty_output_costs_nothing(make: Make, rule: Formula) -> None:
    layer = make(rule.ops[0], {"x": (0, 3, 8)}, {"y": (0, 3, 2)}, input_size=(8,), output_size=(2,))
    assert not rule.price(layer).counts
    layer = make(rule.ops[0], {"x": (1, 3, 8)}, {"y": (1, 3, 0)}, input_size=(8,), output_size=(0,))
    assert not rule.price(layer).counts


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    # the output of a global pool is known, what it averages is not
    layer = make("adaptive_avg_pool", {"x": (1, 3, None)}, {"y": (1, 3, 1)}, input_size=(None,), output_size=(1,))
    with pytest.raises(UnknownDimensionError, match=r"input_size .* is data-dependent"):
        adaptive_avg_pool.price(layer)
    with pytest.raises(PluginError, match="requires the attribute kernel_size"):
        max_pool.price(make("max_pool", {"x": (1, 3, 8)}, {"y": (1, 3, 4)}))
