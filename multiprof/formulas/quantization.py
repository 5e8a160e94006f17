"""Quantisation: real = scale·(stored − zero_point). A quantised tensor stands for real numbers, so this is no integer
arithmetic, and what an element takes does not depend on whether its zero point happens to be 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, element_symbols, formula
from multiprof.ir import Layer

_SOURCE = (
    "Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only inference"
)


@formula("quantize", symbols=element_symbols, source=_SOURCE)
def quantize(layer: Layer) -> Cost:
    """quantize: |y| divs, |y| adds, 2·|y| cmps, |y| casts

    round(x/scale) + zero_point, limited to the range of the integers.
    """
    y = layer.y.numel
    return Cost({"quantize": Counts(divs=y, adds=y, cmps=2 * y, casts=y)})


@formula("dequantize", symbols=element_symbols, source=_SOURCE)
def dequantize(layer: Layer) -> Cost:
    """dequantize: |y| adds, |y| muls

    (x − zero_point)·scale
    """
    y = layer.y.numel
    return Cost({"dequantize": Counts(adds=y, muls=y)})


@formula("requantize", symbols=element_symbols, source=_SOURCE)
def requantize(layer: Layer) -> Cost:
    """requantize: 2·|y| adds, |y| muls, 2·|y| cmps, |y| casts

    round((x − zero_point)·factor) + zero_point', limited to the range of the integers; the factor is the quotient of
    the two scales, made ahead of time.
    """
    y = layer.y.numel
    return Cost({"requantize": Counts(adds=2 * y, muls=y, cmps=2 * y, casts=y)})


@formula("fake_quantize", symbols=element_symbols, source=_SOURCE)
def fake_quantize(layer: Layer) -> Cost:
    """quantize: |y| divs, |y| adds, 2·|y| cmps, |y| casts; dequantize: |y| adds, |y| muls

    Quantised and dequantised again.
    """
    return Cost({**quantize.price(layer).terms, **dequantize.price(layer).terms})


def _groups(layer: Layer) -> int:
    """M: how many scales there are, one unless the layer gives more; none for an empty tensor."""
    if not layer.y.numel:
        return 0
    scale = layer.outputs.get("scale")
    return 1 if scale is None else scale.numel


def _dynamic_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; M: how many scales there are"""
    return {"|y|": layer.y.numel, "M": _groups(layer)}


@formula("dynamic_quantize", symbols=_dynamic_symbols, source="ONNX operator DynamicQuantizeLinear")
def dynamic_quantize(layer: Layer) -> Cost:
    """range: 2·|y| cmps; scale: 2·M adds, 2·M divs, 2·M cmps, M casts; quantize: |y| divs, |y| adds, 2·|y| cmps, |y| casts

    The largest and the smallest of n elements and 0 take n cmps each. The scale is their difference over the number
    of steps (1 add, 1 div), the zero point the lowest integer less smallest/scale, limited and rounded (1 add, 1 div,
    2 cmps, 1 cast).
    """  # noqa: E501  # the mathematics is one line
    y, groups = layer.y.numel, _groups(layer)
    scale = Counts(adds=2 * groups, divs=2 * groups, cmps=2 * groups, casts=groups)
    return Cost({"range": Counts(cmps=2 * y), "scale": scale, **quantize.price(layer).terms})


FORMULAS = (quantize, dequantize, requantize, fake_quantize, dynamic_quantize)
