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
    elementwise,
    embedding,
    linear,
    norm,
    pool,
    recurrent,
    reduction,
    resize,
    shape,
    softmax,
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
    reduction,
    resize,
    shape,
    creation,
)


@hookimpl
def multiprof_formulas() -> Iterable[Formula]:
    """Every op of the vocabulary."""
    return tuple(chain.from_iterable(module.FORMULAS for module in FAMILIES))
