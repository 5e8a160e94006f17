"""Small passes Graph -> Graph. They never change a layer: they add marks, or put a changed copy in its place."""

from __future__ import annotations

from collections.abc import Callable

from multiprof.ir import Graph
from multiprof.passes.norms import fold_batch_norm
from multiprof.passes.pairs import count_unmasked_pairs
from multiprof.passes.prepared import mark_prepared
from multiprof.passes.quantized import fold_quantization
from multiprof.passes.training import training_form

# In this order: a batch norm folds into a layer whose weight is prepared, and a quantisation into what then remains.
default_passes: tuple[Callable[[Graph], Graph], ...] = (mark_prepared, fold_batch_norm, fold_quantization)

__all__ = [
    "count_unmasked_pairs",
    "default_passes",
    "fold_batch_norm",
    "fold_quantization",
    "mark_prepared",
    "training_form",
]
