"""The table {primitive: rule}, filled by importing `multiprof.adapters.jax.rules`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprof.adapters.jax.values import Value
    from multiprof.adapters.jax.walker import Walker

# A rule emits the layers of one equation and returns what its results stand for; NotImplemented declines.
Rule = Callable[["Walker", Any, "list[Value]"], "Sequence[Value]"]

RULES: dict[str, Rule] = {}


def rule(*primitives: str) -> Callable[[Rule], Rule]:
    """Enter a rule under the names of the primitives it reads."""

    def enter(function: Rule) -> Rule:
        for name in primitives:
            if name in RULES:
                raise ValueError(f"two rules for the primitive {name}")
            RULES[name] = function
        return function

    return enter


__all__ = ["RULES", "Rule", "rule"]
