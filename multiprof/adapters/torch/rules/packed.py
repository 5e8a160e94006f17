"""Sequences of different lengths: padded to one length, or packed without the padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._moves import Base
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, RefusedError, Tracer, ValueNeededError


def _counts(t: Tracer, source: Tensor, values: Sequence[int], hint: str) -> Tensor:
    """A vector of counts made of the values of ``source``, which stays at hand."""
    twin = torch.empty((len(values),), dtype=torch.int64, device=META)
    t.emit("index", {"x": source}, {"y": twin}, {"axes": ()}, hint)
    return twin if t.twice else t.carry(torch.tensor(values, dtype=torch.int64), twin)


def _refusal(function: Any, x: Tensor, *args: Any) -> Exception:
    """What torch raises for these values; where it takes them after all, the model has to be run for real."""
    try:
        function(torch.zeros((1,), dtype=x.dtype).expand(x.shape), *args)
    except RuntimeError as error:
        return RefusedError(str(error))
    return ValueNeededError()


@rule("_VF._pack_padded_sequence")
def pack_padded_sequence(t: Tracer, input: Tensor, lengths: Tensor, batch_first: bool) -> Any:
    """Data (S, *) with S the sum of the lengths, time first; and how many sequences are still running at each time."""
    known = t.value(lengths)
    axis = 1 if batch_first else 0
    sizes = known.tolist() if known.dim() == 1 and known.dtype is torch.int64 else []
    fits = (
        input.dim() > 1
        and len(sizes) == input.shape[1 - axis]
        and sizes == sorted(sizes, reverse=True)
        and bool(sizes)
        and sizes[-1] > 0
        and sizes[0] <= input.shape[axis]
    )
    if not fits or input.numel() == 0:
        raise _refusal(torch._VF._pack_padded_sequence, input, known, batch_first)
    y = t.new((sum(sizes), *input.shape[2:]), input.dtype)
    t.emit("index", {"x": input, "x0": lengths}, {"y": y}, {"axes": (axis,), "lengths": tuple(sizes)}, "pack")
    running = [sum(size > step for size in sizes) for step in range(sizes[0])]
    return y, _counts(t, lengths, running, "batch_sizes")


@rule("_VF._pad_packed_sequence")
def pad_packed_sequence(
    t: Tracer, data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: Any, total_length: int
) -> Any:
    """The sequences padded to one length, (T, N, *) in memory; and the lengths."""
    known = t.value(batch_sizes)
    sizes = known.tolist() if known.dim() == 1 and known.dtype is torch.int64 else []
    fits = bool(sizes) and min(sizes) > 0 and sizes == sorted(sizes, reverse=True) and sum(sizes) == data.shape[0]
    if not fits or 0 < total_length < len(sizes) or data.dim() < 1:
        raise _refusal(torch._VF._pad_packed_sequence, data, known, batch_first, padding_value, total_length)
    steps = total_length if total_length > 0 else len(sizes)
    y = torch.empty((steps, sizes[0], *data.shape[1:]), dtype=data.dtype, device=META)
    t.emit("fill", {}, {"y": y}, {"value": padding_value}, "padding")
    t.write("index_put", y, {"x": y, "x0": batch_sizes, "src": data}, {"axes": (0,), "batch_sizes": tuple(sizes)})
    if batch_first:
        order = (1, 0, *range(2, y.dim()))
        y = t.view("transpose", y, Base.transpose(y, 0, 1), {"perm": order})
    lengths = [sum(size > number for size in sizes) for number in range(sizes[0])]
    return y, _counts(t, batch_sizes, lengths, "lengths")


@rule("nn.pad_sequence")
def pad_sequence(
    t: Tracer, sequences: Any, batch_first: bool = False, padding_value: Any = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences (L_i, *) side by side, padded to the longest."""
    parts = list(sequences)
    first = parts[0]
    if padding_side not in ("left", "right") or any(x.dim() < 1 for x in parts):
        return NotImplemented
    rest = tuple(first.shape[1:])
    if any(tuple(x.shape[1:]) != rest or x.dtype is not first.dtype for x in parts):
        return NotImplemented
    longest = max(x.shape[0] for x in parts)
    leading = (len(parts), longest) if batch_first else (longest, len(parts))
    y = t.new((*leading, *rest), first.dtype)
    t.emit("stack", {f"x{i}": x for i, x in enumerate(parts)}, {"y": y}, {"axis": 0 if batch_first else 1})
    return y
