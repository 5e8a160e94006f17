"""How far the outline opens a model: as deep as keeps it within its rows."""

from __future__ import annotations

import pytest

from multiprof import Graph, Layer, Report, TensorSpec, engine
from multiprof.reporters import outline


@pytest.mark.parametrize(
    ("modules", "children", "nodes"),
    [
        (9, 10, 1 + 9 + 9 * 10 + 9 * 10 * 2),  # 280: modules, their children and the children of those
        (10, 10, 1 + 10 + 10 * 10),  # opened wholly 311, more than 300
        (60, 5, 1 + 60),  # with the children 361
        (400, 1, 1 + 400),  # less than the modules is never shown
    ],
)
def test_what_does_not_fit_its_rows_is_opened_less(modules: int, children: int, nodes: int) -> None:
    root = outline.outline(_report(modules, children))
    assert outline.ROWS == 300
    assert sum(1 for _ in outline.walk(root)) == nodes
    assert sum(len(part.layers) for part in root.parts) == modules * children * 2


def test_a_depth_asked_for_is_given_however_many_rows_that_takes() -> None:
    root = outline.outline(_report(60, 5), depth=2)
    assert sum(1 for _ in outline.walk(root)) == 1 + 60 + 60 * 5


def _report(modules: int, children: int) -> Report:
    """Modules of children of two modules of one layer each: a relu, and a sum of its result with itself."""
    x = last = TensorSpec((2, 3), "float32", "x")
    layers = []
    for i in range(modules):
        for j in range(children):
            path = f"m{i}.c{j}"
            made = TensorSpec((2, 3), "float32", f"{path}/relu")
            both = TensorSpec((2, 3), "float32", f"{path}/add")
            layers.append(Layer(f"{path}/relu", "relu", {"x": last}, {"y": made}, {}, f"{path}.relu", "", None, ()))
            layers.append(
                Layer(f"{path}/add", "add", {"x0": made, "x1": made}, {"y": both}, {}, f"{path}.add", "", None, ())
            )
            last = both
    graph = Graph("net", "toy", (x,), (last,), tuple(layers), {}, {}, {})
    return engine.price(graph, {})
