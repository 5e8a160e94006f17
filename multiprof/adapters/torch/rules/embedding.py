"""Rows of a table by index."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_INDICES = frozenset((torch.int64, torch.int32))


@rule("F.embedding")
def embedding(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """``max_norm`` writes to the table first: that is left to torch."""
    rows = weight.shape[0]
    if max_norm is not None or (padding_idx and not -rows <= padding_idx < rows):
        return NotImplemented
    return torch_embedding(t, weight, input)


@rule("torch.embedding", aten="embedding")
def torch_embedding(
    t: Tracer,
    weight: Tensor,
    input: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if weight.dim() != 2 or input.dtype not in _INDICES or weight.layout is not torch.strided:
        return NotImplemented
    rows, width = weight.shape
    y = t.new((*input.shape, width), weight.dtype)
    t.emit("embedding", {"x": input, "weight": weight}, {"y": y}, {"num_embeddings": rows, "embedding_dim": width})
    return y
