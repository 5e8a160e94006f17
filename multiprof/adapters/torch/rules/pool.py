"""Pooling over windows: maximum, mean, p-norm."""

from __future__ import annotations

from math import isinf
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, is_regular
from multiprof.adapters.torch.rules._images import check_image, counts, data_format, new_image, resized
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer


def _window(
    t: Tracer, rank: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Shape of the result and attributes, by at::native::pooling_output_shape; raises `Unsure` where it would raise."""
    layout = data_format(x, rank)
    check_image(t, x)
    kernel = counts(kernel, rank)
    stride = kernel if stride is None or (not isinstance(stride, int) and not len(stride)) else counts(stride, rank)
    padding, dilation = counts(padding, rank), counts(dilation, rank)
    spatial = []
    for n, k, s, p, d in zip(x.shape[-rank:], kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1)
        if k < 1 or s < 1 or d < 1 or p < 0 or 2 * p > k:
            raise Unsure
        out = (n + 2 * p - reach - 1 + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (out - 1) * s >= n + p:
            out -= 1  # the last window has to start inside the input or its left padding
        if out < 1:
            raise Unsure
        spatial.append(out)
    attrs = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": tuple([(p, p) for p in padding]),
        "dilation": dilation,
        "ceil_mode": bool(ceil_mode),
        "data_format": layout,
    }
    return resized(x, rank, spatial), attrs


# -- maximum ----------------------------------------------------------------------------------------------------------


def _max_pool(rank: int, with_indices: bool) -> Rule:
    def apply(
        t: Tracer,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = with_indices,
    ) -> Any:
        shape, attrs = _window(t, rank, input, kernel_size, stride, padding, dilation, ceil_mode)
        y = new_image(t, rank, input, shape, input.dtype, volumes=True)
        outputs = {"y": y}
        if with_indices or return_indices:
            outputs["indices"] = new_image(t, rank, input, shape, torch.int64, volumes=True)
        t.emit("max_pool", {"x": input}, outputs, attrs)
        return tuple(outputs.values()) if len(outputs) > 1 else y

    return apply


# -- mean -------------------------------------------------------------------------------------------------------------


def _check_room(rank: int, x: Tensor, kernel: tuple[int, ...]) -> None:
    """A mean over volumes refuses a window larger than the input, though padding or rounding up would make room."""
    if rank == 3 and any(n < k for n, k in zip(x.shape[-3:], kernel, strict=True)):
        raise Unsure


def _avg_pool(
    t: Tracer,
    rank: int,
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    if divisor == 0:
        raise Unsure
    shape, attrs = _window(t, rank, x, kernel, stride, padding, 1, ceil_mode)
    _check_room(rank, x, attrs["kernel_size"])
    attrs["count_include_pad"] = bool(count_include_pad)
    attrs["divisor"] = divisor
    y = new_image(t, rank, x, shape, x.dtype)
    t.emit("avg_pool", {"x": x}, {"y": y}, attrs)
    return y


@rule("torch.avg_pool1d", aten="avg_pool1d")
def avg_pool1d(
    t: Tracer,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    return _avg_pool(t, 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def _avg_pool_with_divisor(rank: int) -> Rule:
    def apply(
        t: Tracer,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        return _avg_pool(t, rank, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    return apply


# -- p-norm -----------------------------------------------------------------------------------------------------------


def _lp_pool(rank: int) -> Rule:
    def apply(
        t: Tracer, input: Tensor, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Any:
        """One layer for the powers, the mean and the root of which torch makes it, or for the maximum of |x|."""
        if type(norm_type) not in (int, float) or not norm_type or not is_regular(input):
            return NotImplemented
        finite = not isinf(norm_type)
        if type(kernel_size) is not int and (len(kernel_size) != rank or (rank == 1 and finite)):
            return NotImplemented  # torch's own code unpacks it, or multiplies by it
        shape, attrs = _window(t, rank, input, kernel_size, stride, 0, 1, ceil_mode)
        if finite:
            _check_room(rank, input, attrs["kernel_size"])
        attrs["p"] = norm_type
        y = t.new(shape, input.dtype)
        t.emit("lp_pool", {"x": input}, {"y": y}, attrs)
        return y

    return apply


for _rank in (1, 2, 3):
    _name = f"max_pool{_rank}d"
    rule(f"F.{_name}", f"torch.{_name}", aten=_name)(_max_pool(_rank, False))
    _name = f"max_pool{_rank}d_with_indices"
    rule(f"F.{_name}", f"torch.{_name}", f"nn.{_name}", aten=_name)(_max_pool(_rank, True))
    rule(f"F.lp_pool{_rank}d")(_lp_pool(_rank))
for _rank in (2, 3):
    rule(f"nn.avg_pool{_rank}d", aten=f"avg_pool{_rank}d")(_avg_pool_with_divisor(_rank))


# -- maximum over windows at places drawn by chance: torch's own kernels give the results ------------------------------


def _fractional(rank: int) -> Rule:
    def apply(t: Tracer, self: Tensor, kernel_size: Any, output_size: Any, random_samples: Tensor) -> Any:
        y, indices = t.new((), self.dtype), t.new((), torch.int64)
        attrs = {
            "kernel_size": counts(kernel_size, rank),
            "fractional": True,
            "data_format": data_format(self, rank),
        }
        t.emit("max_pool", {"x": self}, {"y": y, "indices": indices}, attrs)
        return y, indices

    return apply


for _rank in (2, 3):
    rule(aten=f"fractional_max_pool{_rank}d")(_fractional(_rank))
