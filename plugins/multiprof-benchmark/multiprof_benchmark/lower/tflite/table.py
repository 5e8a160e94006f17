"""The table of lowerings onto TensorFlow Lite: canonical op → a function that writes a layer's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from multiprof import Layer

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


Rule = Callable[["Builder", Layer], None]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Enter a function as the lowering of ``ops``."""

    def enter(function: Rule) -> Rule:
        for op in ops:
            RULES[op] = function
        return function

    return enter


__all__ = ["RULES", "Rule", "rule"]
