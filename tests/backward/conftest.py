"""A tally that remembers every product, so that the backward pass of any loop can be run and counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multiprof.testing import Array, Counted, Tally


class Tape(Tally):
    """Remembers the two factors of every multiply-add, and which scalars are mere constants."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.products: list[tuple[Counted, Counted]] = []
        self.constants: set[int] = set()
        self.alive: list[Counted] = []

    def scalar(self, value: float = 0.0, integer: bool = False) -> Counted:
        made = super().scalar(value, integer)
        self.alive.append(made)
        self.constants.add(id(made))
        return made

    def array(self, shape: tuple[int, ...], fill: float | None = None, integer: bool = False) -> Array:
        made = super().array(shape, fill, integer)
        self.constants.difference_update(id(made[index]) for index in made.indices())
        return made

    def multiply_add(self, accumulator: Counted, a: Counted, b: Counted) -> Counted:
        self.alive += (a, b)
        self.products.append((a, b))
        return super().multiply_add(accumulator, a, b)

    def macs_back(self, wanted: Callable[[Counted], bool]) -> int:
        """Multiply-adds that the gradients of the wanted factors take, one for each product they went into:
        d(a·b) = b·da + a·db.
        """
        macs = 0
        for a, b in self.products:
            for factor in (a, b):
                if wanted(factor):
                    macs += 1  # gradient of the factor += gradient of the product · the other factor
        return macs


def members(array: Array) -> set[int]:
    return {id(array[index]) for index in array.indices()}


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def of() -> Callable[[Array], set[int]]:
    return members
