"""What a rule is: how an operator's shapes follow from one another, and which canonical layers it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprof.adapters.mxnet.call import Call
    from multiprof.adapters.mxnet.writing import Writing

# Arguments by these names hold what the model has learned, so that a variable there is no input.
PARAMETERS = frozenset(
    ("weight", "bias", "gamma", "beta", "moving_mean", "moving_var", "parameters", "min_weight", "max_weight",
     "min_bias", "max_bias")
)  # fmt: skip
STATISTICS = frozenset(("moving_mean", "moving_var"))

Args = tuple[str, ...]


@dataclass(slots=True)
class Rule:
    """``args`` are the names of the arguments, as MXNet calls them (or a function of the node); beyond them, and where
    there are none, arguments are all alike. ``outputs`` is how many results other nodes may read. ``like`` are the
    arguments that share the results' element type (``None``: all), ``dtype`` gives the results' where it is another.
    ``unread`` are the arguments that inference does not need (labels); ``reads`` gives the entries that are read where
    these are not the arguments.
    """

    infer: Callable[[Call], None]
    write: Callable[[Call, Writing], None]
    args: Args | Callable[[Call], Args] = ("data",)
    outputs: int | Callable[[Call], int] = 1
    like: tuple[int, ...] | None = None
    dtype: Callable[[Call], str | tuple[str, ...]] | None = None
    unread: Args = ()
    reads: Callable[[Call], list[int]] | None = None


Rules = Mapping[str, Rule]

__all__ = ["PARAMETERS", "STATISTICS", "Args", "Rule", "Rules"]
