"""Normalisation against loops over its definition, group by group."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.norm import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    lp_normalize,
    rms_norm,
)
from multiprof.ir import Layer
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, positions, sqrt, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

EPS = 1e-5


def rsqrt(x: Counted) -> Counted:
    return x.transcendental(lambda value: value**-0.5)


def standardised(items: list[Counted]) -> list[Counted]:
    """(x − mean)·rsqrt(variance + ε) of one group."""
    n = len(items)
    mean = total(items) / n
    centred = [item - mean for item in items]
    variance = total([c * c for c in centred]) / n
    factor = rsqrt(variance + EPS)
    return [c * factor for c in centred]


def root_mean_squared(items: list[Counted]) -> list[Counted]:
    """x·rsqrt(mean(x²) + ε) of one group."""
    factor = rsqrt(total([item * item for item in items]) / len(items) + EPS)
    return [item * factor for item in items]


def normalise(
    tally: Tally,
    x: Array,
    group: Callable[[Index], Hashable],
    weight: bool,
    bias: bool,
    one: Callable[[list[Counted]], list[Counted]] = standardised,
) -> Array:
    """``one`` on every set of elements with the same ``group``, then a weight and a bias for each element."""
    members: dict[Hashable, list[Index]] = {}
    for index in x.indices():
        members.setdefault(group(index), []).append(index)
    y = Array(x.shape)
    for indices in members.values():
        with tally.term("norm"):
            for index, value in zip(indices, one([x[i] for i in indices]), strict=True):
                y[index] = value
    parameters = tally.array((2,))
    for index in y.indices():
        with tally.term("scale"):
            y[index] = y[index] * parameters[0,] if weight else y[index]
        with tally.term("shift"):
            y[index] = y[index] + parameters[1,] if bias else y[index]
    return y


def with_parameters(x: Index, channels: int, weight: bool, bias: bool) -> dict[str, Index]:
    return {"x": x} | ({"weight": (channels,)} if weight else {}) | ({"bias": (channels,)} if bias else {})


sizes = st.integers(1, 4)
flags = st.booleans()


@given(sizes, sizes, sizes, flags, flags)
def test_batch_norm_with_given_statistics(
    make: Make, agree: Agree, n: int, c: int, length: int, weight: bool, bias: bool
) -> None:
    # y = (x − mean)·weight/√(variance + ε) + bias = x·factor + summand, both made once a channel, ahead of time
    tally = Tally()
    x = tally.array((n, c, length))
    before = Tally()
    scale, offset, mean, variance = before.array((c,)), before.array((c,)), before.array((c,)), before.array((c,), 0.5)
    for channel in range(c):
        with before.term("ahead of time"):
            factor = scale[channel,] / sqrt(variance[channel,] + EPS)
            summand = offset[channel,] - mean[channel,] * factor
        for i, j in positions((n, length)):
            with tally.term("affine"):
                y = x[i, channel, j] * tally.scalar(factor.value) + tally.scalar(summand.value)
            direct = (x[i, channel, j].value - mean[channel,].value) / (0.5 + EPS) ** 0.5
            assert y.value == pytest.approx(direct * scale[channel,].value + offset[channel,].value)
    inputs = with_parameters(x.shape, c, weight, bias) | {"mean": (c,), "var": (c,)}
    agree(batch_norm, make("batch_norm", inputs, {"y": x.shape}, channels=c), tally)
    given_instance = make("instance_norm", inputs, {"y": x.shape}, channels=c, batch=n, running_stats=True)
    agree(instance_norm, given_instance, tally)


@given(sizes, sizes, sizes, flags, flags)
def test_batch_norm_with_statistics_of_the_batch(
    make: Make, agree: Agree, n: int, c: int, length: int, weight: bool, bias: bool
) -> None:
    tally = Tally()
    y = normalise(tally, tally.array((n, c, length)), lambda i: i[1], weight, bias)
    inputs = with_parameters(y.shape, c, weight, bias)
    agree(batch_norm, make("batch_norm", inputs, {"y": y.shape}, channels=c, batch_stats=True), tally)


@given(sizes, sizes, sizes, flags, flags)
def test_layer_norm(make: Make, agree: Agree, n: int, length: int, width: int, weight: bool, bias: bool) -> None:
    tally = Tally()
    y = normalise(tally, tally.array((n, length, width)), lambda i: i[:2], weight, bias)
    inputs = with_parameters(y.shape, width, weight, bias)
    agree(layer_norm, make("layer_norm", inputs, {"y": y.shape}, normalized_size=width), tally)


@given(sizes, sizes, sizes, sizes, flags, flags)
def test_group_norm(
    make: Make, agree: Agree, n: int, groups: int, per_group: int, length: int, weight: bool, bias: bool
) -> None:
    tally = Tally()
    channels = groups * per_group
    y = normalise(tally, tally.array((n, channels, length)), lambda i: (i[0], i[1] // per_group), weight, bias)
    inputs = with_parameters(y.shape, channels, weight, bias)
    attrs = {"groups": groups, "channels": channels, "batch": n}
    agree(group_norm, make("group_norm", inputs, {"y": y.shape}, **attrs), tally)


@given(sizes, sizes, sizes, flags, flags)
def test_instance_norm(make: Make, agree: Agree, n: int, c: int, length: int, weight: bool, bias: bool) -> None:
    tally = Tally()
    y = normalise(tally, tally.array((n, c, length)), lambda i: i[:2], weight, bias)
    inputs = with_parameters(y.shape, c, weight, bias)
    agree(instance_norm, make("instance_norm", inputs, {"y": y.shape}, channels=c, batch=n), tally)


@given(sizes, sizes, sizes, flags)
def test_rms_norm(make: Make, agree: Agree, n: int, length: int, width: int, weight: bool) -> None:
    tally = Tally()
    y = normalise(tally, tally.array((n, length, width)), lambda i: i[:2], weight, False, root_mean_squared)
    inputs = with_parameters(y.shape, width, weight, False)
    agree(rms_norm, make("rms_norm", inputs, {"y": y.shape}, normalized_size=width), tally)


@given(sizes, st.integers(1, 5), sizes, st.integers(1, 6))
def test_local_response_norm(make: Make, agree: Agree, n: int, c: int, length: int, window: int) -> None:
    tally = Tally()
    x = tally.array((n, c, length))
    with tally.term("norm"):
        squares = Array((n, c + window - 1, length))  # with zeros for the channels that are not there
        before = window // 2
        for i, channel, j in squares.indices():
            inside = before <= channel < before + c
            squares[i, channel, j] = x[i, channel - before, j] * x[i, channel - before, j] if inside else tally.scalar()
        for i, channel, j in x.indices():
            near = total(squares[i, channel + k, j] for k in range(window))
            x[i, channel, j] / (near * 1e-4 + 2.0).transcendental(lambda value: value**0.75)
    layer = make("local_response_norm", {"x": x.shape}, {"y": x.shape}, size=window, channels=c)
    agree(local_response_norm, layer, tally)


def test_the_loops_standardise() -> None:
    tally = Tally(seed=3)
    y = normalise(tally, tally.array((2, 50)), lambda i: i[0], False, False)
    for row in y.values():
        assert sum(row) == pytest.approx(0.0, abs=1e-9)
        assert sum(value * value for value in row) / 50 == pytest.approx(1.0, rel=1e-3)
    y = normalise(tally, tally.array((2, 50)), lambda i: i[0], False, False, root_mean_squared)
    for row in y.values():
        assert sum(value * value for value in row) / 50 == pytest.approx(1.0, rel=1e-3)


def test_layer_norm_over_8(make: Make) -> None:
    # mean 7 adds, 1 div; differences 8 adds; squares 8 muls; variance 7 adds, 1 div; ε 1 add; rsqrt 1 exp;
    # times rsqrt 8 muls; weight 8 muls; bias 8 adds
    inputs = {"x": (1, 8), "weight": (8,), "bias": (8,)}
    counts = layer_norm.price(make("layer_norm", inputs, {"y": (1, 8)}, normalized_size=8)).counts
    assert counts == Counts(adds=7 + 8 + 7 + 1 + 8, muls=8 + 8 + 8, divs=2, exps=1)
    assert (counts.adds, counts.muls, counts.divs, counts.exps) == (31, 24, 2, 1)


def test_batch_norm_of_the_resnet_stem(make: Make) -> None:
    shape = (1, 64, 112, 112)
    layer = make("batch_norm", with_parameters(shape, 64, True, True), {"y": shape}, channels=64)
    elements = 64 * 112 * 112
    assert batch_norm.price(layer) == Cost({"affine": Counts(muls=elements, adds=elements)})


@given(sizes, sizes, sizes, sizes)
def test_layout_does_not_matter(make: Make, n: int, c: int, h: int, w: int) -> None:
    for rule, attrs in (
        (batch_norm, {"channels": c, "batch_stats": True}),
        (batch_norm, {"channels": c}),
        (group_norm, {"groups": 1, "channels": c, "batch": n}),
        (instance_norm, {"channels": c, "batch": n}),
        (local_response_norm, {"size": 3, "channels": c}),
    ):
        op = rule.ops[0]
        first = make(op, {"x": (n, c, h, w), "weight": (c,)}, {"y": (n, c, h, w)}, **attrs)
        last = make(op, {"x": (n, h, w, c), "weight": (c,)}, {"y": (n, h, w, c)}, **attrs)
        assert rule.price(first) == rule.price(last)


@pytest.mark.parametrize(
    ("rule", "attrs"),
    [
        (batch_norm, {"channels": 3, "batch_stats": True}),
        (layer_norm, {"normalized_size": 4}),
        (group_norm, {"groups": 1, "channels": 3, "batch": 0}),
        (instance_norm, {"channels": 3, "batch": 0}),
        (rms_norm, {"normalized_size": 4}),
    ],
)
def test_an_empty_batch_costs_nothing(make: Make, rule: Formula, attrs: dict[str, int]) -> None:
    assert not rule.price(make(rule.ops[0], {"x": (0, 3, 4)}, {"y": (0, 3, 4)}, **attrs)).counts


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    with pytest.raises(UnknownDimensionError, match="data-dependent"):
        layer_norm.price(make("layer_norm", {"x": (None, 8)}, {"y": (None, 8)}, normalized_size=8))
    with pytest.raises(UnknownDimensionError, match="batch is data-dependent"):
        group_norm.price(make("group_norm", {"x": (2, 8)}, {"y": (2, 8)}, groups=2, channels=8, batch=None))
    with pytest.raises(PluginError, match="requires the attribute normalized_size"):
        layer_norm.price(make("layer_norm", {"x": (2, 8)}, {"y": (2, 8)}))


@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 2, 3]), st.booleans())
def test_lp_normalize(make: Make, agree: Agree, lines: int, n: int, p: int, epsilon: bool) -> None:
    tally = Tally()
    x = tally.array((lines, n))
    for i in range(lines):
        items = [x[i, k] for k in range(n)]
        if p % 2:
            with tally.term("abs"):
                items = [abs(item) for item in items]
        if p == 2:
            with tally.term("square"):
                items = [item * item for item in items]
        elif p == 3:
            with tally.term("cube"):
                items = [item * item * item for item in items]
        with tally.term("sum"):
            whole = total(items)
        if epsilon:
            with tally.term("epsilon"):
                whole = whole + EPS
        if p > 1:
            with tally.term("root"):
                whole = whole.transcendental(lambda value: value ** (1 / p))
        with tally.term("divide"):
            divided = [(x[i, k] / whole).value for k in range(n)]
        assert epsilon or sum(abs(value) ** p for value in divided) == pytest.approx(1)
    layer = make("lp_normalize", {"x": x.shape}, {"y": x.shape}, axis=(1,), p=p, eps=EPS if epsilon else 0.0)
    agree(lp_normalize, layer, tally)


def test_lp_normalize_over_several_axes(make: Make) -> None:
    # every sample by its own norm: 24 squares, 23 adds, 1 root, 24 divs; twice
    layer = make("lp_normalize", {"x": (2, 2, 3, 4)}, {"y": (2, 2, 3, 4)}, axis=(1, 2, 3), p=2)
    assert lp_normalize.price(layer).counts == Counts(muls=48, adds=46, exps=2, divs=48)
