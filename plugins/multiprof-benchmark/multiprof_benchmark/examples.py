"""Arrays for the inputs of a model: random, of its shapes and dtypes, with indices in range."""

from __future__ import annotations

from typing import Any

import numpy as np

from multiprof import InputsError, Report, TensorSpec
from multiprof_benchmark.lower.arrays import drawn
from multiprof_benchmark.lower.values import Draws


def arrays(report: Report, seed: int = 0) -> dict[str, Any]:
    """An array by name for every input of the report's graph; equal seeds give equal numbers."""
    draws = Draws(report.graph.layers)
    source = np.random.default_rng(seed)
    return {spec.name: _array(spec, draws, source) for spec in report.graph.inputs}


def _array(spec: TensorSpec, draws: Draws, source: np.random.Generator) -> Any:
    if None in spec.shape:
        raise InputsError(f"the input {spec.name} has the shape {spec.shape}: give it whole, with --input or --dim")
    shape = tuple(d for d in spec.shape if d is not None)
    return drawn(draws.of(spec, weight=False), shape, source).astype(_dtype(spec))


def _dtype(spec: TensorSpec) -> Any:
    if spec.dtype == "bfloat16":
        raise InputsError(f"the input {spec.name} is of bfloat16, which numpy does not have")
    try:
        return np.dtype(spec.dtype)
    except TypeError:
        raise InputsError(f"the input {spec.name} is of {spec.dtype}, which numpy does not have") from None


__all__ = ["arrays"]
