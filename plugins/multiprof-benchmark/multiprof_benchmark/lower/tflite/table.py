"""The table of lowerings onto TensorFlow Lite: canonical op → a function that writes a layer's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from multiprof import Layer, TensorSpec

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


class NotLoweredError(Exception):
    """The layer cannot be lowered; the message says why."""


Rule = Callable[["Builder", Layer], None]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Enter a function as the lowering of ``ops``."""

    def enter(function: Rule) -> Rule:
        for op in ops:
            RULES[op] = function
        return function

    return enter


def shape_of(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a tensor; `NotLoweredError` where a dimension is not known."""
    if None in spec.shape:
        raise NotLoweredError(f"the shape {spec.shape} is not known")
    return tuple(d for d in spec.shape if d is not None)


__all__ = ["RULES", "NotLoweredError", "Rule", "rule", "shape_of"]
