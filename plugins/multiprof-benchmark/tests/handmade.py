"""Graphs made by hand, for several modules of tests."""

from __future__ import annotations

from multiprof import Graph, Report, TensorSpec, engine
from multiprof.registry import build


def spec(name: str, *shape: int) -> TensorSpec:
    return TensorSpec(shape, "float32", name)


def priced(graph: Graph) -> Report:
    """A report as the engine writes it."""
    return engine.price(graph, build().formulas())
