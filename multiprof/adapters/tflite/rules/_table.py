"""The table of rules: code of an operator, or name of a custom one -> what writes its layers."""

from __future__ import annotations

from collections.abc import Callable

from multiprof.adapters.tflite.node import Node

Rule = Callable[[Node], None]
RULES: dict[str, Rule] = {}
CUSTOM_RULES: dict[str, Rule] = {}


def rule(*codes: str) -> Callable[[Rule], Rule]:
    """Make a function the rule of builtin operators."""

    def register(function: Rule) -> Rule:
        for code in codes:
            if code in RULES:
                raise ValueError(f"two rules for {code}")
            RULES[code] = function
        return function

    return register


def custom(*names: str) -> Callable[[Rule], Rule]:
    """Make a function the rule of custom operators."""

    def register(function: Rule) -> Rule:
        CUSTOM_RULES.update(dict.fromkeys(names, function))
        return function

    return register


__all__ = ["CUSTOM_RULES", "RULES", "Rule", "custom", "rule"]
