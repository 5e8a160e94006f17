"""The tensors of a flatbuffer that stand for those of the Graph, and the order their dimensions are stored in.

TensorFlow Lite keeps channels last. A tensor of a channels-first network is stored with its dimensions permuted from
the convolution that makes it onwards; only a layer to which the order matters has it turned back, by a TRANSPOSE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Perm = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the file: its number, its shape there, its dtype; dimension i there is ``perm[i]`` of the Graph's."""

    number: int
    shape: tuple[int, ...]
    dtype: str
    perm: Perm

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def logical(self) -> tuple[int, ...]:
        """The shape in the Graph's order."""
        shape = [0] * len(self.shape)
        for stored, axis in enumerate(self.perm):
            shape[axis] = self.shape[stored]
        return tuple(shape)

    @property
    def straight(self) -> bool:
        return self.perm == straight(self.rank)

    def axis(self, logical: int) -> int:
        """Where a dimension of the Graph's is stored."""
        return self.perm.index(logical % self.rank if self.rank else 0)


def straight(rank: int) -> Perm:
    """The order of the Graph itself."""
    return tuple(range(rank))


def permuted(shape: Sequence[int], perm: Perm) -> tuple[int, ...]:
    """A shape of the Graph in a stored order."""
    return tuple(shape[axis] for axis in perm)


__all__ = ["Perm", "Value", "permuted", "straight"]
