"""What rules on signals, images and volumes share: names of the dimensions, and strides of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, as_tuple, is_regular
from multiprof.adapters.torch.rules._moves import format_strides, suggested_format
from multiprof.adapters.torch.rules._promotion import FLOATS
from multiprof.adapters.torch.tracer import Tracer

_FORMATS = {1: ("CL", "NCL"), 2: ("CHW", "NCHW"), 3: ("CDHW", "NCDHW")}


def data_format(x: Tensor, rank: int) -> str:
    """Names of the dimensions of ``x``, which has ``rank`` spatial ones; raises `Unsure` where it has other ones."""
    extra = x.dim() - rank
    if extra not in (1, 2):
        raise Unsure
    return _FORMATS[rank][extra - 1]


def check_image(t: Tracer, x: Tensor) -> None:
    """Raise `Unsure` for integers and for a tensor without elements."""
    if t.forced is None and (x.dtype not in FLOATS or 0 in x.shape):
        raise Unsure


def new_image(
    t: Tracer, rank: int, x: Tensor, shape: Sequence[int], dtype: torch.dtype, volumes: bool = False
) -> Tensor:
    """A result that is channels last where ``x`` is, as ATen's kernels for a batch of images have it; else contiguous.

    ``volumes`` says that the kernel for volumes does the same.
    A signal is to torch an image of height 1. Raises `Unsure` where a size of 1 leaves the memory order of ``x`` open.
    """
    if t.forced is not None:
        return t.forced.pop(0)
    if is_regular(x):
        return t.new(shape, dtype)
    if x.is_contiguous():
        raise Unsure
    if len(shape) == rank + 1 or (rank == 3 and not volumes):
        return t.new(shape, dtype)
    if rank == 1:
        order = suggested_format(torch.Tensor.unsqueeze(x, -2))
        batch, channel, _, position = format_strides((*shape[:2], 1, shape[2]), order)
        return t.new_strided(shape, (batch, channel, position), dtype)
    if x.shape[1] == 1:
        raise Unsure
    return t.new_strided(shape, format_strides(shape, suggested_format(x)), dtype)


def counts(value: Any, rank: int) -> tuple[int, ...]:
    """One integer for each spatial dimension, given as one for all or one for each; raises `Unsure` otherwise."""
    numbers = as_tuple(value, rank)
    if len(numbers) != rank or any(type(n) is not int for n in numbers):
        raise Unsure
    return numbers


def resized(x: Tensor, rank: int, spatial: Sequence[int]) -> tuple[int, ...]:
    """The shape of ``x`` with other spatial sizes."""
    return (*x.shape[:-rank], *spatial)
