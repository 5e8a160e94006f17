"""The tables {operation: rule}, filled by importing `multiprof.adapters.tensorflow.rules` and `.control`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprof.adapters.tensorflow.node import Node
    from multiprof.adapters.tensorflow.values import Value
    from multiprof.adapters.tensorflow.walker import Frame, Walker

# Writes the layers of one operation and binds its results; NotImplemented declines, and the layer is a foreign one.
Rule = Callable[["Node"], Any]
# What is no operation of its own: calls, loops, branches, variables. Returns what its results stand for.
Structure = Callable[["Walker", "Frame", "Node"], "Iterable[Value]"]

RULES: dict[str, Rule] = {}
STRUCTURE: dict[str, Structure] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Enter a rule under the names of the operations it reads."""

    def enter(function: Rule) -> Rule:
        for op in ops:
            if op in RULES or op in STRUCTURE:
                raise ValueError(f"two rules for the operation {op}")
            RULES[op] = function
        return function

    return enter


def structure(*ops: str) -> Callable[[Structure], Structure]:
    """The same for what is no operation of its own."""

    def enter(function: Structure) -> Structure:
        for op in ops:
            if op in RULES or op in STRUCTURE:
                raise ValueError(f"two rules for the operation {op}")
            STRUCTURE[op] = function
        return function

    return enter


__all__ = ["RULES", "STRUCTURE", "Rule", "Structure", "rule", "structure"]
