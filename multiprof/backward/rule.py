"""How the backward pass of an op is described: what it costs, and what the forward pass keeps for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from multiprof.cost import Cost, Counts
from multiprof.ir import Layer

# Roles of a layer's inputs whose gradients are wanted.
Needs = frozenset[str]
Extra = Iterable[tuple[str, int]]

# Terms of single inputs; every other role r has the term r_grad.
_TERMS = {"x": "input_grad"}


def term(role: str) -> str:
    """The name of the term that makes the gradient of the input ``role``."""
    return _TERMS.get(role, f"{role}_grad")


def keeps_nothing(layer: Layer, needs: Needs) -> Iterable[str]:
    return ()


def makes_nothing(layer: Layer, needs: Needs) -> Extra:
    return ()


def costs_nothing(layer: Layer, needs: Needs) -> Cost:
    return Cost()


@dataclass(frozen=True, slots=True)
class Rule:
    """The backward pass of an op.

    ``price`` takes the layer and the roles whose gradients are wanted. ``keeps`` names the roles of inputs and outputs
    that the forward pass keeps for it, ``extra`` what it makes for it alone: (name, bytes). ``passes`` are the roles
    whose gradient is the memory of y's own. ``free``: gradients are only moved, with the reason. ``stops``: no gradient
    goes through, with the reason. ``lacks``: nobody has written its formula down, with what there is to say.
    """

    price: Callable[[Layer, Needs], Cost] = costs_nothing
    keeps: Callable[[Layer, Needs], Iterable[str]] = keeps_nothing
    extra: Callable[[Layer, Needs], Extra] = makes_nothing
    passes: frozenset[str] = frozenset()
    free: str = ""
    stops: str = ""
    lacks: str = ""
    source: str = ""

    def passes_on(self, role: str) -> bool:
        """Whether the gradient of ``role`` is the memory of y's own; ``x*`` stands for x0, x1 …"""
        return role in self.passes or f"{role.rstrip('0123456789')}*" in self.passes


def stops(reason: str) -> Rule:
    return Rule(stops=reason)


def lacks(reason: str) -> Rule:
    return Rule(lacks=reason)


def moved(reason: str, *kept: str, passes: Iterable[str] = ()) -> Rule:
    """Gradients are only moved; ``kept`` are the roles that say where to."""
    return Rule(keeps=lambda layer, needs: kept, passes=frozenset(passes), free=reason)


def spread_back(layer: Layer, role: str) -> int:
    """Additions that sum the gradient of a broadcast operand: |y| − |operand|."""
    return max(layer.y.numel - layer.inputs[role].numel, 0)


def counts(amounts: dict[str, int], n: int) -> Counts:
    """`Counts` of so many primitives an element."""
    return Counts(**{name: each * n for name, each in amounts.items()})
