"""The timing loop: the first run, warming up and the samples apart, and when to stop.

The rules are those of TensorFlow Lite's own benchmark: warm up by runs and by time, then at least 50 runs and one
second, at most 150 seconds.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TypeVar

Result = TypeVar("Result")

NANO = 1e-9
SHORTEST = 20_000  # nanoseconds a sample must take, so that reading the clock (some 50) does not show
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Rules:
    """When to stop: after ``runs`` samples and ``seconds``, in any case after ``cap`` seconds; and how to warm up."""

    runs: int = 50
    seconds: float = 1.0
    cap: float = 150.0
    warmup_runs: int = 3
    warmup_seconds: float = 0.5


STANDARD = Rules()
QUICK = Rules(runs=10, seconds=0.2, cap=20.0, warmup_runs=1, warmup_seconds=0.1)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds: of the first run, of all warming up, and of each sample in the order they were taken."""

    first: float
    warmup: float
    times: tuple[float, ...]


def measure(run: Callable[[], object], rules: Rules = STANDARD, clock: Callable[[], int] = perf_counter_ns) -> Timed:
    """Time ``run``, which must not return before its work is done. ``clock`` reads nanoseconds.

    A run too short for the clock is repeated within a sample, which is then the mean of its repetitions.
    """
    first = _once(run, 1, clock)
    warmup, runs, shortest = 0, 0, first
    while runs < rules.warmup_runs or warmup * NANO < rules.warmup_seconds:
        if (first + warmup) * NANO >= rules.cap:
            break
        taken = _once(run, 1, clock)
        shortest = min(shortest, taken)
        warmup += taken
        runs += 1
    repeat = max(1, math.ceil(SHORTEST / max(shortest, 1)))
    times: list[float] = []
    spent = 0
    while not times or (
        (len(times) < rules.runs or spent * NANO < rules.seconds) and (first + warmup + spent) * NANO < rules.cap
    ):
        taken = _once(run, repeat, clock)
        spent += taken
        times.append(taken * NANO / repeat)
    return Timed(first * NANO, warmup * NANO, tuple(times))


def interleave(
    runs: Sequence[Callable[[], object]], rules: Rules = STANDARD, clock: Callable[[], int] = perf_counter_ns
) -> list[Timed]:
    """Time several in turns, so that what slows the machine slows them all; the order turns round every round."""
    firsts = [_once(run, 1, clock) for run in runs]
    warm = [0 for _ in runs]
    for _ in range(rules.warmup_runs):
        for number, run in enumerate(runs):
            warm[number] += _once(run, 1, clock)
    times: list[list[float]] = [[] for _ in runs]
    spent, turn = 0, 0
    while not times[0] or ((turn < rules.runs or spent * NANO < rules.seconds) and spent * NANO < rules.cap):
        order = range(len(runs)) if turn % 2 == 0 else range(len(runs) - 1, -1, -1)
        for number in order:
            taken = _once(runs[number], 1, clock)
            spent += taken
            times[number].append(taken * NANO)
        turn += 1
    return [
        Timed(first * NANO, warmed * NANO, tuple(samples))
        for first, warmed, samples in zip(firsts, warm, times, strict=True)
    ]


def repeated(once: Callable[[], Result], rules: Rules = STANDARD) -> list[Result]:
    """What ``once`` returns of each of half as many runs as ``rules`` ask for, for as long; the first, which prepares
    what runs under a profiler, is left out where there are others.
    """
    found: list[Result] = []
    start = perf_counter_ns()
    while len(found) <= max(5, rules.runs // 2) or (perf_counter_ns() - start) * NANO < rules.seconds / 2:
        found.append(once())
        if (perf_counter_ns() - start) * NANO > rules.cap:
            break
    return found[1:] or found


def _once(run: Callable[[], object], repeat: int, clock: Callable[[], int]) -> int:
    """Nanoseconds of so many runs in a row."""
    start = clock()
    for _ in range(repeat):
        run()
    return clock() - start


def ratio(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The median of ``after / before`` over samples taken in turns, and its confidence interval by the bootstrap.

    Resampled with a fixed seed: the same samples give the same interval.
    """
    pairs = [b / a for a, b in zip(before, after, strict=True)]
    source = random.Random(0)
    medians = sorted(statistics.median(source.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    tail = int(RESAMPLES * (1 - confidence) / 2)
    return statistics.median(pairs), medians[tail], medians[-1 - tail]


__all__ = ["QUICK", "STANDARD", "Rules", "Timed", "interleave", "measure", "ratio"]
