"""Quantisation: the layers that a file names, and contractions of quantised tensors.

A contraction of integers with scales is the same canonical layer as that of floats, on specs that say how they are
quantised; taking off the zero points and scaling the result are part of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from multiprof.adapters._common.writer import quantised
from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import axis_of, int_attr, ints, set_aside
from multiprof.adapters.onnx.rules.conv import emit_conv
from multiprof.adapters.onnx.rules.linear import contract
from multiprof.ir import INTEGER_DTYPES, PARAMETER, Quant, TensorSpec


def quant_of(scale: Tensor | None, zero: Tensor | None, axis: int | None = None) -> Quant | None:
    """Scales and zero points where they are known: one of each, or as many as ``axis`` has positions."""
    if scale is None or scale.value is None or scale.value.dtype.kind not in "fV" or scale.value.ndim > 1:
        return None
    scales = [float(v) for v in scale.value.ravel().tolist()]
    zeros = list(ints(zero) or ())
    if len(zeros) != len(scales):
        zeros = [zeros[0] if len(zeros) == 1 else 0] * len(scales)
    return quantised(scales, zeros, axis if len(scales) > 1 else None)


def read_as(
    node: Node, tensor: Tensor, scale: Tensor | None, zero: Tensor | None, axis: int | None = None
) -> TensorSpec:
    """The operand as quantised; the parameter that it is, or a piece of, is said to be so too."""
    set_aside(node, scale, zero)
    quant = tensor.spec.quant or quant_of(scale, zero, axis)
    if quant is None:
        return tensor.spec
    declared = node.writer.parameters.get(tensor.spec.name)
    if declared is not None and declared.spec.quant is None:
        declared.spec = replace(declared.spec, quant=quant)
        if declared.spec.rank:
            declared.kind = PARAMETER  # real numbers, learned as those of its float twin are
    return replace(tensor.spec, quant=quant)


def make_as(node: Node, scale: Tensor | None, zero: Tensor | None, axis: int | None = None) -> TensorSpec:
    """The node's first output, as quantised; whoever reads it sees that."""
    set_aside(node, scale, zero)
    y = node.y
    if y.quant is None and y.dtype in INTEGER_DTYPES:
        y.quant = quant_of(scale, zero, axis)
    return y


def _axis(node: Node, x: Tensor, scale: Tensor | None) -> int | None:
    """The axis that has a scale for each position, if there is one."""
    if scale is None or scale.rank != 1 or scale.shape == (1,) or not x.rank:
        return None
    return axis_of(node, int_attr(node, "axis", 1), x.rank)


def _attrs(node: Node, axis: int | None) -> dict[str, Any]:
    attrs: dict[str, Any] = {"dtype": node.y.dtype}
    if axis is not None:
        attrs["axis"] = axis
    if int_attr(node, "block_size", 0):
        attrs["axis"] = axis_of(node, int_attr(node, "axis", 1), node.need(0).rank)
        attrs["block_size"] = int_attr(node, "block_size", 0)
    return attrs


def quantize(node: Node) -> None:
    """Real numbers to integers; from one kind of integers to another it is ``requantize``."""
    x, scale, zero = node.need(0), node.need(1), node.input(2)
    axis = _axis(node, x, scale)
    y = make_as(node, scale, zero, axis)
    if x.dtype in INTEGER_DTYPES:
        node.layer("requantize", {"x": x}, y, _attrs(node, axis))
    else:
        node.layer("quantize", {"x": x, "scale": scale, "zero_point": zero}, y, _attrs(node, axis))


def dequantize(node: Node) -> None:
    x, scale, zero = node.need(0), node.need(1), node.input(2)
    axis = _axis(node, x, scale)
    stored = read_as(node, x, scale, zero, axis)
    node.layer("dequantize", {"x": stored, "scale": scale, "zero_point": zero}, None, _attrs(node, axis))


def dynamic_quantize(node: Node) -> None:
    outputs = {"y": node.y, "scale": node.output(1), "zero_point": node.output(2)}
    node.layer("dynamic_quantize", {"x": node.need(0)}, outputs, {"dtype": node.y.dtype})


def quantised_conv(node: Node, channels_last: bool = False) -> None:
    """x, its scale and zero point, w and its, the scale and zero point of y, bias."""
    x = read_as(node, node.need(0), node.need(1), node.input(2))
    weight = read_as(node, node.need(3), node.need(4), node.input(5), 0)
    y = make_as(node, node.need(6), node.input(7))
    emit_conv(node, x, weight, node.input(8), y, channels_last=channels_last)


def quantised_matmul(node: Node) -> None:
    """a, its scale and zero point, b and its, the scale and zero point of y."""
    a, b = node.need(0), node.need(3)
    specs = (
        read_as(node, a, node.need(1), node.input(2)),
        read_as(node, b, node.need(4), node.input(5), b.rank - 1),
    )
    contract(node, a, b, make_as(node, node.need(6), node.input(7)), specs=specs)


RULES: dict[str, Rule] = {
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic_quantize,
    "QLinearConv": quantised_conv,
    "QLinearMatMul": quantised_matmul,
    "QuantizeLinear": quantize,
}
