"""Convolution and deconvolution of any rank, convolution of sampled values, and correlation of two feature maps."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._primitives import sizes
from multiprof.formulas._sizes import size
from multiprof.formulas.sampling import interpolations
from multiprof.ir import Layer

_SOURCE = "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016"


def _conv_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; K: elements of the kernel; C_i: input channels; G: groups"""
    return {
        "|y|": layer.outputs["y"].numel,
        "K": prod(sizes(layer, "kernel_size")),
        "C_i": size(layer, "in_channels"),
        "G": size(layer, "groups"),
    }


@formula("conv", symbols=_conv_symbols, source=_SOURCE)
def conv(layer: Layer) -> Cost:
    """dot: |y|·K·C_i/G macs, |y| dots; bias: |y| adds

    Every output element is one dot product over a window of K elements in the C_i/G input channels of its group.
    Stride and dilation matter only through |y|; depthwise convolution is G = C_i. Padding counts as if computed.
    """
    y = layer.outputs["y"].numel
    macs = y * prod(sizes(layer, "kernel_size")) * size(layer, "in_channels") // size(layer, "groups")
    terms = {"dot": Counts(macs, y)}
    if "bias" in layer.inputs:
        terms["bias"] = Counts(adds=y)
    return Cost(terms)


def _conv_transpose_symbols(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; |y|: elements of y; K: elements of the kernel; C_o: output channels; G: groups"""
    return {
        "|x|": layer.inputs["x"].numel,
        "|y|": layer.outputs["y"].numel,
        "K": prod(sizes(layer, "kernel_size")),
        "C_o": size(layer, "out_channels"),
        "G": size(layer, "groups"),
    }


@formula("conv_transpose", symbols=_conv_transpose_symbols, source=_SOURCE)
def conv_transpose(layer: Layer) -> Cost:
    """dot: |x|·K·C_o/G macs, |y| dots; bias: |y| adds

    Every input element meets the K elements of the C_o/G filters of its group and is added into the uncropped output;
    cropping by the padding comes after and saves nothing. The stride spreads the same products over more output
    elements, so it is no factor. Each element of the (cropped) output is one dot product.
    """
    y = layer.outputs["y"].numel
    x = layer.inputs["x"].numel
    macs = x * prod(sizes(layer, "kernel_size")) * size(layer, "out_channels") // size(layer, "groups")
    terms = {"dot": Counts(macs, y)}
    if "bias" in layer.inputs:
        terms["bias"] = Counts(adds=y)
    return Cost(terms)


def _deform_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; |o|: offsets; K: elements of the kernel; C_i: input channels; G: groups; I: interpolations of
    a sample; V: values sampled, K in each input channel for every place of y
    """
    kernel, channels = sizes(layer, "kernel_size"), size(layer, "in_channels")
    y, made = layer.outputs["y"].numel, size(layer, "out_channels")
    return {
        "|y|": y,
        "|o|": layer.inputs["offset"].numel,
        "K": prod(kernel),
        "C_i": channels,
        "G": size(layer, "groups"),
        "I": interpolations(len(kernel)),
        "V": y // made * channels * prod(kernel) if made else 0,
    }


@formula("deform_conv", symbols=_deform_symbols, source="Dai et al. 2017; Zhu et al. 2019 for the mask")
def deform_conv(layer: Layer) -> Cost:
    """place: 2·|o| adds, |o| casts; sample: 2·I·V adds, I·V muls; mask: V muls; dot: |y|·K·C_i/G macs, |y| dots; bias: |y| adds

    An offset is added to its place, which is rounded and leaves a fraction. A value between 2^D neighbours takes
    I = 2^D − 1 interpolations a + t·(b − a); the mask multiplies it. The values then meet the weights as in ``conv``.
    """  # noqa: E501  # the mathematics is one line
    s = _deform_symbols(layer)
    y, offsets, values = s["|y|"], s["|o|"], s["V"]
    terms = {
        "place": Counts(adds=2 * offsets, casts=offsets),
        "sample": Counts(adds=2 * s["I"] * values, muls=s["I"] * values),
    }
    if "mask" in layer.inputs:
        terms["mask"] = Counts(muls=values)
    terms["dot"] = Counts(y * s["K"] * s["C_i"] // s["G"], y)
    if "bias" in layer.inputs:
        terms["bias"] = Counts(adds=y)
    return Cost(terms)


def _correlation_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; K: elements of a patch; C: channels"""
    return {
        "|y|": layer.outputs["y"].numel,
        "K": prod(sizes(layer, "kernel_size")),
        "C": size(layer, "channels"),
    }


@formula("correlation", symbols=_correlation_symbols, source="Dosovitskiy et al. 2015, FlowNet, equation (1)")
def correlation(layer: Layer) -> Cost:
    """dot: |y|·K·C macs, |y| dots; absolute: 2·|y|·K·C − |y| adds, |y|·K·C cmps; mean: |y| divs

    Every element of y compares a patch of x0 with a displaced one of x1, by a dot product over its K places and C
    channels, or by the sum of the absolute differences where ``multiply`` is false; and divides by their number.
    """
    s = _correlation_symbols(layer)
    y, work = s["|y|"], s["|y|"] * s["K"] * s["C"]
    if layer.attrs.get("multiply", True):
        terms = {"dot": Counts(work, y)}
    else:
        terms = {"absolute": Counts(adds=2 * work - y, cmps=work)}
    return Cost(terms | {"mean": Counts(divs=y)})


FORMULAS = (conv, conv_transpose, deform_conv, correlation)
