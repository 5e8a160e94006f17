"""Matrices of counted scalars, and of their values: for oracles of linear algebra."""

from __future__ import annotations

import math

from multiprof.testing.counting import Counted, Tally

Matrix = list[list[Counted]]


def matrix(tally: Tally, rows: int, columns: int) -> Matrix:
    """Random scalars that count at ``tally``."""
    a = tally.array((rows, columns))
    return [[a[i, j] for j in range(columns)] for i in range(rows)]


def numbers(a: Matrix) -> list[list[float]]:
    """The values of the scalars."""
    return [[item.value for item in row] for row in a]


def product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    """a·b of plain numbers, each sum exact; nothing is counted."""
    turned = list(zip(*b, strict=True))
    return [[math.fsum(x * y for x, y in zip(row, column, strict=True)) for column in turned] for row in a]
