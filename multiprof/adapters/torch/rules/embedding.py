"""Embeddings: rows of a table by index, alone and joined in bags."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.rules._promotion import FLOATS
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_INDICES = frozenset({torch.int32, torch.int64})


@rule("torch.embedding", aten="embedding")
def embedding(
    t: Tracer,
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if weight.dim() != 2 or indices.dtype not in _INDICES or weight.layout is not torch.strided:
        return NotImplemented
    rows, width = weight.shape
    y = t.new((*indices.shape, width), weight.dtype)
    t.emit(
        "embedding",
        {"x": indices, "weight": weight},
        {"y": y},
        {"num_embeddings": rows, "embedding_dim": width},
    )
    return y


@rule("F.embedding")
def f_embedding(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """With ``max_norm`` the table is written to, which is left to torch."""
    if max_norm is not None:
        return NotImplemented
    if padding_idx and not -weight.shape[0] <= padding_idx < weight.shape[0]:
        return NotImplemented
    return embedding(t, weight, input)


_REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "max"}


@rule("F.embedding_bag")
def embedding_bag(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Rows by index, a factor for each where there are any, and a reduction over each bag.

    The bags are the rows of ``input``, or begin at ``offsets``.
    """
    if max_norm is not None or padding_idx is not None or mode not in _REDUCTIONS or weight.dim() != 2:
        return NotImplemented
    if input.dtype not in _INDICES or weight.dtype not in FLOATS or 0 in weight.shape or not input.numel():
        return NotImplemented
    if input.dim() == 2 and offsets is None:
        bags = input.shape[0]
    elif input.dim() == 1 and offsets is not None and offsets.dim() == 1 and offsets.dtype is input.dtype:
        bags = offsets.shape[0] - bool(include_last_offset)
    else:
        return NotImplemented
    if bags < 1:
        return NotImplemented
    factors = per_sample_weights
    if factors is not None and (mode != "sum" or factors.shape != input.shape or factors.dtype is not weight.dtype):
        return NotImplemented
    rows, width = weight.shape
    dtype = weight.dtype
    y = t.new((bags, width), dtype)
    gathered = between((input.numel(), width), dtype)
    attrs = {"num_embeddings": rows, "embedding_dim": width}
    t.emit("embedding", {"x": input, "weight": weight}, {"y": gathered}, attrs, "embedding")
    if factors is not None:
        scaled = between(gathered.shape, dtype)
        t.emit("mul", {"x0": gathered, "x1": factors}, {"y": scaled}, None, "mul")
        gathered = scaled
    op = _REDUCTIONS[mode]
    t.emit(op, {"x": gathered}, {"y": y}, {"axis": (0,), "keepdim": False}, op)
    return y


@rule(aten=("_embedding_bag", "_embedding_bag_forward_only"))
def aten_embedding_bag(
    t: Tracer,
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> Any:
    """The operator beneath; rows of padding, which are left out, count as the others do.

    What it returns beside the bags serves its gradient alone.
    """
    rows, width = weight.shape
    y = t.new((), weight.dtype)
    gathered = between((indices.numel(), width), weight.dtype)
    attrs = {"num_embeddings": rows, "embedding_dim": width}
    t.emit("embedding", {"x": indices, "weight": weight}, {"y": gathered}, attrs, "embedding")
    if per_sample_weights is not None:
        scaled = between(gathered.shape, weight.dtype)
        t.emit("mul", {"x0": gathered, "x1": per_sample_weights}, {"y": scaled}, None, "mul")
        gathered = scaled
    op = tuple(_REDUCTIONS)[mode]
    t.emit(op, {"x": gathered}, {"y": y}, {"axis": (0,), "keepdim": False}, op)
    return y
