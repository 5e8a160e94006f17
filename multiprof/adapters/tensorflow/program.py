"""What every kind of model becomes before it is walked: a GraphDef, what feeds it, what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multiprof.adapters._common.binding import Dim
from multiprof.ir import TensorSpec


@dataclass(slots=True)
class Feed:
    """An input of the model: its name for the caller, the tensor of the graph (``node:0``) it stands for."""

    name: str
    ref: str
    dtype: str
    shape: tuple[Dim, ...] | None
    optional: bool = False


@dataclass(slots=True)
class Variable:
    """A variable: ``trainable`` is ``None`` where nothing says, ``shape`` where not even its rank is known."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    trainable: bool | None = None
    source: str = ""


@dataclass(slots=True)
class Program:
    """One entry of a model.

    ``fetches`` maps names of results to tensors of the graph. ``captured`` says what placeholders stand for that no
    caller feeds: variables and constant tensors of a live function. ``variables`` tells what is known of the graph's
    own variables, by the name of their node. ``declared`` are variables of the model beyond those. In a ``frozen``
    graph constants hold the learned weights; in a ``stateful`` program variables do.
    """

    name: str
    graph: Any  # GraphDef
    feeds: list[Feed]
    fetches: dict[str, str]
    captured: dict[str, Variable | TensorSpec] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    declared: list[Variable] = field(default_factory=list)
    frozen: bool = False
    stateful: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


__all__ = ["Feed", "Program", "Variable"]
