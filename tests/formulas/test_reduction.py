"""Reductions against loops over the elements that become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.errors import UnknownDimensionError
from multiprof.formulas.reduction import FORMULAS
from multiprof.ir import Layer, TensorSpec
from multiprof.ops import OPS
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, exp, largest, log, positions, sqrt, total

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}


@dataclass(frozen=True)
class Reduced:
    """A shape and the axes of it that are reduced."""

    shape: Index
    axes: Index

    @property
    def out(self) -> Index:
        return tuple(1 if a in self.axes else n for a, n in enumerate(self.shape))


@st.composite
def reduced(draw: st.DrawFn) -> Reduced:
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=3)))
    return Reduced(shape, tuple(a for a in range(len(shape)) if draw(st.booleans())))


def groups(x: Array, case: Reduced) -> list[list[Counted]]:
    """The elements of x that become one, for every output element."""
    inner = tuple(n if a in case.axes else 1 for a, n in enumerate(case.shape))
    return [
        [x[tuple(i + j for i, j in zip(outer, at, strict=True))] for at in positions(inner)]
        for outer in positions(case.out)
    ]


def layer_of(make: Make, op: str, case: Reduced, keep: bool = True, dtype: str = "float32", **attrs: object) -> Layer:
    out = case.out if keep else tuple(n for a, n in enumerate(case.shape) if a not in case.axes)
    return make(op, {"x": case.shape}, {"y": out}, dtype, axis=case.axes, keepdim=keep, **attrs)


def product(items: Sequence[Counted]) -> Counted:
    result = items[0]
    for item in items[1:]:
        result = result * item
    return result


def logical(items: Sequence[Counted]) -> None:
    for item in items[1:]:
        item.tally.count("ints")


def logsumexp(items: Sequence[Counted]) -> Counted:
    peak = largest(items)
    return log(total([exp(item - peak) for item in items])) + peak


def nonzero_count(items: Sequence[Counted]) -> None:
    seen = [item < 0 for item in items]  # a comparison each; which one does not matter
    for _ in seen[1:]:
        items[0].tally.count("ints")


REDUCTIONS: dict[str, Callable[[Sequence[Counted]], object]] = {
    "sum": total,
    "mean": lambda items: total(items) / len(items),
    "prod": product,
    "max": largest,
    "min": largest,  # a comparison is a comparison
    "argmax": largest,
    "argmin": largest,
    "any": logical,
    "all": logical,
    "logsumexp": logsumexp,
    "count_nonzero": nonzero_count,
}


def test_every_reduction_is_written_out_here() -> None:
    own = {"variance", "std", "norm", "distance", *RUNNING, "fold"}
    assert {*REDUCTIONS, *own} == {op.name for op in OPS.values() if op.family == "reduction"} == set(TABLE)


@pytest.mark.parametrize("op", REDUCTIONS)
@settings(max_examples=30)
@given(case=reduced(), keep=st.booleans())
def test_reductions(make: Make, agree: Agree, op: str, case: Reduced, keep: bool) -> None:
    tally = Tally()
    with tally.term("reduce"):
        for items in groups(tally.array(case.shape), case):
            REDUCTIONS[op](items)
    layer = layer_of(make, op, case, keep)
    if op.startswith("arg"):
        layer.outputs["y"].dtype = "int64"
    if op in ("max", "min"):
        layer.outputs["indices"] = TensorSpec(layer.y.shape, "int64", "indices")
    agree(TABLE[op], layer, tally)


@pytest.mark.parametrize("op", ["sum", "prod", "max", "argmin", "count_nonzero"])
@settings(max_examples=30)
@given(case=reduced())
def test_on_integers_everything_is_integer_work(make: Make, op: str, case: Reduced) -> None:
    tally = Tally()
    with tally.term("reduce"):
        for items in groups(tally.array(case.shape, integer=True), case):
            REDUCTIONS[op](items)
    assert TABLE[op].price(layer_of(make, op, case, dtype="int64")).counts == tally.cost.counts
    assert tally.cost.flops == 0


def test_counting_what_a_mask_sets_is_integer_work(make: Make) -> None:
    layer = layer_of(make, "sum", Reduced((4, 5), (1,)), dtype="bool")
    layer.outputs["y"].dtype = "int64"
    assert TABLE["sum"].price(layer).counts == Counts(ints=4 * 4)


def variance(items: Sequence[Counted], correction: int) -> Counted:
    mean = total(items) / len(items)
    centred = [item - mean for item in items]
    return total([c * c for c in centred]) / max(len(items) - correction, 1)


@given(reduced(), st.integers(0, 1))
def test_variance_and_standard_deviation(make: Make, agree: Agree, case: Reduced, correction: int) -> None:
    tally = Tally()
    x = tally.array(case.shape)
    with tally.term("variance"):
        spreads = [variance(items, correction) for items in groups(x, case)]
    agree(TABLE["variance"], layer_of(make, "variance", case, correction=correction), tally)
    with tally.term("root"):
        for spread in spreads:
            sqrt(spread)
    agree(TABLE["std"], layer_of(make, "std", case, correction=correction), tally)


@given(reduced(), st.sampled_from([None, 2, 1, 3, 4, 0, 0.5, -1, math.inf, -math.inf]))
def test_norm(make: Make, agree: Agree, case: Reduced, order: float | None) -> None:
    tally = Tally()
    for items in groups(tally.array(case.shape), case):
        p_norm(tally, items, 2 if order is None else order)
    agree(TABLE["norm"], layer_of(make, "norm", case, **({} if order is None else {"ord": order})), tally)


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0, 1, 2, 3, 1.5, math.inf]))
def test_distance(make: Make, agree: Agree, rows: int, others: int, n: int, p: float) -> None:
    """Each row and each other one; the pairs of the rows of one matrix cost the same."""
    tally = Tally()
    a, b = tally.array((rows, n)), tally.array((others, n))
    for i in range(rows):
        for j in range(others):
            with tally.term("difference"):
                differences = [a[i, k] - b[j, k] for k in range(n)]
            p_norm(tally, differences, p)
    agree(TABLE["distance"], make("distance", {"x0": (rows, n), "x1": (others, n)}, {"y": (rows, others)}, p=p), tally)
    agree(TABLE["distance"], make("distance", {"x0": (rows, n)}, {"y": (rows * others,)}, p=p), tally)


def p_norm(tally: Tally, items: Sequence[Counted], p: float) -> None:
    values = list(items)
    if p not in (2, 4):  # an even power needs no absolute value
        with tally.term("abs"):
            values = [abs(v) for v in values]
    if p in (math.inf, -math.inf):
        with tally.term("extreme"):
            largest(values)
        return
    if p == 2:
        with tally.term("square"):
            values = [v * v for v in values]
    elif p == 3:
        with tally.term("cube"):
            values = [v * v * v for v in values]
    elif p == -1:
        with tally.term("reciprocal"):
            values = [1.0 / v for v in values]
    elif p not in (0, 1):
        with tally.term("power"):
            values = [v.transcendental(abs) for v in values]
    with tally.term("sum"):
        whole = total(values)
    if p not in (0, 1):
        with tally.term("root"):
            whole.transcendental(abs)


def log_add(a: Counted, b: Counted) -> Counted:
    high = a if a > b else b
    low = b if high is a else a
    a.tally.count("cmps")  # the minimum is a comparison of its own
    return high + exp(low - high).transcendental(math.log1p)


RUNNING: dict[str, Callable[[Counted, Counted], Counted]] = {
    "cumsum": lambda a, b: a + b,
    "cumprod": lambda a, b: a * b,
    "cummax": lambda a, b: a if a > b else b,
    "cummin": lambda a, b: a if a < b else b,
    "logcumsumexp": log_add,
}


@pytest.mark.parametrize("op", RUNNING)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), data=st.data())
def test_running_sums_and_products(make: Make, agree: Agree, op: str, shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    tally = Tally()
    case = Reduced(tuple(shape), (axis,))
    with tally.term("reduce"):
        for line in groups(tally.array(case.shape), case):
            running = line[0]
            for item in line[1:]:
                running = RUNNING[op](running, item)
            if op == "logcumsumexp":
                assert running.value == pytest.approx(math.log(math.fsum(math.exp(item.value) for item in line)))
    layer = make(op, {"x": case.shape}, {"y": case.shape}, axis=(axis,))
    agree(TABLE[op], layer, tally)


def test_running_sums_without_an_axis_or_dimensions(make: Make) -> None:
    rule = TABLE["cumsum"]
    assert rule.price(make("cumsum", {"x": (3, 4)}, {"y": (12,)})).counts == Counts(adds=11)
    assert not rule.price(make("cumsum", {"x": ()}, {"y": ()}, axis=(0,))).counts
    assert not rule.price(make("cumsum", {"x": (0, 4)}, {"y": (0, 4)}, axis=(0,))).counts
    assert rule.price(make("cumsum", {"x": (3, 4)}, {"y": (3, 4)}, "int64", axis=(1,))).counts == Counts(ints=9)


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3))
def test_fold(make: Make, agree: Agree, n: int, kernel: int, channels: int, stride: int, windows: int) -> None:
    # columns (N, C·K, L) summed into an image (N, C, (L − 1)·stride + K) that starts at zero
    tally = Tally()
    columns = tally.array((n, channels * kernel, windows))
    image = tally.array((n, channels, (windows - 1) * stride + kernel), fill=0.0)
    with tally.term("sum"):
        for i, row, window in columns.indices():
            target = (i, row // kernel, window * stride + row % kernel)
            image[target] = image[target] + columns[i, row, window]
    layer = make("fold", {"x": columns.shape}, {"y": image.shape}, kernel_size=(kernel,), stride=(stride,))
    agree(TABLE["fold"], layer, tally)


def test_the_loops_reduce() -> None:
    tally = Tally(seed=5)
    items = [tally.scalar(v) for v in (1.0, 2.0, 4.0)]
    with tally.term("any"):
        assert logsumexp(items).value == pytest.approx(math.log(math.e + math.e**2 + math.e**4))
        assert variance(items, 1).value == pytest.approx(7 / 3)
        assert product(items).value == 8.0


def test_global_average_of_resnet_50_by_mean(make: Make) -> None:
    # 2,048 means of 49: 48 adds and 1 division each, as the adaptive pool
    layer = layer_of(make, "mean", Reduced((1, 2048, 7, 7), (2, 3)), keep=False)
    assert TABLE["mean"].price(layer).counts == Counts(adds=2048 * 48, divs=2048)


def test_variance_of_8(make: Make) -> None:
    # mean 7 adds and 1 division, 8 differences, 8 squares, 7 adds and 1 division
    layer = layer_of(make, "variance", Reduced((8,), (0,)))
    assert TABLE["variance"].price(layer).counts == Counts(adds=7 + 8 + 7, muls=8, divs=2)


@pytest.mark.parametrize("op", ["sum", "max", "logsumexp", "variance", "norm", "count_nonzero"])
def test_a_reduction_over_nothing_joins_nothing(make: Make, op: str) -> None:
    counts = TABLE[op].price(make(op, {"x": (3, 0)}, {"y": (3,)}, axis=(1,))).counts
    assert min(counts.adds, counts.cmps, counts.exps, counts.ints) >= 0
    assert counts.muls == 0


def test_what_is_unknown_is_said(make: Make) -> None:
    for op in ("sum", "cumsum", "variance"):
        with pytest.raises(UnknownDimensionError, match="data-dependent"):
            TABLE[op].price(make(op, {"x": (None, 3)}, {"y": (3,)}, axis=(0,)))
