"""The tables of all modules of rules as one; two rules for one operator are an error."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

from multiprof.adapters.onnx import rules
from multiprof.adapters.onnx.node import Infer, Rule
from multiprof.errors import PluginError


class Table(NamedTuple):
    """Rules and inferences by (domain, operator); the standard domain is the empty text."""

    rules: Mapping[tuple[str, str], Rule]
    infer: Mapping[tuple[str, str], Infer]


CONTRIB = "com.microsoft"
BLOCKED = "com.microsoft.nchwc"
CLASSICAL = "ai.onnx.ml"


@cache
def table() -> Table:
    """All rules there are; raises `PluginError` where two modules have one for the same operator."""
    found: dict[tuple[str, str], Rule] = {}
    inferences: dict[tuple[str, str], Infer] = {}
    for info in iter_modules(rules.__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"{rules.__name__}.{info.name}")
        for domain, attribute in (("", "RULES"), (CONTRIB, "CONTRIB"), (CLASSICAL, "ML"), (BLOCKED, "NCHWC")):
            for op_type, rule in getattr(module, attribute, {}).items():
                _add(found, (domain, op_type), rule, info.name)
        for key, inference in getattr(module, "INFER", {}).items():
            _add(inferences, key, inference, info.name)
    return Table(found, inferences)


def _add(into: dict[tuple[str, str], Any], key: tuple[str, str], value: Any, module: str) -> None:
    if key in into:
        raise PluginError(f"two rules for the ONNX operator {'.'.join(filter(None, key))}; one is in rules/{module}.py")
    into[key] = value


__all__ = ["CONTRIB", "Table", "table"]
