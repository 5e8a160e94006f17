"""The lowerings onto TensorFlow Lite by family; importing them fills the table."""

from multiprof_benchmark.lower.tflite.rules import (
    activation,
    attention,
    contraction,
    conv,
    elementwise,
    norm,
    pool,
    recurrent,
    reduction,
    resize,
    shape,
)

__all__ = [
    "activation",
    "attention",
    "contraction",
    "conv",
    "elementwise",
    "norm",
    "pool",
    "recurrent",
    "reduction",
    "resize",
    "shape",
]
