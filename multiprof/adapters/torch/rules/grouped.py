"""Grouped matrix products, as mixtures of experts use them: rows in runs, each run with a matrix of its own."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_DTYPES = frozenset((torch.float32, torch.bfloat16, torch.float16))
_ALIGNMENT = 16  # bytes that every stride must be a multiple of (native/GroupedMMUtils.h)


def _aligned(x: Tensor) -> bool:
    """Rows or columns lie one after the other, at multiples of the alignment."""
    rows, columns = x.stride(-2), x.stride(-1)
    size = x.element_size()
    if columns == 1 and rows >= max(1, x.shape[-1]):
        return rows * size % _ALIGNMENT == 0
    return rows == 1 and columns >= max(1, x.shape[-2]) and columns * size % _ALIGNMENT == 0


@rule("torch._grouped_mm", aten="_grouped_mm")
def grouped_mm(
    t: Tracer,
    input: Tensor,
    mat2: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Any:
    """(S, K) with (G, K, N): row s meets the matrix of its group, so S·N sums of K whatever the groups' sizes.

    ``offs`` says where each group ends; that every row belongs to one is taken for granted.
    """
    if input.dim() != 2 or mat2.dim() != 3 or bias is not None or out_dtype not in (None, input.dtype):
        return NotImplemented
    rows, depth = input.shape
    groups, _, features = mat2.shape
    if t.forced is None and (
        input.dtype not in _DTYPES or mat2.dtype is not input.dtype or not _aligned(input) or not _aligned(mat2)
    ):
        return NotImplemented
    if offs is None or offs.dtype is not torch.int32 or offs.shape != (groups,):
        return NotImplemented
    if mat2.shape[1] != depth or 0 in (*input.shape, *mat2.shape):
        return NotImplemented
    step = _ALIGNMENT // input.element_size()
    y = t.new_strided((rows, features), ((features + step - 1) // step * step, 1), input.dtype)
    if t.is_weight(mat2):
        attrs = {"in_features": depth, "out_features": features, "groups": groups}
        t.emit("linear", {"x": input, "weight": mat2}, {"y": y}, attrs)
    else:
        t.emit("matmul", {"x0": input, "x1": mat2}, {"y": y}, {"contracted": depth, "groups": groups})
    return y
