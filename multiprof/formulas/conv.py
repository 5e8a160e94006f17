"""Convolution and deconvolution of any rank."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._primitives import sizes
from multiprof.formulas._sizes import size
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


FORMULAS = (conv, conv_transpose)
