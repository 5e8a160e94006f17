"""The built-in formulas, one module per op family, supplied through the same hook as everybody's."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from multiprof.cost import Formula
from multiprof.formulas import (
    activation,
    attention,
    conv,
    creation,
    decompositions,
    detection,
    elementwise,
    embedding,
    linalg,
    linear,
    loss,
    norm,
    pool,
    quantization,
    recurrent,
    reduction,
    resize,
    rotary,
    sampling,
    shape,
    softmax,
    sorting,
    spectral,
    writing,
)
from multiprof.hookspecs import hookimpl

FAMILIES = (
    conv,
    linear,
    recurrent,
    attention,
    embedding,
    norm,
    pool,
    softmax,
    activation,
    elementwise,
    rotary,
    quantization,
    reduction,
    writing,
    sorting,
    resize,
    sampling,
    detection,
    spectral,
    linalg,
    decompositions,
    loss,
    shape,
    creation,
)


@hookimpl
def multiprof_formulas() -> Iterable[Formula]:
    """Every op of the vocabulary."""
    return tuple(chain.from_iterable(module.FORMULAS for module in FAMILIES))
