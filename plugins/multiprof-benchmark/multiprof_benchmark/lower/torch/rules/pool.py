"""Pooling: over windows, and over windows that tile the input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, ints, pairs_of, shape_of
from multiprof_benchmark.lower.torch.rules._images import Images, padder
from multiprof_benchmark.lower.torch.table import DTYPES, Context, Kernel, Tensor, rule

_MAX: dict[int, Callable[..., Any]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG: dict[int, Callable[..., Any]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_LP: dict[int, Callable[..., Any]] = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
_ADAPTIVE_AVG: dict[int, Callable[..., Any]] = {
    1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d,
}  # fmt: skip
_ADAPTIVE_MAX: dict[int, Callable[..., Any]] = {
    1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d,
}  # fmt: skip


class _Window:
    """Windows over an image. ``native``: torch's own padding and rounding give the result's size; else the input is
    padded (or cropped) by ``pairs`` so that windows without any padding do."""

    def __init__(self, layer: Layer) -> None:
        a = layer.attrs
        self.rank = len(a["kernel_size"])
        if self.rank not in _MAX:
            raise NotLoweredError(f"torch has no pooling in {self.rank} dimensions")
        self.images = Images(layer, self.rank)
        self.kernel, self.stride = tuple(a["kernel_size"]), ints(a.get("stride") or a["kernel_size"], self.rank)
        self.dilation, self.ceil = ints(a.get("dilation"), self.rank), bool(a.get("ceil_mode"))
        given, made = self.images.sizes(shape_of(layer.x)), self.images.sizes(shape_of(layer.y))
        pairs = pairs_of(layer)
        self.before = tuple(lo for lo, _ in pairs)
        self.native = all(lo == hi and 0 <= 2 * lo <= k for (lo, hi), k in zip(pairs, self.kernel, strict=True))
        self.native = self.native and made == tuple(
            _size(n, k, s, p, d, self.ceil)
            for n, k, s, p, d in zip(given, self.kernel, self.stride, self.before, self.dilation, strict=True)
        )
        reach = [
            (m - 1) * s + d * (k - 1) + 1
            for m, s, d, k in zip(made, self.stride, self.dilation, self.kernel, strict=True)
        ]
        self.pairs = [(lo, r - n - lo) for lo, r, n in zip(self.before, reach, given, strict=True)]
        # How far the input and its declared padding reach: beyond that no window counts elements.
        self.declared = [(lo, min(hi, r - n - lo)) for (lo, hi), r, n in zip(pairs, reach, given, strict=True)]
        self.given = given


def _size(n: int, k: int, s: int, p: int, d: int, ceil: bool) -> int:
    """at::native::pooling_output_shape"""
    out = (n + 2 * p - d * (k - 1) - 1 + (s - 1 if ceil else 0)) // s + 1
    return out - 1 if ceil and (out - 1) * s >= n + p else out


@rule("max_pool")
def max_pool(layer: Layer, context: Context) -> Kernel:
    w = _Window(layer)
    function, images = _MAX[w.rank], w.images
    lowest = float("-inf") if "float" in layer.x.dtype else torch.iinfo(DTYPES[layer.x.dtype]).min
    pad = None if w.native else padder(w.pairs, lowest)
    padding, ceil = (w.before, w.ceil) if w.native else (0, False)
    places = layer.outputs.get("indices")
    if places is None:

        def run(x: Tensor) -> Tensor:
            return function(x if pad is None else pad(x), w.kernel, w.stride, padding, w.dilation, ceil)  # type: ignore[no-any-return]

        return Kernel(images.wrap(run))
    kind = context.type_of(places)

    def with_indices(x: Tensor) -> tuple[Tensor, Tensor]:
        x = images.first(x)
        y, found = function(
            x if pad is None else pad(x), w.kernel, w.stride, padding, w.dilation, ceil, return_indices=True
        )
        return images.back(y), images.back(found).to(kind)

    return Kernel(with_indices)


@rule("avg_pool")
def avg_pool(layer: Layer, context: Context) -> Kernel:
    """Where torch's own padding does not say it, the sum over each window times one over what it counts."""
    w = _Window(layer)
    a = layer.attrs
    if any(d != 1 for d in w.dilation):
        raise NotLoweredError("a mean over dilated windows")
    include, divisor = bool(a.get("count_include_pad")), a.get("divisor")
    function, images = _AVG[w.rank], w.images
    extra = (divisor,) if divisor is not None and w.rank > 1 else ()
    if w.native and (divisor is None or w.rank > 1):
        return Kernel(images.wrap(lambda x: function(x, w.kernel, w.stride, w.before, w.ceil, include, *extra)))
    pad = padder(w.pairs)
    dtype = context.type_of(layer.x)
    ones = torch.ones(1, 1, *w.given)
    counted = padder(w.declared, 1.0)(ones) if include else ones
    rest = [(p[0] - d[0], p[1] - d[1]) for p, d in zip(w.pairs, w.declared, strict=True)]
    counted = padder(rest)(counted) if include else pad(counted)
    share = 1 / (function(counted, w.kernel, w.stride).clamp_min(1e-9))
    if divisor is not None:
        size = 1
        for k in w.kernel:
            size *= k
        share = torch.full_like(share, size / divisor)

    def run(x: Tensor, share: Tensor) -> Tensor:
        return images.back(function(pad(images.first(x)), w.kernel, w.stride) * share)

    return Kernel(run, fixed={"share": share.to(dtype)})


@rule("lp_pool")
def lp_pool(layer: Layer, context: Context) -> Kernel:
    w = _Window(layer)
    p, function = float(layer.attrs["p"]), _LP[w.rank]
    pad = padder(w.pairs)
    if w.native and not any(w.before):
        return Kernel(w.images.wrap(lambda x: function(x, p, w.kernel, w.stride, w.ceil)))
    return Kernel(w.images.wrap(lambda x: function(pad(x), p, w.kernel, w.stride)))


@rule("adaptive_avg_pool", "adaptive_max_pool")
def adaptive(layer: Layer, context: Context) -> Kernel:
    size = tuple(layer.attrs["output_size"])
    rank = len(size)
    if rank not in _MAX:
        raise NotLoweredError(f"torch has no pooling in {rank} dimensions")
    images = Images(layer, rank)
    if layer.op == "adaptive_avg_pool":
        return Kernel(images.wrap(lambda x: _ADAPTIVE_AVG[rank](x, size)))
    function = _ADAPTIVE_MAX[rank]
    places = layer.outputs.get("indices")
    if places is None:
        return Kernel(images.wrap(lambda x: function(x, size)))
    kind = context.type_of(places)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        y, found = function(images.first(x), size, return_indices=True)
        return images.back(y), images.back(found).to(kind)

    return Kernel(run)
