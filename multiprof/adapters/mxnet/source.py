"""What the reader reads: a symbol, and what is known beside it, from files or from a live model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multiprof.adapters.mxnet.symbol import Symbol
from multiprof.ir import Shape, TensorSpec


@dataclass(slots=True)
class Source:
    """A symbol with what is known of its variables, by their names.

    ``where`` stands for the model in errors about its nodes, ``what`` in those about its inputs, ``name`` in reports.
    ``stored`` holds shapes and types of what the model keeps, whether the symbol reads it or not; ``learned`` names
    variables that are no inputs though nothing is stored for them yet. ``data`` are the inputs in the order of the
    call, where the model says so. ``infer`` asks MXNet itself which shapes follow from those given.
    """

    symbol: Symbol
    where: str
    what: str
    name: str
    stored: dict[str, TensorSpec] = field(default_factory=dict)
    learned: frozenset[str] = frozenset()
    data: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    trainable: dict[str, bool] = field(default_factory=dict)
    infer: Callable[[Mapping[str, Shape]], Mapping[str, Shape]] | None = None
    beside: str = ""  # the file in which ``stored`` was found
    remedy: str = ""  # what else could tell the shapes of parameters
    notes: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


__all__ = ["Source"]
