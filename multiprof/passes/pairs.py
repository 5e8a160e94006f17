"""Attention counted for the pairs that its mask leaves."""

from __future__ import annotations

from dataclasses import replace

from multiprof.ir import Graph


def count_unmasked_pairs(graph: Graph) -> Graph:
    """Let causal attention count only the pairs its mask leaves, in place of all of them."""
    return replace(
        graph,
        layers=tuple(
            replace(layer, attrs={**layer.attrs, "pairs": "unmasked"})
            if layer.op == "attention" and layer.attrs.get("causal")
            else layer
            for layer in graph.layers
        ),
    )
