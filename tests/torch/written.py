"""Networks written out for a test, with their figures: what the tests of counting share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Case = tuple[Callable[[], Any], tuple[Any, ...], dict[str, Any]]


class Cases(dict[str, Case]):
    """Networks by name, each with its inputs, macs and parameters, and how many layers of some ops it has."""

    def case(self, name: str, *figures: Any, **ops: Any) -> Callable[[Callable[[], Any]], None]:
        """Register a network under a name: inputs, macs, parameters, and how many layers of some ops it has."""

        def register(build: Callable[[], Any]) -> None:
            assert name not in self
            self[name] = build, figures, ops

        return register


def module(forward: Callable[..., Any], **children: Any) -> nn.Module:
    """A module whose forward is ``forward(self, …)``; children, parameters and lists of modules by name."""

    class Written(nn.Module):
        pass

    Written.forward = forward  # type: ignore[method-assign]
    made = Written()
    for name, child in children.items():
        setattr(made, name, child)
    return made


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))
