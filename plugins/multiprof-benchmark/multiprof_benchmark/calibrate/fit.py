"""Rates from times: the least squares whose coefficients are not negative.

Of kernels of one kind, ``seconds − overhead = 2·macs / rate + |x| / s_x + |weight| / s_weight + |y| / s_y`` is linear
in 1/rate and the 1/s; the relative errors are squared, so that a short kernel counts as much as a long one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

Row = Sequence[float]


def non_negative(rows: Sequence[Row], seconds: Sequence[float]) -> list[float]:
    """Coefficients c ≥ 0 that minimise Σ ((row·c − t) / t)²; exact, by trying which of them are zero.

    ``rows`` have a few columns (up to four here, so at most fifteen systems).
    """
    columns = len(rows[0])
    scaled = [[value / t for value in row] for row, t in zip(rows, seconds, strict=True)]
    best, least = [0.0] * columns, float(len(rows))
    for size in range(1, columns + 1):
        for chosen in combinations(range(columns), size):
            found = _solved([[row[c] for c in chosen] for row in scaled])
            if found is None or min(found) < 0:
                continue
            error = sum((sum(row[c] * f for c, f in zip(chosen, found, strict=True)) - 1) ** 2 for row in scaled)
            if error < least * (1 - 1e-9):
                best, least = [0.0] * columns, error
                for c, f in zip(chosen, found, strict=True):
                    best[c] = f
    return best


def _solved(rows: Sequence[Row]) -> list[float] | None:
    """Least squares of rows·c = 1 by the normal equations, columns scaled to one length; ``None`` where singular."""
    size = len(rows[0])
    lengths = [sum(row[c] ** 2 for row in rows) ** 0.5 for c in range(size)]
    if not all(lengths):
        return None
    unit = [[value / length for value, length in zip(row, lengths, strict=True)] for row in rows]
    system = [
        [*(sum(row[a] * row[b] for row in unit) for b in range(size)), sum(row[a] for row in unit)] for a in range(size)
    ]
    for at in range(size):
        pivot = max(range(at, size), key=lambda r: abs(system[r][at]))
        system[at], system[pivot] = system[pivot], system[at]
        if abs(system[at][at]) < 1e-9:
            return None
        for other in range(size):
            if other != at:
                factor = system[other][at] / system[at][at]
                system[other] = [a - factor * b for a, b in zip(system[other], system[at], strict=True)]
    return [system[at][size] / system[at][at] / lengths[at] for at in range(size)]


__all__ = ["non_negative"]
