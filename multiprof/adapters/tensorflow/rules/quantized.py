"""Quantised operations: the same layers on integers, and the steps between integers and real numbers."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.rules.conv import emit_conv
from multiprof.adapters.tensorflow.rules.linear import contract, matrix_terms, turned
from multiprof.adapters.tensorflow.rules.pool import _window
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import Quant, TensorSpec


@rule("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant(node: Node) -> None:
    node.layer("fake_quantize", {"x": node.x()}, None, {"dtype": f"uint{node.attr('num_bits', 8)}"})


@rule("QuantizeAndDequantize", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4")
def quantize_and_dequantize(node: Node) -> None:
    sign = "int" if node.attr("signed_input", True) else "uint"
    node.layer("fake_quantize", {"x": node.x()}, None, {"dtype": f"{sign}{node.attr('num_bits', 8)}"})


@rule("QuantizeV2", "UniformQuantize")
def quantize(node: Node) -> None:
    """The range is an operand, and handed out."""
    node.layer("quantize", {"x": node.x()}, None, {"dtype": node.y().dtype})
    _ranges(node, 1)


@rule("Dequantize", "UniformDequantize")
def dequantize(node: Node) -> None:
    node.layer("dequantize", {"x": _quantised(node.x())}, None, {"dtype": node.y().dtype})


@rule("Requantize", "RequantizePerChannel", "QuantizeDownAndShrinkRange", "UniformRequantize")
def requantize(node: Node) -> None:
    node.layer("requantize", {"x": _quantised(node.x())}, None, {"dtype": node.y().dtype})
    _ranges(node, 1)


@rule("RequantizationRange", "RequantizationRangePerChannel")
def requantization_range(node: Node) -> None:
    """The smallest and the largest value there is."""
    x = node.x()
    for number, op in enumerate(("min", "max")):
        attrs = {"axis": tuple(range(x.rank)), "keepdim": False}
        node.layer(op, {"x": x}, node.y(number), attrs, piece=op)


def _quantised(spec: TensorSpec) -> TensorSpec:
    if spec.quant is None:
        spec.quant = Quant((), ())
    return spec


def _ranges(node: Node, first: int) -> None:
    """The range of a quantised result: two numbers that follow from those of the operands."""
    for number in range(first, len(node.outputs)):
        node.layer("constant", {}, node.y(number), piece=f"range_{number}")


@rule("QuantizedConv2D", "QuantizedConv2DPerChannel", "QuantizedDepthwiseConv2D")
def quantized_conv(node: Node) -> None:
    """x, filter, their ranges; the result is an integer of 32 bits and its range."""
    emit_conv(
        node, _quantised(node.x(0)), _quantised(node.x(1)), node.y(), depthwise="Depthwise" in node.op
    )  # fmt: skip
    _ranges(node, 1)


@rule("QuantizedMatMul")
def quantized_matmul(node: Node) -> None:
    a, b = _quantised(node.x(0)), _quantised(node.x(1))
    contract(node, a, b, node.y(), matrix_terms(node, a, b, *turned(node)))
    _ranges(node, 1)


@rule("QuantizedBiasAdd", "QuantizedAdd", "QuantizedMul")
def quantized_binary(node: Node) -> None:
    op = "mul" if node.op.endswith("Mul") else "add"
    node.layer(op, {"x0": _quantised(node.x(0)), "x1": _quantised(node.x(1))})
    _ranges(node, 1)


@rule("QuantizedRelu", "QuantizedRelu6")
def quantized_relu(node: Node) -> None:
    node.layer("relu6" if node.op.endswith("6") else "relu", {"x": _quantised(node.x())})
    _ranges(node, 1)


@rule("QuantizedMaxPool", "QuantizedAvgPool")
def quantized_pool(node: Node) -> Any:
    attrs = _window(node, node.attr("ksize"), node.attr("strides"))
    if attrs is None:
        return NotImplemented
    if "Avg" in node.op:
        attrs |= {"count_include_pad": False, "divisor": None}
    node.layer("avg_pool" if "Avg" in node.op else "max_pool", {"x": _quantised(node.x())}, None, attrs)
    _ranges(node, 1)
    return None


@rule("QuantizedReshape")
def quantized_reshape(node: Node) -> None:
    node.view("reshape", {"shape": node.y().shape})
    _ranges(node, 1)


@rule("QuantizedConcat")
def quantized_concat(node: Node) -> None:
    """axis, the parts, their least values, their largest."""
    count = int(node.attr("N", 1))
    operands = {f"x{i}": _quantised(node.x(1 + i)) for i in range(count)}
    axis = node.scalar(0)
    node.layer("concat", operands, None, {} if axis is None else {"axis": int(axis)})
    _ranges(node, 1)


@rule("UniformQuantizedDot", "UniformQuantizedAdd")
def uniform(node: Node) -> None:
    a, b = _quantised(node.x(0)), _quantised(node.x(1))
    if node.op.endswith("Add"):
        node.layer("add", {"x0": a, "x1": b})
    else:
        contract(node, a, b, node.y(), matrix_terms(node, a, b, False, False))
