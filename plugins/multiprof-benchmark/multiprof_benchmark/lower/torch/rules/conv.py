"""Convolution and deconvolution in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.layouts import conv_transpose_weight, conv_weight
from multiprof_benchmark.lower.reading import NotLoweredError, ints, pairs_of, shape_of
from multiprof_benchmark.lower.torch.rules._images import Images, padder
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule

_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_DECONV: dict[int, Callable[..., Tensor]] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_PAD_MODES = {"reflect": "reflect", "replicate": "replicate", "edge": "replicate", "circular": "circular"}


def _rank(layer: Layer) -> int:
    rank = len(layer.attrs["kernel_size"])
    if rank not in _CONV:
        raise NotLoweredError(f"torch has no convolution in {rank} dimensions")
    return rank


def _two_dimensional(images: Images, rank: int) -> bool:
    """A sequence with its channels last is an image of height 1 whose channels are last, which needs no copy."""
    return rank == 1 and images.last and images.batched


@rule("conv")
def conv(layer: Layer, context: Context) -> Kernel:
    rank = _rank(layer)
    a, images = layer.attrs, Images(layer, rank)
    perm, wanted = conv_weight(layer)
    stride, dilation, groups = ints(a.get("stride"), rank), ints(a.get("dilation"), rank), a["groups"]
    pairs = pairs_of(layer)
    mode = a.get("padding_mode", "zeros")
    symmetric = mode == "zeros" and all(lo == hi >= 0 for lo, hi in pairs)
    padding: tuple[int, ...] = tuple(lo for lo, _ in pairs) if symmetric else (0,) * rank
    pad = None if symmetric else _padder(mode, pairs)
    if _two_dimensional(images, rank):
        sequence = Images(layer, 1)
        stride, dilation, padding = (1, *stride), (1, *dilation), (0, *padding)

        def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            x = sequence.first(x)
            if pad is not None:
                x = pad(x)
            y = F.conv2d(x.unsqueeze(2), weight, bias, stride, padding, dilation, groups)
            return sequence.back(y.squeeze(2))

        def lay(w: Tensor) -> Tensor:
            return w.permute(perm).reshape(*wanted[:2], 1, *wanted[2:]).contiguous(memory_format=torch.channels_last)

        return Kernel(run, {"weight": lay}, rescale=_rescale_first)
    function = _CONV[rank]

    def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        x = images.first(x)
        if pad is not None:
            x = pad(x)
        return images.back(function(x, weight, bias, stride, padding, dilation, groups))

    if images.plain and images.batched and pad is None:

        def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            return function(x, weight, bias, stride, padding, dilation, groups)

    return Kernel(convolve, {"weight": images.weight(perm, wanted)}, rescale=_rescale_first)


def _padder(mode: str, pairs: Sequence[tuple[int, int]]) -> Callable[[Tensor], Tensor]:
    if mode == "zeros":
        return padder(pairs)
    if mode not in _PAD_MODES:
        raise NotLoweredError(f"padding by {mode!r}")
    flat = [n for pair in reversed(pairs) for n in pair]
    return lambda x: F.pad(x, flat, mode=_PAD_MODES[mode])


def _rescale_first(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Fold a norm into a weight whose first dimension are the output channels."""
    scaled = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return scaled, shift if bias is None else bias * scale + shift


def _rescale_grouped(groups: int) -> Any:
    def rescale(weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Fold a norm into (C_i, C_o/G, kernel …), whose output channels count on from group to group."""
        apart = weight.reshape(groups, -1, *weight.shape[1:])
        scaled = apart * scale.reshape(groups, 1, -1, *[1] * (weight.dim() - 2))
        return scaled.reshape(weight.shape), shift if bias is None else bias * scale + shift

    return rescale


@rule("conv_transpose")
def conv_transpose(layer: Layer, context: Context) -> Kernel:
    """What is cropped differently at both ends, or more than torch's output_padding can say, is cut out of the full
    result; where the result reaches beyond that, there is the bias alone."""
    rank = _rank(layer)
    a, images = layer.attrs, Images(layer, rank)
    perm, wanted = conv_transpose_weight(layer)
    stride, dilation, groups = ints(a.get("stride"), rank), ints(a.get("dilation"), rank), a["groups"]
    kernel = a["kernel_size"]
    given, made = images.sizes(shape_of(layer.x)), images.sizes(shape_of(layer.y))
    pairs = pairs_of(layer)
    full = tuple((n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(given, stride, dilation, kernel, strict=True))
    before = tuple(lo for lo, _ in pairs)
    extra = tuple(m - (f - 2 * lo) for m, f, lo in zip(made, full, before, strict=True))
    direct = all(lo >= 0 and 0 <= e < max(s, d) for lo, e, s, d in zip(before, extra, stride, dilation, strict=True))
    function = _DECONV[rank]
    window = padder([(-lo, lo + m - f) for lo, m, f in zip(before, made, full, strict=True)])

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        x = images.first(x)
        if direct:
            y = function(x, weight, bias, stride, before, extra, groups, dilation)
        else:
            y = window(function(x, weight, None, stride, 0, 0, groups, dilation))
            if bias is not None:
                y = y + bias.reshape(-1, *[1] * rank)
        return images.back(y)

    return Kernel(run, {"weight": images.weight(perm, wanted)}, rescale=_rescale_grouped(groups))
