"""Statistics of samples, against the definitions worked by hand."""

from __future__ import annotations

import math

import pytest

from multiprof.errors import UsageError
from multiprof.measurement import Measurement


def test_statistics_by_hand() -> None:
    m = Measurement((0.4, 0.1, 0.3, 0.2, 1.0), "toy")
    assert (m.runs, m.median, m.minimum, m.maximum) == (5, 0.3, 0.1, 1.0)
    assert m.mean == pytest.approx(2.0 / 5)
    # sorted 0.1 0.2 0.3 0.4 1.0: quartiles at positions 1 and 3
    assert (m.quantile(0.25), m.quantile(0.75)) == (0.2, 0.4)
    assert m.iqr == pytest.approx(0.2)
    assert m.spread == pytest.approx(0.2 / 0.3)


def test_quantiles_lie_between_neighbours() -> None:
    m = Measurement((1.0, 2.0), "toy")
    assert [m.quantile(q) for q in (0, 0.25, 0.5, 1)] == [1.0, 1.25, 1.5, 2.0]
    with pytest.raises(UsageError, match="not between 0 and 1"):
        m.quantile(1.5)


def test_one_sample_and_zero_time() -> None:
    assert Measurement((2.0,), "toy").iqr == 0
    assert Measurement((0.0, 0.0), "toy").spread == 0


@pytest.mark.parametrize(
    ("times", "kind", "message"),
    [
        ((), "whole", "no times"),
        ((math.nan,), "whole", "nan is no time"),
        ((math.inf,), "whole", "inf is no time"),
        ((-1.0,), "whole", "-1.0 is no time"),
        ((1.0,), "layer", "one of whole, group, overhead"),
    ],
)
def test_what_is_no_measurement(times: tuple[float, ...], kind: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Measurement(times, "toy", kind=kind)


def test_a_time_that_moves_is_flagged() -> None:
    # quartiles of a, b, c, d, e are b and d
    assert Measurement((1.0, 1.0, 1.0, 1.0625, 9.0), "toy").steadiness == ""
    assert Measurement((1.0, 1.0, 1.0, 1.125, 9.0), "toy").steadiness == "unsteady"
    assert Measurement((1.0, 1.0, 1.0, 1.5, 9.0), "toy").steadiness == "unreliable"


def test_a_percentile_takes_enough_samples() -> None:
    few = Measurement(tuple(float(n) for n in range(64)), "toy")
    assert few.percentile(0.9) == pytest.approx(0.9 * 63)
    assert few.percentile(0.95) is None
    assert Measurement((1.0,) * 63, "toy").percentile(0.9) is None
    assert Measurement((1.0,) * 662, "toy").percentile(0.99) == 1.0
    with pytest.raises(UsageError, match=r"0\.5 is none of 0\.9, 0\.95, 0\.99"):
        few.percentile(0.5)


def test_phases_are_times_too() -> None:
    with pytest.raises(UsageError, match=r"load: -1\.0 is no time"):
        Measurement((1.0,), "toy", phases={"load": -1.0})


def test_a_comparison_of_medians_and_how_sure_it_is():
    def ratio(before, after):
        return Measurement(tuple(after), "toy", kind="compared", baseline=tuple(before)).ratio

    assert ratio([1.0, 2.0, 4.0], [2.0, 4.0, 8.0])[0] == 2.0
    assert ratio([1.0] * 100, [1.1] * 90 + [9.0] * 10) == (1.1, 1.1, 1.1)  # a tenth of outliers moves no median
    middle, low, high = ratio([1.0] * 100, [1.5 if n % 2 else 0.5 for n in range(100)])
    assert (middle, low, high) == (1.0, 0.5, 1.5)  # half of the runs say each: nothing is known
    # every other turn is ten times slower, for both: medians over the turns 5.5 and 11, and no turn says other than 2
    middle, low, high = ratio([1.0, 10.0] * 50, [2.0, 20.0] * 50)
    assert middle == 2.0
    assert low == high == 2.0
    assert Measurement((1.0,), "toy").ratio is None
    for wrong in ({"kind": "compared"}, {"baseline": (1.0,)}, {"kind": "compared", "baseline": (1.0, 2.0)}):
        with pytest.raises(UsageError, match="a baseline for every time goes with kind compared"):
            Measurement((1.0,), "toy", **wrong)
