"""The dtype of a result: torch's type promotion, for the real dtypes that models compute in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
INTEGERS = frozenset({torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64})
BOOL = torch.bool
# What kernels accept beyond these (complex, float8, unsigned 16 to 64 bits, quantised) differs from one to the next.
REAL = FLOATS | INTEGERS | {BOOL}

_default = torch.get_default_dtype
_promote = torch.promote_types


def number(value: Any) -> Any:
    """A Python number as a plain bool, int or float; raises `Unsure` for everything else."""
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return value
    if isinstance(value, float):  # numpy.float64
        return float(value)
    if isinstance(value, int):
        return int(value)
    raise Unsure


def result_type(operands: Iterable[Any]) -> torch.dtype:
    """c10's promotion of tensors and Python numbers.

    Tensors with dimensions decide; those without, and after them numbers, count only where they are of a higher
    category (bool < integer < float). Raises `Unsure` for dtypes outside `REAL`.
    """
    dims: torch.dtype | None = None
    zeros: torch.dtype | None = None
    numbers: torch.dtype | None = None
    for x in operands:
        if isinstance(x, Tensor):
            dtype = x.dtype
            if dtype not in REAL:
                raise Unsure
            if x.dim():
                dims = dtype if dims is None else _promote(dims, dtype)
            else:
                zeros = dtype if zeros is None else _promote(zeros, dtype)
        else:
            kind = type(number(x))
            dtype = BOOL if kind is bool else torch.int64 if kind is int else _default()
            numbers = dtype if numbers is None else _promote(numbers, dtype)
    result = _combined(dims, _combined(zeros, numbers))
    if result is None:
        raise Unsure
    return result


def _combined(higher: torch.dtype | None, lower: torch.dtype | None) -> torch.dtype | None:
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher not in FLOATS and (higher is BOOL or lower in FLOATS):
        return _promote(higher, lower)
    return higher


def as_float(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which a function of real numbers is computed: integers become the default float."""
    return dtype if dtype in FLOATS else _default()
