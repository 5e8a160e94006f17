"""What is computed from weights and constants alone runs once, ahead of time."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from multiprof.ir import PREPARED, Graph, Mark


def mark_prepared(graph: Graph, but: Container[str] = ()) -> Graph:
    """Mark the layers that compute from parameters, buffers and constants alone: their result is itself a weight.

    Such a layer reads at least one tensor, and every tensor it reads is declared, written into the program (op
    ``constant``) or made by another prepared layer. Creation ops (``fill``, ``arange``, ``random``) read nothing and
    are not prepared, nor is what is computed from them: a network that starts from zeros or noise does its work on
    every run. ``but`` names the parameters that change from run to run, as training changes them.
    """
    weights = {name for name in graph.parameters if name not in but}
    marks = dict(graph.marks)
    for layer in graph.layers:
        if layer.op == "constant":
            weights.update(spec.name for spec in layer.outputs.values())
        elif layer.inputs and all(spec.name in weights for spec in layer.inputs.values()):
            weights.update(spec.name for spec in layer.outputs.values())
            marks.setdefault(layer.name, Mark(PREPARED, "computed from weights and constants alone"))
    return replace(graph, marks=marks)
