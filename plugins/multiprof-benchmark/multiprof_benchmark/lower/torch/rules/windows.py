"""Padding, windows as columns, and channels moved into space or back."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, ints, pairs_of, shape_of
from multiprof_benchmark.lower.torch.rules._images import padder
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule


@rule("pad")
def pad(layer: Layer, context: Context) -> Kernel:
    """By a value, or by elements picked along each axis."""
    a, x, y = layer.attrs, shape_of(layer.x), shape_of(layer.y)
    pairs = a.get("padding")
    notes: tuple[str, ...] = ()
    if pairs is None or len(pairs) != len(x) or any(p is None or None in p for p in pairs):
        pairs, notes = tuple((0, m - n) for n, m in zip(x, y, strict=True)), ("all padding is behind",)
    mode = a.get("mode") or "constant"
    if mode == "constant":
        value = a.get("value")
        spread = [y[i] - n - lo - hi for i, (n, (lo, hi)) in enumerate(zip(x, pairs, strict=True))]
        if any(spread):  # zeros between the elements as well
            return Kernel(_between(x, y, pairs), notes=notes)
        fill = padder(pairs, 0.0 if value is None else value)
        return Kernel(lambda x: fill(x), notes=notes)
    fixed = {
        f"axis{i}": _places(n, lo, hi, mode) for i, (n, (lo, hi)) in enumerate(zip(x, pairs, strict=True)) if lo or hi
    }

    def run(x: Tensor, **places: Tensor) -> Tensor:
        for name, index in places.items():
            x = x.index_select(int(name[4:]), index)
        return x

    return Kernel(run, fixed=fixed, notes=notes)


def _between(x: tuple[int, ...], y: tuple[int, ...], pairs: tuple[tuple[int, int], ...]):  # type: ignore[no-untyped-def]
    steps = [(m - lo - hi - 1) // max(n - 1, 1) for n, m, (lo, hi) in zip(x, y, pairs, strict=True)]
    places = tuple(slice(lo, m - hi, max(s, 1)) for m, (lo, hi), s in zip(y, pairs, steps, strict=True))

    def run(x: Tensor) -> Tensor:
        made = x.new_zeros(y)
        made[places] = x
        return made

    return run


def _places(n: int, lo: int, hi: int, mode: str) -> Tensor:
    """Which element stands at each place of a padded axis."""
    at = torch.arange(-lo, n + hi)
    if mode in ("replicate", "edge"):
        return at.clamp(0, n - 1)
    if mode in ("circular", "wrap"):
        return at.remainder(n)
    if mode == "reflect":
        period = max(2 * (n - 1), 1)
        folded = at.remainder(period)
        return torch.minimum(folded, (period - folded).remainder(period)).clamp(0, n - 1)
    if mode == "symmetric":
        folded = at.remainder(2 * n)
        return torch.minimum(folded, 2 * n - 1 - folded)
    raise NotLoweredError(f"padding by {mode!r}")


@rule("unfold")
def unfold(layer: Layer, context: Context) -> Kernel:
    a, x, y = layer.attrs, shape_of(layer.x), shape_of(layer.y)
    kernel = tuple(a["kernel_size"])
    if a.get("axis") is not None and len(kernel) == 1:
        axis, size, step = int(a["axis"]), kernel[0], ints(a.get("stride"), 1)[0]
        frames = (x[axis] - size) // step + 1
        before, after = (pairs_of(layer)[0]) if a.get("padding") else (0, 0)

        def windows(x: Tensor) -> Tensor:
            if before or after:
                x = F.pad(x.movedim(axis, -1), (before, after)).movedim(-1, axis)
            return x.unfold(axis, size, step).reshape(y)

        if frames * size == 0:
            raise NotLoweredError(f"windows of {size} over {x[axis]}")
        return Kernel(windows)
    if len(kernel) != 2 or len(x) not in (3, 4):
        return _windows(layer, kernel, x, y)
    pairs = pairs_of(layer)
    stride, dilation = ints(a.get("stride"), 2), ints(a.get("dilation"), 2)
    if len(y) == len(x) - 1 + (len(x) == 3) and y[-2] == x[-3] * prod(kernel):
        fill = padder(pairs)
        return Kernel(lambda x: F.unfold(fill(x), kernel, dilation, 0, stride).reshape(y))
    return _windows(layer, kernel, x, y)


def _windows(layer: Layer, kernel: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]) -> Kernel:
    """Windows over NHWC: (N, H', W', …) with all of a window's elements at the end."""
    a = layer.attrs
    rank = len(kernel)
    stride = ints(a.get("stride"), rank)
    axes = [i for i in range(len(x)) if len(x) - rank - (len(x) > rank + 1) <= i < len(x)][:rank]
    if len(x) == rank + 2:
        axes = list(range(1, rank + 1))
    elif len(x) == rank:
        axes = list(range(rank))
    dilation = ints(a.get("dilation"), rank)
    if any(d != 1 for d in dilation):
        raise NotLoweredError("dilated windows in this order")
    frames = [y[axis] for axis in axes] if len(y) > max(axes) else []
    extra = [max((m - 1) * s + k - x[axis], 0) for m, s, k, axis in zip(frames, stride, kernel, axes, strict=True)]
    pairs = [(0, 0)] * len(x)
    for axis, n in zip(axes, extra, strict=True):
        pairs[axis] = (n // 2, n - n // 2)
    fill = padder(pairs)

    def run(x: Tensor) -> Tensor:
        x = fill(x)
        for axis, k, s in zip(axes, kernel, stride, strict=True):
            x = x.unfold(axis, k, s)
        return x.reshape(y)

    return Kernel(run)


@rule("fold")
def fold(layer: Layer, context: Context) -> Kernel:
    a, y = layer.attrs, shape_of(layer.y)
    kernel = tuple(a["kernel_size"])
    if len(kernel) != 2 or len(y) not in (3, 4):
        raise NotLoweredError(f"columns of {len(kernel)} dimensions")
    pairs, stride, dilation = pairs_of(layer), ints(a.get("stride"), 2), ints(a.get("dilation"), 2)
    if any(lo != hi for lo, hi in pairs):
        raise NotLoweredError(f"columns padded by {pairs}")
    padding = tuple(lo for lo, _ in pairs)
    return Kernel(lambda x: F.fold(x, y[-2:], kernel, dilation, padding, stride).reshape(y))


def _is_last(shape: tuple[int, ...], other: tuple[int, ...], area: int) -> bool:
    """Whether channels, of which one of the shapes has ``area`` times as many, stand last."""
    return len(shape) == 4 and (shape[3] * area == other[3] or other[3] * area == shape[3])


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(layer: Layer, context: Context) -> Kernel:
    factor, x, y = int(layer.attrs["factor"]), shape_of(layer.x), shape_of(layer.y)
    function = F.pixel_shuffle if layer.op == "pixel_shuffle" else F.pixel_unshuffle
    last = _is_last(x, y, factor * factor) and x[1] != y[1] * (factor**2 if layer.op == "pixel_shuffle" else 1)
    first = x[-3] == y[-3] * factor**2 or y[-3] == x[-3] * factor**2
    if last and not (first and layer.attrs.get("data_format", "NCHW").startswith("NC")):
        return Kernel(lambda x: function(x.movedim(-1, 1), factor).movedim(1, -1).contiguous())
    return Kernel(lambda x: function(x, factor))


@rule("channel_shuffle")
def channel_shuffle(layer: Layer, context: Context) -> Kernel:
    groups = int(layer.attrs["groups"])
    return Kernel(lambda x: F.channel_shuffle(x, groups))
