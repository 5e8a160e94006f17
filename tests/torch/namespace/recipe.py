"""How a name of a namespace is called, so that a report of the call can be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

import multiprof


@dataclass(frozen=True)
class Call:
    """One call: for a module ``init`` makes it and ``args`` call it; a function is called with ``args``.

    ``free`` is why nothing is counted. ``unsupported`` is why it has no price.
    """

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    init: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    free: str = ""
    unsupported: str = ""

    def report(self, target: Any) -> multiprof.Report:
        """The report of ``target`` called so."""
        if isinstance(target, type):
            return multiprof.analyze(target(*self.init, **self.options), multiprof.Inputs(*self.args))

        def run(*tensors: torch.Tensor) -> Any:
            """The function on its tensors; what is none stays as it is, and is no input."""
            given = iter(tensors)

            def one(value: Any) -> Any:
                return next(given) if isinstance(value, torch.Tensor) else value

            args = [[one(v) for v in a] if isinstance(a, list) else one(a) for a in self.args]
            return target(*args, **{name: one(value) for name, value in self.kwargs.items()})

        flat = [v for a in self.args for v in (a if isinstance(a, list) else [a])]
        tensors = [v for v in (*flat, *self.kwargs.values()) if isinstance(v, torch.Tensor)]
        return multiprof.analyze(run, multiprof.Inputs(*tensors))


def call(*args: Any, free: str = "", unsupported: str = "", **kwargs: Any) -> Call:
    """A function called with these arguments."""
    return Call(args, kwargs, free=free, unsupported=unsupported)


def module(*init: Any, on: Any = (), free: str = "", unsupported: str = "", **options: Any) -> Call:
    """A module made with ``init`` and ``options`` and called ``on`` a tensor or a tuple of arguments."""
    args = on if isinstance(on, tuple) else (on,)
    return Call(args, {}, init, options, free, unsupported)


def t(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Values between 0 and 1, always the same."""
    made = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return made.to(dtype)


def ints(high: int, *shape: int) -> torch.Tensor:
    """Integers below ``high``, always the same."""
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(0))


def signs(*shape: int) -> torch.Tensor:
    """−1 and 1, as margin losses want them."""
    return (ints(2, *shape) * 2 - 1).float()
