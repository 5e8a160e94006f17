"""Rows of a table."""

from __future__ import annotations

import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, rule


@rule("embedding")
def embedding(layer: Layer, context: Context) -> Kernel:
    y, rows = shape_of(layer.y), layer.inputs["weight"].shape[0]
    integer = layer.inputs["x"].dtype in ("int32", "int64")
    kind = context.type_of(layer.y)

    def run(x, weight):  # type: ignore[no-untyped-def]  # two tensors in, one out
        at = x if integer else x.long()
        return F.embedding(at, weight).reshape(y).to(kind)

    del rows
    return Kernel(run)
