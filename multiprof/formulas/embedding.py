"""Embedding: rows of a table, copied."""

from __future__ import annotations

from multiprof.cost import Traffic, free
from multiprof.ir import Layer, TensorSpec


def gathered_bytes(layer: Layer) -> Traffic:
    """Reads the indices and the gathered rows, a row as often as it is asked for, never the whole table."""
    y = layer.outputs["y"]
    rows = TensorSpec(y.shape, layer.inputs["weight"].dtype)
    return layer.inputs["x"].nbytes + rows.nbytes, y.nbytes


embedding = free("embedding", reason="rows are copied, not computed", traffic=gathered_bytes)

FORMULAS = (embedding,)
