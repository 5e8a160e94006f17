"""Lowerings by op family; importing this package fills the table."""

from __future__ import annotations

from multiprof_benchmark.lower.torch.rules import (
    activation,
    attention,
    contraction,
    conv,
    creation,
    elementwise,
    embedding,
    foreign,
    index,
    linalg,
    norm,
    pool,
    quantization,
    recurrent,
    reduction,
    resize,
    shape,
    sorting,
    windows,
)

__all__ = [
    "activation",
    "attention",
    "contraction",
    "conv",
    "creation",
    "elementwise",
    "embedding",
    "foreign",
    "index",
    "linalg",
    "norm",
    "pool",
    "quantization",
    "recurrent",
    "reduction",
    "resize",
    "shape",
    "sorting",
    "windows",
]
