"""The rules of all operators, by MXNet's present names; a module of them is one family."""

from __future__ import annotations

from multiprof.adapters.mxnet.aliases import ALIASES
from multiprof.adapters.mxnet.rules import (
    activation,
    boxes,
    control,
    convolution,
    creation,
    dense,
    einsum,
    elementwise,
    image,
    indexing,
    joining,
    matrices,
    norm,
    outputs,
    pool,
    quantized,
    recurrent,
    reduction,
    reshape,
    slicing,
)
from multiprof.adapters.mxnet.table import Rule

_FAMILIES = (
    activation,
    boxes,
    control,
    convolution,
    creation,
    dense,
    einsum,
    elementwise,
    image,
    indexing,
    joining,
    matrices,
    norm,
    outputs,
    pool,
    quantized,
    recurrent,
    reduction,
    reshape,
    slicing,
)


def _merged() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for family in _FAMILIES:  # tables of names also make some that stand for another operator's
        found.update((name, rule) for name, rule in family.RULES.items() if name not in ALIASES)
    return found


RULES = _merged()


def find_rule(op: str) -> Rule | None:
    """The rule of an operator by its present name; ``None`` for a foreign one."""
    return RULES.get(op)


__all__ = ["RULES", "find_rule"]
