"""The timing loop against a clock that the test turns: what is counted, when it stops, and ratios of two."""

from __future__ import annotations

import pytest
from multiprof_benchmark.timing import NANO, SHORTEST, Rules, measure, repeated, take_turns


class Clock:
    """Nanoseconds that pass only when work is done."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def work(self, *nanoseconds: int):
        """A function that takes these times in turn, the last one for ever."""
        left = list(nanoseconds)

        def run() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


MS = 1_000_000


def test_the_first_run_and_warming_up_are_apart():
    clock = Clock()
    rules = Rules(runs=4, seconds=0.0, warmup_runs=2, warmup_seconds=0.0)
    timed = measure(clock.work(50 * MS, 30 * MS, 20 * MS, 10 * MS), rules, clock)
    assert timed.first == pytest.approx(0.05)
    assert timed.warmup == pytest.approx(0.05)
    assert timed.times == pytest.approx((0.01,) * 4)


def test_warming_up_takes_its_time_too():
    clock = Clock()
    rules = Rules(runs=1, seconds=0.0, warmup_runs=1, warmup_seconds=0.1)
    # ten runs of 10 ms make the 0.1 s
    assert measure(clock.work(10 * MS), rules, clock).warmup == pytest.approx(0.1)


def test_it_goes_on_until_both_the_runs_and_the_seconds_are_there():
    clock = Clock()
    few = Rules(runs=5, seconds=0.1, warmup_runs=0, warmup_seconds=0.0)
    assert len(measure(clock.work(10 * MS), few, clock).times) == 10
    assert len(measure(clock.work(50 * MS), few, clock).times) == 5


def test_the_cap_ends_it_with_one_sample_at_least():
    clock = Clock()
    rules = Rules(runs=50, seconds=1.0, cap=3.5, warmup_runs=3, warmup_seconds=0.5)
    # first 1 s, warming up 1 + 1 + 1 s reaches the cap
    timed = measure(clock.work(1000 * MS), rules, clock)
    assert (timed.warmup, len(timed.times)) == (3.0, 1)


def test_runs_too_short_for_the_clock_are_repeated():
    clock = Clock()
    rules = Rules(runs=3, seconds=0.0, warmup_runs=1, warmup_seconds=0.0)
    timed = measure(clock.work(300), rules, clock)
    assert timed.times == pytest.approx((300 * NANO,) * 3)
    # the first run, one to warm up, and three samples of as many runs as make 20 microseconds
    assert clock.now == 300 * (2 + 3 * -(-SHORTEST // 300))


def test_taking_turns():
    clock, order = Clock(), []

    def one(name: str, nanoseconds: int):
        def take() -> float:
            order.append(name)
            clock.now += nanoseconds
            return nanoseconds * NANO

        return take

    a, b = take_turns([one("a", MS), one("b", 2 * MS)], Rules(runs=4, seconds=0.0), clock=clock)
    assert (a, b) == (pytest.approx((0.001,) * 4), pytest.approx((0.002,) * 4))
    assert "".join(order) == "ab" + "ba" + "ab" + "ba"
    # 3 ms a turn: 0.02 s of each are 14 turns; the cap of 0.1 s, of which 0.09 are gone, ends it after 4
    assert len(take_turns([one("a", MS), one("b", 2 * MS)], Rules(runs=4, seconds=0.02), clock=clock)[0]) == 14
    rules = Rules(runs=50, seconds=1.0, cap=0.1)
    assert len(take_turns([one("a", MS), one("b", 2 * MS)], rules, 0.09, clock)[1]) == 4


def test_runs_under_a_profiler_leave_out_the_first():
    made = iter(range(100))
    assert repeated(lambda: next(made), Rules(runs=12, seconds=0.0)) == [1, 2, 3, 4, 5, 6]
    assert repeated(lambda: 7, Rules(runs=12, seconds=0.0, cap=0.0)) == [7]  # there is no other
