"""Products of a sparse matrix that the model holds and a dense one: what is stored is known without reading it."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


def _index_bytes(x: Tensor) -> int | None:
    """Bytes of the positions that are stored beside the elements; ``None`` for a layout of blocks."""
    if x.layout is torch.sparse_coo:
        return 8 * x.sparse_dim() * x._nnz()
    if x.layout is torch.sparse_csr:
        rows, columns = x.crow_indices(), x.col_indices()
    elif x.layout is torch.sparse_csc:
        rows, columns = x.ccol_indices(), x.row_indices()
    else:
        return None
    return rows.numel() * rows.element_size() + columns.numel() * columns.element_size()


def sparse_product(t: Tracer, a: Tensor, b: Tensor) -> Any:
    """``a @ b`` of two matrices, or of a matrix and a vector, of which one is sparse; the result is dense."""
    dense_a, dense_b = (x.layout is torch.strided for x in (a, b))
    if dense_a == dense_b or a.dtype is not b.dtype or a.dim() not in (1, 2) or b.dim() not in (1, 2):
        return NotImplemented
    if a.shape[-1] != b.shape[0]:
        return NotImplemented
    sparse, role = (b, "x1") if dense_a else (a, "x0")
    stored = _index_bytes(sparse)
    if stored is None or sparse.dim() != 2 or (sparse.layout is torch.sparse_coo and sparse.dense_dim()):
        return NotImplemented
    shape = (*a.shape[:-1], *b.shape[1:])
    columns = a.shape[0] if dense_a and a.dim() > 1 else b.shape[1] if not dense_a and b.dim() > 1 else 1
    y = t.new(shape, a.dtype)
    attrs = {"nnz": int(sparse._nnz()), "columns": int(columns), "sparse": role, "index_bytes": stored}
    t.emit("sparse_matmul", {"x0": a, "x1": b}, {"y": y}, attrs)
    return y


@rule("sparse.mm")
def sparse_mm(t: Tracer, mat1: Tensor, mat2: Tensor, reduce: Any = None) -> Any:
    return NotImplemented if reduce is not None else sparse_product(t, mat1, mat2)
