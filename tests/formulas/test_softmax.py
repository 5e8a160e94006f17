"""Softmax against loops over its definition."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.formulas.softmax import hardmax, log_softmax, softmax
from multiprof.ir import Layer
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import exp, largest, log, total
from multiprof.testing.counting import softmax as softmax_loop

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

sizes = st.integers(1, 5)


def log_softmax_loop(items: list[Counted]) -> list[Counted]:
    """(x − max) − log Σe^(x − max)."""
    peak = largest(items)
    shifted = [item - peak for item in items]
    whole = log(total([exp(item) for item in shifted]))
    return [item - whole for item in shifted]


@given(sizes, sizes, sizes)
def test_softmax(make: Make, agree: Agree, lines: int, n: int, columns: int) -> None:
    tally = Tally()
    x = tally.array((lines, n, columns))
    with tally.term("softmax"):
        for i in range(lines):
            for j in range(columns):
                assert sum(v.value for v in softmax_loop(x[i, k, j] for k in range(n))) == pytest.approx(1.0)
    agree(softmax, make("softmax", {"x": x.shape}, {"y": x.shape}, axis=(1,), n=n), tally)


@given(sizes, sizes, sizes)
def test_log_softmax(make: Make, agree: Agree, lines: int, n: int, columns: int) -> None:
    tally = Tally()
    x = tally.array((lines, n, columns))
    with tally.term("softmax"):
        for i in range(lines):
            for j in range(columns):
                y = log_softmax_loop([x[i, k, j] for k in range(n)])
                assert sum(math.exp(v.value) for v in y) == pytest.approx(1.0)
    agree(log_softmax, make("log_softmax", {"x": x.shape}, {"y": x.shape}, axis=(1,), n=n), tally)


@given(sizes, sizes)
def test_hardmax(make: Make, agree: Agree, lines: int, n: int) -> None:
    tally = Tally()
    x = tally.array((lines, n))
    with tally.term("maximum"):
        for i in range(lines):
            largest([x[i, k] for k in range(n)])
    agree(hardmax, make("hardmax", {"x": x.shape}, {"y": x.shape}, axis=1, n=n), tally)


def test_softmax_over_5(make: Make) -> None:
    # 4 comparisons for the maximum, 5 subtractions, 5 exps, 4 additions, 5 divisions
    counts = softmax.price(make("softmax", {"x": (5,)}, {"y": (5,)}, n=5)).counts
    assert counts == Counts(cmps=4, adds=5 + 4, exps=5, divs=5)
    assert counts.flops == 4 + 9 + 5 + 5 == 23


def test_log_softmax_over_5(make: Make) -> None:
    # as softmax, but one logarithm and five subtractions in place of the five divisions
    counts = log_softmax.price(make("log_softmax", {"x": (5,)}, {"y": (5,)}, n=5)).counts
    assert counts == Counts(cmps=4, adds=5 + 4 + 5, exps=5 + 1)


@pytest.mark.parametrize("rule", [softmax, log_softmax])
def test_nothing_costs_nothing(make: Make, rule: Formula) -> None:
    for shape in ((0, 5), (5, 0)):
        assert not rule.price(make(rule.ops[0], {"x": shape}, {"y": shape}, n=shape[-1])).counts
