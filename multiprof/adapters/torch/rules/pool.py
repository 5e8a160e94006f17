"""Pooling: maximum, mean and p-norm over windows, and over windows that tile the input."""

from __future__ import annotations

from math import inf
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, as_tuple, is_canonical, plain
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_BATCHED = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
_UNBATCHED = {1: "CL", 2: "CHW", 3: "CDHW"}
_FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))
_LONG = torch.int64


def _format(t: Tracer, rank: int, x: Tensor) -> str:
    """The data format; an empty string where torch shall answer."""
    shape = x.shape
    if len(shape) == rank + 2:
        order = _BATCHED[rank]
    elif len(shape) == rank + 1:
        order = _UNBATCHED[rank]
    else:
        return ""
    if t.forced is not None:
        return order
    return order if x.dtype in _FLOATS and 0 not in shape and plain(t, x) and is_canonical(x) else ""


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    """One integer per dimension; raises where torch would."""
    sizes = as_tuple(value, rank)
    if len(sizes) != rank:
        raise ValueError(value)
    return sizes


def window_output(n: int, k: int, stride: int, pad: int, dilation: int, ceil_mode: bool) -> int:
    """Windows along an axis of ``n``; with ``ceil_mode`` the last one starts inside the input or its left padding.

    Source: ``pooling_output_shape`` in ATen/native/Pool.h.
    """
    room = n + 2 * pad - dilation * (k - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    out = (room + stride - 1) // stride + 1
    return out - 1 if (out - 1) * stride >= n + pad else out


def _window(
    t: Tracer, rank: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], dict[str, Any]] | None:
    """Shape of the result and attributes; ``None`` where torch shall answer."""
    order = _format(t, rank, x)
    if not order:
        return None
    kernel = _sizes(kernel, rank)
    stride = kernel if stride is None or stride == [] or stride == () else _sizes(stride, rank)
    padding, dilation = _sizes(padding, rank), _sizes(dilation, rank)
    shape = x.shape
    out = []
    for n, k, s, p, d in zip(shape[-rank:], kernel, stride, padding, dilation, strict=True):
        if k < 1 or s < 1 or d < 1 or not 0 <= 2 * p <= k:
            return None
        size = window_output(n, k, s, p, d, ceil_mode)
        if size < 1:
            return None
        out.append(size)
    attrs = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": tuple((p, p) for p in padding),
        "dilation": dilation,
        "data_format": order,
        "ceil_mode": bool(ceil_mode),
    }
    return (*shape[:-rank], *out), attrs


def _max(
    t: Tracer,
    rank: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    indices: bool,
) -> Any:
    made = _window(t, rank, x, kernel, stride, padding, dilation, ceil_mode)
    if made is None:
        return NotImplemented
    shape, attrs = made
    y = t.new(shape, x.dtype)
    if not indices:
        t.emit("max_pool", {"x": x}, {"y": y}, attrs)
        return y
    places = t.new(shape, _LONG)
    t.emit("max_pool", {"x": x}, {"y": y, "indices": places}, attrs)
    return y, places


def _too_large(rank: int, x: Tensor, kernel: tuple[int, ...]) -> bool:
    """In three dimensions torch refuses to average over windows that are larger than the input."""
    return rank == 3 and any(n < k for n, k in zip(x.shape[-3:], kernel, strict=True))


def _mean(
    t: Tracer,
    rank: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Any:
    made = _window(t, rank, x, kernel, stride, padding, 1, ceil_mode)
    if made is None or divisor == 0 or _too_large(rank, x, made[1]["kernel_size"]):
        return NotImplemented
    shape, attrs = made
    attrs["count_include_pad"] = bool(count_include_pad)
    attrs["divisor"] = divisor
    y = t.new(shape, x.dtype)
    t.emit("avg_pool", {"x": x}, {"y": y}, attrs)
    return y


def _p_norm(t: Tracer, rank: int, x: Tensor, p: Any, kernel: Any, stride: Any, ceil_mode: bool) -> Any:
    if not isinstance(p, (int, float)) or p == 0:
        return NotImplemented
    finite = abs(p) != inf  # else torch takes the maximum instead of the mean
    if not isinstance(kernel, int) and (len(kernel) != rank or (rank == 1 and finite)):
        return NotImplemented  # torch's Python code unpacks it, or multiplies by it
    made = _window(t, rank, x, kernel, stride, 0, 1, ceil_mode)
    if made is None or (finite and _too_large(rank, x, made[1]["kernel_size"])):
        return NotImplemented
    shape, attrs = made
    attrs["p"] = p
    y = t.new(shape, x.dtype)
    t.emit("lp_pool", {"x": x}, {"y": y}, attrs)
    return y


def _adaptive(t: Tracer, op: str, rank: int, x: Tensor, output_size: Any, indices: bool = False) -> Any:
    order = _format(t, rank, x)
    if not order:
        return NotImplemented
    shape = x.shape
    before = tuple(shape[-rank:])
    if isinstance(output_size, int):
        after = (output_size,) * rank
    elif rank == 1:
        after = _sizes(output_size, rank)
    else:
        after = tuple(n if size is None else size for n, size in zip(before, output_size, strict=True))
    if min(after) < 1 or len(after) != rank:
        return NotImplemented
    attrs = {"input_size": before, "output_size": after, "data_format": order}
    result = (*shape[:-rank], *after)
    y = t.new(result, x.dtype)
    if not indices:
        t.emit(op, {"x": x}, {"y": y}, attrs)
        return y
    places = t.new(result, _LONG)
    t.emit(op, {"x": x}, {"y": y, "indices": places}, attrs)
    return y, places


def _rules_for(rank: int) -> None:
    """The functions of one rank; they differ in nothing but that number."""

    @rule(f"F.max_pool{rank}d", f"torch.max_pool{rank}d", aten=f"max_pool{rank}d")
    def max_pool(
        t: Tracer,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return _max(t, rank, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

    @rule(
        f"F.max_pool{rank}d_with_indices",
        f"torch.max_pool{rank}d_with_indices",
        f"nn.max_pool{rank}d_with_indices",
        aten=f"max_pool{rank}d_with_indices",
    )
    def max_pool_with_indices(
        t: Tracer,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = True,
    ) -> Any:
        return _max(t, rank, input, kernel_size, stride, padding, dilation, ceil_mode, True)

    @rule(f"F.avg_pool{rank}d", aten=f"avg_pool{rank}d")
    def avg_pool(
        t: Tracer,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        if rank == 1 and divisor_override is not None:
            return NotImplemented
        return _mean(t, rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    @rule(f"F.lp_pool{rank}d")
    def lp_pool(
        t: Tracer, input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Any:
        return _p_norm(t, rank, input, norm_type, kernel_size, stride, ceil_mode)

    @rule(f"F.adaptive_avg_pool{rank}d", f"nn.adaptive_avg_pool{rank}d", aten=_averages(rank))
    def adaptive_avg_pool(t: Tracer, input: Tensor, output_size: Any) -> Any:
        return _adaptive(t, "adaptive_avg_pool", rank, input, output_size)

    @rule(f"F.adaptive_max_pool{rank}d")
    def adaptive_max_pool(t: Tracer, input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _adaptive(t, "adaptive_max_pool", rank, input, output_size, return_indices)

    @rule(
        f"F.adaptive_max_pool{rank}d_with_indices",
        f"torch.adaptive_max_pool{rank}d",
        f"nn.adaptive_max_pool{rank}d",
        aten=f"adaptive_max_pool{rank}d",
    )
    def adaptive_max_pool_with_indices(t: Tracer, input: Tensor, output_size: Any, return_indices: bool = True) -> Any:
        return _adaptive(t, "adaptive_max_pool", rank, input, output_size, True)


def _averages(rank: int) -> tuple[str, ...]:
    public = f"adaptive_avg_pool{rank}d"
    return (public,) if rank == 1 else (public, f"_{public}")


for _rank in (1, 2, 3):
    _rules_for(_rank)
