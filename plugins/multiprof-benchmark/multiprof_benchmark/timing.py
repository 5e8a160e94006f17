"""The timing loop: the first run, warming up and the samples apart, and when to stop.

The rules are those of TensorFlow Lite's own benchmark: warm up by runs and by time, then at least 50 runs and one
second, at most 150 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TypeVar

Result = TypeVar("Result")

NANO = 1e-9
SHORTEST = 20_000  # nanoseconds a sample must take, so that reading the clock (some 50) does not show


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


@dataclass(frozen=True, slots=True)
class Warm:
    """Nanoseconds of the first run and of warming up, and how often a run is repeated within a sample."""

    first: int
    warmup: int
    repeat: int


def measure(run: Callable[[], object], rules: Rules = STANDARD, clock: Callable[[], int] = perf_counter_ns) -> Timed:
    """Time ``run``, which must not return before its work is done. ``clock`` reads nanoseconds.

    A run too short for the clock is repeated within a sample, which is then the mean of its repetitions.
    """
    warm = warmed(run, rules, clock)
    (times,) = take_turns([lambda: sample(run, warm.repeat, clock)], rules, (warm.first + warm.warmup) * NANO, clock)
    return Timed(warm.first * NANO, warm.warmup * NANO, times)


def warmed(run: Callable[[], object], rules: Rules, clock: Callable[[], int] = perf_counter_ns) -> Warm:
    """Run it as often and as long as ``rules`` ask before the samples."""
    first = _once(run, 1, clock)
    warmup, runs, shortest = 0, 0, first
    while runs < rules.warmup_runs or warmup * NANO < rules.warmup_seconds:
        if (first + warmup) * NANO >= rules.cap:
            break
        taken = _once(run, 1, clock)
        shortest = min(shortest, taken)
        warmup += taken
        runs += 1
    return Warm(first, warmup, max(1, math.ceil(SHORTEST / max(shortest, 1))))


def sample(run: Callable[[], object], repeat: int, clock: Callable[[], int] = perf_counter_ns) -> float:
    """Seconds of one run, the mean of so many."""
    return _once(run, repeat, clock) * NANO / repeat


def take_turns(
    samples: Sequence[Callable[[], float]],
    rules: Rules = STANDARD,
    spent: float = 0.0,
    clock: Callable[[], int] = perf_counter_ns,
) -> list[tuple[float, ...]]:
    """Samples of several in turns, so that what slows the machine slows them all; the order turns round every round.

    It ends when each has its runs and they have their seconds, together as many times as there are of them; in any
    case after the cap, of which ``spent`` seconds are gone. Every one has the same number of samples.
    """
    times: list[list[float]] = [[] for _ in samples]
    start = clock()
    while not times[0] or (
        (len(times[0]) < rules.runs or (clock() - start) * NANO < rules.seconds * len(samples))
        and spent + (clock() - start) * NANO < rules.cap
    ):
        order = range(len(samples)) if len(times[0]) % 2 == 0 else range(len(samples) - 1, -1, -1)
        for number in order:
            times[number].append(samples[number]())
    return [tuple(taken) for taken in times]


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


__all__ = ["QUICK", "STANDARD", "Rules", "Timed", "Warm", "measure", "repeated", "sample", "take_turns", "warmed"]
