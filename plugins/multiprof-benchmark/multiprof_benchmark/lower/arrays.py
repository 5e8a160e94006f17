"""Values as numpy arrays, drawn as `values` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multiprof_benchmark.lower.values import CONSTANT, INTEGERS, NORMAL, Draw


def drawn(how: Draw, shape: Sequence[int], source: np.random.Generator) -> Any:
    """An array of a distribution, of whatever type numpy draws it in."""
    if how.kind == CONSTANT:
        return np.full(shape, how.a)
    if how.kind == INTEGERS:
        return source.integers(int(how.a), max(int(how.b), int(how.a) + 1), shape)
    if how.kind == NORMAL:
        return np.asarray(source.normal(how.a, how.b, shape))
    return np.asarray(source.uniform(how.a, how.b, shape))


__all__ = ["drawn"]
