"""Convolution and deconvolution; the batch norm that merges into one is folded into its weight and bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.layouts import conv_transpose_weight, conv_weight
from multiprof_benchmark.lower.reading import NotLoweredError, ints, pairs_of
from multiprof_benchmark.lower.tflite.images import SAME, VALID, Images, image_shape, padding
from multiprof_benchmark.lower.tflite.images import same_pairs as same
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


def weights(b: Builder, layer: Layer, weight: Any, channels: int) -> tuple[Any, Any]:
    """Weight (its first dimension the output channels) and bias, with the norm behind the layer folded in."""
    bias = layer.inputs.get("bias")
    shift = np.zeros(channels, np.float32) if bias is None else b.array(bias).reshape(-1).astype(np.float32)
    norm = b.norms.get(layer.name)
    if norm is not None:
        scale, offset = affine(b, norm, channels)
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        shift = shift * scale + offset
    return weight.astype(np.float32), shift.astype(np.float32)


def affine(b: Builder, norm: Layer, channels: int) -> tuple[Any, Any]:
    """What a batch norm multiplies each channel by, and adds."""

    def values(role: str, default: float) -> Any:
        spec = norm.inputs.get(role)
        return np.full(channels, default, np.float32) if spec is None else b.array(spec).reshape(-1).astype(np.float32)

    scale = values("weight", 1.0) / np.sqrt(values("var", 1.0) + np.float32(norm.attrs.get("eps", 1e-5)))
    return scale, values("bias", 0.0) - values("mean", 0.0) * scale


def _stored_weight(b: Builder, layer: Layer, order: tuple[tuple[int, ...], tuple[int, ...]]) -> Any:
    perm, shape = order
    if not b.is_weight(layer.inputs["weight"]):
        raise NotLoweredError("a convolution whose weight is computed")
    return b.array(layer.inputs["weight"]).transpose(perm).reshape(shape)


@rule("conv")
def conv(b: Builder, layer: Layer) -> None:
    a = layer.attrs
    rank = len(a["kernel_size"])
    images = Images(layer, rank)
    if a.get("padding_mode", "zeros") != "zeros":
        raise NotLoweredError(f"padding by {a['padding_mode']!r}")
    stride, dilation = ints(a.get("stride"), rank), ints(a.get("dilation"), rank)
    groups, channels = int(a["groups"]), int(a["out_channels"])
    weight = _stored_weight(b, layer, conv_weight(layer))  # (C_o, C_i/G, kernel …)
    weight, bias = weights(b, layer, weight, channels)
    x = images.read(b, layer.x)
    kernel = images.flat(a["kernel_size"])
    stride, dilation = images.flat(stride), images.flat(dilation)
    pairs = pairs_of(layer) if rank > 1 else ((0, 0), *pairs_of(layer))
    x, how = padding(b, x, pairs, x.shape[1:-1], kernel, stride, dilation, name=b.name(layer))
    y = b.temporary(image_shape(layer.y, images), x.dtype, _named(b, layer, images))
    if rank == 3:
        if groups > 1:
            raise NotLoweredError("a grouped convolution in three dimensions")
        stored = b.constant(np.moveaxis(weight, (0, 1), (4, 3)), f"{layer.name}/weight")
        b.emit("CONV_3D", [x, stored, b.constant(bias)], y, "Conv3DOptions", padding=how, strideD=stride[0],
               strideH=stride[1], strideW=stride[2], dilationDFactor=dilation[0], dilationHFactor=dilation[1],
               dilationWFactor=dilation[2], fusedActivationFunction=b.activation(layer))  # fmt: skip
        images.write(b, layer, y)
        return
    weight = weight.reshape(*weight.shape[:2], *kernel)
    common: dict[str, Any] = {
        "padding": how, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1], "fusedActivationFunction": b.activation(layer),
    }  # fmt: skip
    if groups > 1 and groups == int(a["in_channels"]):
        stored = b.constant(weight.transpose(1, 2, 3, 0), f"{layer.name}/weight")  # (1, k, k, C_o)
        b.emit("DEPTHWISE_CONV_2D", [x, stored, b.constant(bias)], y, "DepthwiseConv2DOptions", 2,
               depthMultiplier=channels // groups, **common)  # fmt: skip
    else:
        stored = b.constant(weight.transpose(0, 2, 3, 1), f"{layer.name}/weight")  # (C_o, k, k, C_i/G)
        b.emit("CONV_2D", [x, stored, b.constant(bias)], y, "Conv2DOptions", 2 if max(dilation) > 1 else 1, **common)
    images.write(b, layer, y)


def _named(b: Builder, layer: Layer, images: Images) -> str:
    return f"{b.name(layer)}_image" if images.rank == 1 else b.name(layer)


@rule("conv_transpose")
def conv_transpose(b: Builder, layer: Layer) -> None:
    """TRANSPOSE_CONV knows VALID and SAME; any other cropping is cut out of the full result.

    Beyond what the kernel reaches there is only the bias, which VALID writes too. An activation that leaves zeros as
    they are comes before the cropping.
    """
    a = layer.attrs
    rank = len(a["kernel_size"])
    images = Images(layer, rank)
    if rank == 3:
        raise NotLoweredError("a deconvolution in three dimensions")
    if any(d != 1 for d in ints(a.get("dilation"), rank)):
        raise NotLoweredError("a dilated deconvolution")
    groups, channels = int(a["groups"]), int(a["out_channels"])
    weight = _stored_weight(b, layer, conv_transpose_weight(layer))  # (C_i, C_o/G, kernel …)
    weight = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)  # (G, C_o/G, C_i/G, kernel …)
    weight, bias = weights(b, layer, weight.reshape(channels, *weight.shape[2:]), channels)
    kernel, stride = images.flat(a["kernel_size"]), images.flat(ints(a.get("stride"), rank))
    weight = weight.reshape(*weight.shape[:2], *kernel)
    x = images.read(b, layer.x)
    shape = image_shape(layer.y, images)
    before = tuple(lo for lo, _ in pairs_of(layer))
    before = (0, *before) if rank == 1 else before
    if min(before) < 0:
        raise NotLoweredError(f"a deconvolution that begins {before} elements before its kernel")
    full = tuple((n - 1) * s + k for n, s, k in zip(x.shape[1:3], stride, kernel, strict=True))
    made = shape[1:3]
    crops = tuple((lo, f - m - lo) for lo, f, m in zip(before, full, made, strict=True))
    is_same = tuple(-(-m // s) for m, s in zip(made, stride, strict=True)) == tuple(x.shape[1:3])
    pads = tuple((max(lo, 0), max(hi, 0)) for lo, hi in crops)
    is_same = is_same and pads == same(made, kernel, stride, (1, 1))
    inner = made if is_same else tuple(max(f, lo + m) for f, lo, m in zip(full, before, made, strict=True))
    pieces = []
    step = channels // groups
    for group, part in enumerate(_split(b, x, groups)):
        rows = slice(group * step, (group + 1) * step)
        stored = b.constant(weight[rows].transpose(0, 2, 3, 1), f"{layer.name}/weight")
        size = b.integers((shape[0], *inner, step))
        suffix = "" if groups == 1 and is_same and rank == 2 else "_part"
        y = b.temporary((shape[0], *inner, step), x.dtype, f"{b.name(layer)}{suffix}")
        operands: list[Value | int] = [size, stored, part, b.constant(bias[rows])]
        kind = b.activation(layer)
        b.emit("TRANSPOSE_CONV", operands, y, "TransposeConvOptions", 4 if kind else 3,
               padding=SAME if is_same else VALID, strideH=stride[0], strideW=stride[1],
               fusedActivationFunction=kind)  # fmt: skip
        pieces.append(y)
    y = pieces[0]
    if groups > 1:
        whole = b.temporary((shape[0], *inner, channels), x.dtype, f"{b.name(layer)}_joined")
        y = b.emit("CONCATENATION", pieces, whole, "ConcatenationOptions", axis=3)
    if not is_same:
        y = _cropped(b, y, before, made, b.name(layer))
    images.write(b, layer, y)


def _split(b: Builder, x: Value, groups: int) -> list[Value]:
    if groups == 1:
        return [x]
    each = (*x.shape[:3], x.shape[3] // groups)
    parts = [b.temporary(each, x.dtype, "group_part") for _ in range(groups)]
    axis = b.writer.constant(np.array(3, dtype=np.int32), "axis")
    b.writer.operator("SPLIT", [axis, x.number], [part.number for part in parts], "SplitOptions", numSplits=groups)
    return parts


def _cropped(b: Builder, y: Value, before: tuple[int, ...], made: tuple[int, ...], name: str) -> Value:
    """The part of an image that begins so far in and has the sizes made."""
    size = (y.shape[0], *made, y.shape[3])
    if size == y.shape:
        return y
    cut = b.temporary(size, y.dtype, f"{name}_cropped")
    return b.emit("SLICE", [y, b.integers((0, *before, 0)), b.integers(size)], cut, "SliceOptions")
