"""The rules of TFLite's operators, one module a family; importing them fills the table."""

from __future__ import annotations

from multiprof.adapters.tflite.rules import (  # noqa: F401  # each fills the table
    activation,
    conv,
    elementwise,
    linear,
    pool,
    reduction,
    shape,
)
from multiprof.adapters.tflite.rules._table import CUSTOM_RULES, RULES

__all__ = ["CUSTOM_RULES", "RULES"]
