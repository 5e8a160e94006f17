"""Convolution and deconvolution of any rank; the result is contiguous, whatever the strides of the operands."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, as_tuple, same_dtype
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_FORMATS = {1: "NCL", 2: "NCHW", 3: "NCDHW"}
_UNBATCHED = {1: "CL", 2: "CHW", 3: "CDHW"}


def _attrs(
    rank: int, batched: bool, kernel: Any, stride: Any, pairs: Any, dilation: Any, groups: int, c_in: int, c_out: int
) -> dict[str, Any]:
    return {
        "kernel_size": kernel,
        "stride": stride,
        "padding": pairs,
        "dilation": dilation,
        "groups": groups,
        "in_channels": c_in,
        "out_channels": c_out,
        "data_format": (_FORMATS if batched else _UNBATCHED)[rank],
    }


def _convolve(
    t: Tracer, rank: int, x: Tensor, w: Tensor, b: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    if not same_dtype(t, x, w, b) or w.dim() != rank + 2:
        return NotImplemented
    batched = x.dim() == rank + 2
    if not batched and x.dim() != rank + 1:
        return NotImplemented
    xs, ws = tuple(x.shape), tuple(w.shape)
    c_in, c_out, kernel = xs[-rank - 1], ws[0], ws[2:]
    stride, dilation = as_tuple(stride, rank), as_tuple(dilation, rank)
    if groups < 1 or c_in != ws[1] * groups or c_out % groups or (b is not None and tuple(b.shape) != (c_out,)):
        return NotImplemented
    if padding == "valid":
        padding = 0
    if padding == "same":
        if any(s != 1 for s in stride):
            return NotImplemented
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pairs = tuple([(p // 2, p - p // 2) for p in totals])
    else:
        pairs = tuple([(p, p) for p in as_tuple(padding, rank)])
    if not len(stride) == len(dilation) == len(pairs) == rank or 0 in xs or 0 in ws:
        return NotImplemented
    out = []
    for n, (lo, hi), d, k, s in zip(xs[-rank:], pairs, dilation, kernel, stride, strict=True):
        if s < 1 or d < 1 or lo < 0:
            return NotImplemented
        size = (n + lo + hi - d * (k - 1) - 1) // s + 1
        if size < 1:
            return NotImplemented
        out.append(size)
    y = t.new((xs[0], c_out, *out) if batched else (c_out, *out), x.dtype)
    t.emit(
        "conv",
        {"x": x, "weight": w, "bias": b},
        {"y": y},
        _attrs(rank, batched, kernel, stride, pairs, dilation, groups, c_in, c_out),
    )
    return y


def _deconvolve(
    t: Tracer,
    rank: int,
    x: Tensor,
    w: Tensor,
    b: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    if not same_dtype(t, x, w, b) or w.dim() != rank + 2:
        return NotImplemented
    batched = x.dim() == rank + 2
    if not batched and x.dim() != rank + 1:
        return NotImplemented
    xs, ws = tuple(x.shape), tuple(w.shape)
    c_in, kernel = xs[-rank - 1], ws[2:]
    c_out = ws[1] * groups
    stride, dilation = as_tuple(stride, rank), as_tuple(dilation, rank)
    pads, extra = as_tuple(padding, rank), as_tuple(output_padding, rank)
    if groups < 1 or c_in != ws[0] or c_in % groups or (b is not None and tuple(b.shape) != (c_out,)):
        return NotImplemented
    if not len(stride) == len(dilation) == len(pads) == len(extra) == rank:
        return NotImplemented
    if min(stride) < 1 or min(dilation) < 1 or min(pads) < 0 or min(extra) < 0:
        return NotImplemented
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation, strict=True)):
        return NotImplemented
    out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(xs[-rank:], stride, pads, dilation, kernel, extra, strict=True)
    )
    if min(out, default=1) < 1 or 0 in xs or 0 in ws:
        return NotImplemented
    y = t.new((xs[0], c_out, *out) if batched else (c_out, *out), x.dtype)
    attrs = _attrs(rank, batched, kernel, stride, tuple((p, p) for p in pads), dilation, groups, c_in, c_out)
    attrs["output_padding"] = extra
    t.emit("conv_transpose", {"x": x, "weight": w, "bias": b}, {"y": y}, attrs)
    return y


@rule("torch.conv1d")
def conv1d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return _convolve(t, 1, input, weight, bias, stride, padding, dilation, groups)


@rule("torch.conv2d")
def conv2d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return _convolve(t, 2, input, weight, bias, stride, padding, dilation, groups)


@rule("torch.conv3d")
def conv3d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    return _convolve(t, 3, input, weight, bias, stride, padding, dilation, groups)


@rule("torch.conv_transpose1d")
def conv_transpose1d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    return _deconvolve(t, 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@rule("torch.conv_transpose2d")
def conv_transpose2d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    return _deconvolve(t, 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@rule("torch.conv_transpose3d")
def conv_transpose3d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    return _deconvolve(t, 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@rule("torch.convolution", aten=("convolution", "_convolution"))
def convolution(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_flags: Any,
) -> Any:
    rank = weight.dim() - 2
    if rank not in _FORMATS:
        return NotImplemented
    if transposed:
        return _deconvolve(t, rank, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return _convolve(t, rank, input, weight, bias, stride, padding, dilation, groups)


@rule(aten="conv_tbc")
def time_batch_channels(t: Tracer, self: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Any:
    """A convolution of (T, N, C) with (K, C_i, C_o); torch's own kernel gives the result."""
    y = t.new((), self.dtype)
    kernel, c_in, c_out = weight.shape
    attrs = _attrs(1, True, (kernel,), (1,), ((pad, pad),), (1,), 1, c_in, c_out) | {"data_format": "LNC"}
    t.emit("conv", {"x": self, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y
