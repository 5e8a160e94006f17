"""How much of the input one element of a tensor sees, by the recurrence over windows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from multiprof.ir import Graph


@dataclass(slots=True)
class ReceptiveField:
    """``size``: input positions that one element sees; ``jump``: input positions between two neighbouring elements.

    Both have one entry per spatial dimension of the input; a jump is a fraction after upsampling.
    """

    size: tuple[int, ...]
    jump: tuple[Fraction, ...]


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField]:
    """The receptive field of every layer that has one, by layer name."""
    return {}
