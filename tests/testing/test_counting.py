"""The counting scalars themselves: what counts as what, and that their values are right."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UsageError
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Counted, Tally, counting


@pytest.mark.parametrize(
    ("work", "counts", "value"),
    [
        (lambda a, b: a + b, Counts(adds=1), 6.5),
        (lambda a, b: 1.0 + a, Counts(adds=1), 5.0),
        (lambda a, b: a - b, Counts(adds=1), 1.5),
        (lambda a, b: 1.0 - a, Counts(adds=1), -3.0),
        (lambda a, b: -a, Counts(adds=1), -4.0),
        (lambda a, b: a * b, Counts(muls=1), 10.0),
        (lambda a, b: 3.0 * a, Counts(muls=1), 12.0),
        (lambda a, b: a / b, Counts(divs=1), 1.6),
        (lambda a, b: 1.0 / a, Counts(divs=1), 0.25),
        (lambda a, b: abs(-a), Counts(adds=1, cmps=1), 4.0),
        (lambda a, b: counting.maximum(a, b), Counts(cmps=1), 4.0),
        (lambda a, b: counting.minimum(a, 0.0), Counts(cmps=1), 0.0),
        (lambda a, b: counting.select(False, a, b), Counts(cmps=1), 2.5),
        (lambda a, b: a if a > b else b, Counts(cmps=1), 4.0),
        (lambda a, b: a if a < b else b, Counts(cmps=1), 2.5),
        (lambda a, b: a if a <= 0.0 else b, Counts(cmps=1), 2.5),
        (lambda a, b: a if a >= 0.0 else b, Counts(cmps=1), 4.0),
        (lambda a, b: counting.exp(a), Counts(exps=1), math.exp(4.0)),
        (lambda a, b: counting.log(a), Counts(exps=1), math.log(4.0)),
        (lambda a, b: counting.sqrt(a), Counts(exps=1), 2.0),
        (lambda a, b: counting.tanh(a), Counts(exps=1), math.tanh(4.0)),
        (lambda a, b: counting.erf(a), Counts(exps=1), math.erf(4.0)),
        (lambda a, b: counting.sigmoid(a), Counts(adds=2, exps=1, divs=1), 1 / (1 + math.exp(-4.0))),
        (lambda a, b: b.cast(math.floor), Counts(casts=1), 2.0),
        (lambda a, b: counting.total([a, b, a]), Counts(adds=2), 10.5),
        (lambda a, b: counting.largest([a, b, a]), Counts(cmps=2), 4.0),
        (lambda a, b: a.tally.dot([(a, b), (b, b)]), Counts(macs=2, dots=1), 16.25),
    ],
)
def test_every_operation_counts_itself(
    work: Callable[[Counted, Counted], Counted], counts: Counts, value: float
) -> None:
    tally = Tally()
    with tally.term("t"):
        result = work(tally.scalar(4.0), tally.scalar(2.5))
    assert tally.terms == {"t": counts}
    assert result.value == pytest.approx(value)


def test_softmax_over_5() -> None:
    tally = Tally()
    with tally.term("softmax"):
        result = counting.softmax([tally.scalar(float(i)) for i in range(5)])
    # 4 cmps for the maximum, 5 subtractions, 5 exponentials, 4 additions, 5 divisions
    assert tally.terms == {"softmax": Counts(cmps=4, adds=9, exps=5, divs=5)}
    assert tally.cost.flops == 23
    assert sum(item.value for item in result) == pytest.approx(1.0)


def test_integer_arithmetic_counts_as_ints() -> None:
    tally = Tally()
    a, b, real = tally.scalar(3, integer=True), tally.scalar(4, integer=True), tally.scalar(0.5)
    with tally.term("t"):
        assert ((a + b) * 2).value == 14
        assert (a * real).value == 1.5
    assert tally.terms == {"t": Counts(ints=2, muls=1)}


def test_operations_belong_to_the_innermost_term() -> None:
    tally = Tally()
    x = tally.scalar(1.0)
    with tally.term("outer"):
        x = x + x
        with tally.term("inner"):
            x = x * x
        x = x + x
    assert tally.terms == {"outer": Counts(adds=2), "inner": Counts(muls=1)}


def test_a_term_in_which_nothing_happened_is_not_there() -> None:
    tally = Tally()
    with tally.term("empty"):
        pass
    assert tally.terms == {}


def test_an_operation_outside_of_a_term_is_an_error() -> None:
    tally = Tally()
    with pytest.raises(UsageError, match="outside of a term"):
        tally.scalar(1.0) + tally.scalar(2.0)


def test_an_unknown_primitive_is_an_error() -> None:
    with pytest.raises(UsageError, match="flops"):
        Tally().count("flops")


def test_a_reduction_over_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="over nothing"):
        counting.total([])


def test_arrays_are_reproducible_and_nested() -> None:
    first, again = Tally(7).array((2, 3)), Tally(7).array((2, 3))
    assert first.values() == again.values()
    assert [len(row) for row in first.values()] == [3, 3]
    assert first.at(1, 2).value == first[(1, 2)].value == first.values()[1][2]
    assert Tally().array((), fill=4.0).values() == 4.0


def test_somebody_tests_a_formula_of_their_own() -> None:
    """The way a third-party author uses it: a scan y_t = a·y_(t−1) + x_t."""

    @formula("torch.mine.scan")
    def scan(layer: Layer) -> Cost:
        """scan: |y| muls, |y| adds"""
        n = layer.y.numel
        return Cost({"scan": Counts(muls=n, adds=n)})

    tally = Tally()
    x, a, state = tally.array((6,)), tally.scalar(0.5), tally.scalar(0.0)
    with tally.term("scan"):
        for t in range(6):
            state = a * state + x.at(t)
    layer = Layer("scan", "torch.mine.scan", {"x": TensorSpec((6,))}, {"y": TensorSpec((6,))})
    assert scan.price(layer).terms == tally.terms
