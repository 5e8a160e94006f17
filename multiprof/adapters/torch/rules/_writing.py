"""When an in-place operation may write to its tensor."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, broadcast
from multiprof.adapters.torch.tracer import Tracer


def check_writable(t: Tracer, x: Tensor, dtype: torch.dtype, others: tuple[Any, ...] = ()) -> None:
    """Raise `Unsure` where torch would refuse to write a result of ``dtype``, computed with ``others``, into ``x``.

    It refuses to write a float into integers, a larger broadcast shape, to memory that two elements of ``x`` share,
    and to memory that another operand shares in part. Inside an aten rule torch has already written.
    """
    if t.forced is not None:
        return
    if dtype is not x.dtype and not torch.can_cast(dtype, x.dtype):
        raise Unsure
    shape = x.shape
    if not x.is_contiguous() and any(s == 0 and n > 1 for s, n in zip(x.stride(), shape, strict=True)):
        raise Unsure
    for other in others:
        if isinstance(other, Tensor) and other is not x:
            if other.shape != shape and broadcast(shape, other.shape) != shape:
                raise Unsure
            root = t.base.get(id(x), id(x))
            if root == t.base.get(id(other), id(other)):
                raise Unsure
