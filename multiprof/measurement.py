"""A measured time: the raw samples in seconds and where they come from; every statistic is derived."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiprof.errors import UsageError

WHOLE, GROUP, OVERHEAD = "whole", "group", "overhead"
KINDS = (WHOLE, GROUP, OVERHEAD)
# The interquartile range as a share of the median above which a time is unsteady, and above which it says nothing.
UNSTEADY, UNRELIABLE = 0.10, 0.25
# Samples from which a percentile is known with 99 % confidence (MLPerf inference rules).
ENOUGH = {0.9: 64, 0.95: 130, 0.99: 662}


@dataclass(slots=True)
class Measurement:
    """Times of one subject on one runner, in seconds, in the order they were taken.

    ``kind`` is ``whole`` (the model), ``group`` (the layers of ``subject``, which ran as one: a time is never split
    among them) or ``overhead`` (what the runner spends beside the layers). ``route`` says how the model came to the
    runner (native, converted, synthesised); ``isolated`` whether it ran in a process of its own. ``phases`` are
    seconds spent before the samples: ``load``, ``first`` (the first run), ``warmup``. ``memory`` are bytes the runner
    saw: ``rss`` (growth of the process), ``cuda``, ``arena``. ``precision`` is the dtype the model ran in, empty where
    that is its own.
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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"measurement of {self.runner}: kind is {self.kind!r}; one of {', '.join(KINDS)}")
        if not self.times:
            raise UsageError(f"measurement of {self.runner}: no times")
        for t in self.times:
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


__all__ = ["ENOUGH", "GROUP", "KINDS", "OVERHEAD", "UNRELIABLE", "UNSTEADY", "WHOLE", "Measurement"]
