"""A measured time: the raw samples in seconds and where they come from; every statistic is derived."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from multiprof.errors import UsageError

WHOLE, GROUP, OVERHEAD, COMPARED = "whole", "group", "overhead", "compared"
KINDS = (WHOLE, GROUP, OVERHEAD, COMPARED)
# The interquartile range as a share of the median above which a time is unsteady, and above which it says nothing.
UNSTEADY, UNRELIABLE = 0.10, 0.25
# Samples from which a percentile is known with 99 % confidence (MLPerf inference rules).
ENOUGH = {0.9: 64, 0.95: 130, 0.99: 662}
RESAMPLES, CONFIDENCE = 2_000, 0.95
METHOD = f"ratio of medians, {CONFIDENCE:.0%} interval by the bootstrap over turns ({RESAMPLES:,} resamples)"


@dataclass(slots=True)
class Measurement:
    """Times of one subject on one runner, in seconds, in the order they were taken.

    ``kind`` is ``whole`` (the model), ``group`` (the layers of ``subject``, which ran as one: a time is never split
    among them), ``overhead`` (what the runner spends beside the layers, or a step of its own that no layer could be
    found for: ``label`` is its name there) or ``compared`` (a model that ran in turns with another one: ``label`` names
    it, ``against`` the other one, whose times in the same turns are ``baseline``). ``route`` says how the model came to
    the runner (native, converted, synthesised); ``isolated`` whether it ran in a process of its own. ``phases`` are
    seconds spent before the samples: ``load``, ``first`` (the first run), ``warmup``. ``memory`` are bytes the runner
    saw: ``rss`` (growth of the process, files mapped into it included), ``heap`` (of the C heap: packed weights,
    workspace), ``cuda``, ``arena``. ``energy`` are joules a run, by the counter that was read. ``device_times`` are the
    seconds of each run on a device that works beside the processor. ``precision`` is the dtype the model ran in, empty
    where that is its own.
    """

    times: tuple[float, ...]
    runner: str
    route: str = "native"
    device: str = ""
    kind: str = WHOLE
    subject: tuple[str, ...] = ()
    threads: int | None = None
    batch: int | None = None
    isolated: bool = True
    environment: Mapping[str, Any] = field(default_factory=dict)
    precision: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    label: str = ""
    against: str = ""
    baseline: tuple[float, ...] = ()
    energy: Mapping[str, float] = field(default_factory=dict)
    device_times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"measurement of {self.runner}: kind is {self.kind!r}; one of {', '.join(KINDS)}")
        if not self.times:
            raise UsageError(f"measurement of {self.runner}: no times")
        if (self.kind == COMPARED) != bool(self.baseline) or len(self.baseline) not in (0, len(self.times)):
            raise UsageError(f"measurement of {self.runner}: a baseline for every time goes with kind compared")
        for t in (*self.times, *self.baseline, *self.device_times):
            if not (math.isfinite(t) and t >= 0):
                raise UsageError(f"measurement of {self.runner}: {t!r} is no time in seconds")
        for name, t in self.phases.items():
            if not (math.isfinite(t) and t >= 0):
                raise UsageError(f"measurement of {self.runner}: {name}: {t!r} is no time in seconds")

    @property
    def runs(self) -> int:
        return len(self.times)

    @property
    def median(self) -> float:
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        return math.fsum(self.times) / len(self.times)

    @property
    def minimum(self) -> float:
        return min(self.times)

    @property
    def maximum(self) -> float:
        return max(self.times)

    def quantile(self, q: float) -> float:
        """The value below which the share ``q`` of the samples lies, linear between neighbouring samples."""
        if not 0 <= q <= 1:
            raise UsageError(f"quantile {q!r} is not between 0 and 1")
        ordered = sorted(self.times)
        position = q * (len(ordered) - 1)
        low = math.floor(position)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (position - low) * (ordered[high] - ordered[low])

    @property
    def iqr(self) -> float:
        """Interquartile range, in seconds."""
        return self.quantile(0.75) - self.quantile(0.25)

    @property
    def spread(self) -> float:
        """Interquartile range as a share of the median; 0 where the median is 0."""
        middle = self.median
        return self.iqr / middle if middle else 0.0

    @property
    def steadiness(self) -> str:
        """``""``, ``unsteady`` where the interquartile range is over 10 % of the median, ``unreliable`` over 25 %."""
        return "unreliable" if self.spread > UNRELIABLE else "unsteady" if self.spread > UNSTEADY else ""

    def percentile(self, q: float) -> float | None:
        """A high quantile (0.9, 0.95 or 0.99), or ``None`` where there are too few samples to know it."""
        if q not in ENOUGH:
            raise UsageError(f"percentile {q!r} is none of {', '.join(map(str, ENOUGH))}")
        return self.quantile(q) if self.runs >= ENOUGH[q] else None

    @property
    def ratio(self) -> tuple[float, float, float] | None:
        """The median over the baseline's, and the ends of its interval (`METHOD`); ``None`` without a baseline."""
        return ratio_of_medians(self.baseline, self.times) if self.baseline else None


@cache
def ratio_of_medians(before: tuple[float, ...], after: tuple[float, ...]) -> tuple[float, float, float]:
    """``median(after) / median(before)`` of samples taken in turns, and the ends of its confidence interval.

    The percentile bootstrap: turns, each with both its samples, are drawn again with replacement, so that what slowed
    a whole turn slows both. The seed is fixed: the same samples give the same interval.
    """
    turns = list(zip(before, after, strict=True))
    source = random.Random(0)
    found = []
    for _ in range(RESAMPLES):
        drawn = source.choices(turns, k=len(turns))
        found.append(_quotient([b for b, _ in drawn], [a for _, a in drawn]))
    found.sort()
    tail = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return _quotient(before, after), found[tail], found[-1 - tail]


def _quotient(before: Sequence[float], after: Sequence[float]) -> float:
    below = statistics.median(before)
    return statistics.median(after) / below if below else math.inf


__all__ = [
    "COMPARED", "CONFIDENCE", "ENOUGH", "GROUP", "KINDS", "METHOD", "OVERHEAD", "UNRELIABLE", "UNSTEADY", "WHOLE",
    "Measurement", "ratio_of_medians",
]  # fmt: skip
