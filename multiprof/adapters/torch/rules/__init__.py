"""The rules, one file per family; importing this package fills the tables in `multiprof.adapters.torch.table`."""

from multiprof.adapters.torch.rules import (
    access,
    activation,
    attention,
    conv,
    creation,
    elementwise,
    embedding,
    index,
    linear,
    norm,
    pool,
    recurrent,
    reduction,
    resize,
    shape,
)

__all__ = [
    "access",
    "activation",
    "attention",
    "conv",
    "creation",
    "elementwise",
    "embedding",
    "index",
    "linear",
    "norm",
    "pool",
    "recurrent",
    "reduction",
    "resize",
    "shape",
]
