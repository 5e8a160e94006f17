"""What one call measures, and how: checked before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from multiprof import UsageError
from multiprof_benchmark.environment import usable_cores
from multiprof_benchmark.runners import by_name
from multiprof_benchmark.subject import ROUTES
from multiprof_benchmark.timing import QUICK, STANDARD, Rules


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure: every runner of ``on``, with each number of threads, each batch size and each precision."""

    on: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = (1,)
    batches: tuple[int | None, ...] = (None,)
    precisions: tuple[str, ...] = ("",)
    route: str = ""
    quick: bool = False
    layers: bool = True
    least: float = 0.95
    cap: float | None = None
    memory: int | None = None

    def check(self) -> None:
        """Raise `UsageError` for what cannot be asked."""
        if not self.on:
            raise UsageError("benchmark: name at least one runner, such as on=('cpu',)")
        for what, values in (("threads", self.threads), ("batch", self.batches), ("precision", self.precisions)):
            if not values:
                raise UsageError(f"{what}: give at least one")
        for name in self.on:
            by_name(name)
        for count in self.threads:
            if not _is_whole(count):
                raise UsageError(self.too_many(count))
        if min(self.threads) > usable_cores():
            raise UsageError(self.too_many(min(self.threads)))
        for batch in self.batches:
            if batch is not None and not _is_whole(batch):
                raise UsageError(f"batch {batch!r}: give a number of at least 1")
        for precision in self.precisions:
            if not isinstance(precision, str):
                raise UsageError(f"precision {precision!r}: give a name such as 'fp16', or '' for the model's own")
        if self.route and self.route not in ROUTES:
            raise UsageError(f"route {self.route!r}; one of {', '.join(ROUTES)}")
        if not _is_number(self.least) or not 0 <= self.least <= 1:
            raise UsageError(f"least {self.least!r} is no share between 0 and 1")
        if self.cap is not None and not (_is_number(self.cap) and 0 < self.cap < math.inf):
            raise UsageError(f"cap {self.cap!r}: give seconds above 0")
        if self.memory is not None and not _is_whole(self.memory):
            raise UsageError(f"memory {self.memory!r}: give a number of bytes")

    @staticmethod
    def too_many(threads: object) -> str:
        return f"threads {threads!r}: this machine lets a process use 1 to {usable_cores()}"

    @property
    def rules(self) -> Rules:
        """Those of the timing loop; within a cap, the model and its layers have a third of it each."""
        rules = QUICK if self.quick else STANDARD
        return rules if self.cap is None else replace(rules, cap=min(rules.cap, self.cap / 3))


def several(value: Any) -> tuple[Any, ...]:
    """Several values, each once; a text names several with commas between them."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(dict.fromkeys(value)) if isinstance(value, (list, tuple)) else (value,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


__all__ = ["Settings", "several"]
