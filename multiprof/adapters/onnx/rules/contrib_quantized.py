"""ONNX Runtime's own operators on quantised tensors: the canonical layers, on specs that say how they are quantised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from multiprof.adapters._common.shapes import broadcast, matmul_output, numel, reduced, window_output
from multiprof.adapters._common.writer import quantised
from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import (
    Found,
    axis_of,
    float_attr,
    given_ints,
    int_attr,
    like_first,
    ranked,
    set_aside,
)
from multiprof.adapters.onnx.rules.activation import emit_normalised
from multiprof.adapters.onnx.rules.contrib_attention import emit_projected, infer_attention
from multiprof.adapters.onnx.rules.contrib_linear import infer_gemm
from multiprof.adapters.onnx.rules.linear import contract
from multiprof.adapters.onnx.rules.pool import emit_average_pool, emit_global, window
from multiprof.adapters.onnx.rules.quantized import (
    dequantize,
    make_as,
    quantised_conv,
    quantize,
    read_as,
)
from multiprof.adapters.onnx.rules.recurrent import Weights, emit
from multiprof.errors import ModelError
from multiprof.ir import Shape


def _binary(op: str) -> Rule:
    """a, its scale and zero point, b and its, the scale and zero point of the result."""

    def rule(node: Node) -> None:
        a = read_as(node, node.need(0), node.need(1), node.input(2))
        b = read_as(node, node.need(3), node.need(4), node.input(5))
        node.layer(op, {"x0": a, "x1": b}, make_as(node, node.need(6), node.input(7)))

    return rule


def infer_binary(node: Node) -> Found:
    a, b = node.need(0), node.need(3)
    return [(broadcast(a.shape, b.shape, where=node.where), a.dtype)]


def _unary(op: str) -> Rule:
    """x, its scale and zero point, the scale and zero point of the result."""

    def rule(node: Node) -> None:
        x = read_as(node, node.need(0), node.need(1), node.input(2))
        attrs: dict[str, Any] = {}
        if op == "leaky_relu":
            attrs["negative_slope"] = float_attr(node, "alpha", 0.01)
        node.layer(op, {"x": x}, make_as(node, node.need(3), node.input(4)), attrs)

    return rule


def softmax(node: Node) -> None:
    """``opset`` tells which Softmax it was made of: before 13 all axes from one on are normalised together."""
    x = read_as(node, node.need(0), node.need(1), node.input(2))
    y = make_as(node, node.need(3), node.input(4))
    emit_normalised(node, "softmax", x, y, coerced=int_attr(node, "opset", 13) < 13)


def concat(node: Node) -> None:
    """The scale and zero point of the result, then each operand with its own; those that differ are rescaled."""
    y = make_as(node, node.need(0), node.input(1))
    parts = []
    for place in range(2, len(node.inputs), 3):
        parts.append(read_as(node, node.need(place), node.input(place + 1), node.input(place + 2)))
    if not parts:
        raise ModelError(f"{node.where} joins nothing")
    for i, part in enumerate(parts):
        if part.quant is not None and y.quant is not None and part.quant != y.quant:
            rescaled = replace(node.between(part.shape, y.dtype), quant=y.quant)
            node.layer("requantize", {"x": part}, rescaled, {"dtype": y.dtype}, suffix=f"requantize_{i}")
            parts[i] = rescaled
    axis = axis_of(node, int_attr(node, "axis", 0), len(parts[0].shape))
    node.layer("concat", {f"x{i}": part for i, part in enumerate(parts)}, y, {"axis": axis})


def infer_concat(node: Node) -> Found:
    parts = [node.need(place) for place in range(2, len(node.inputs), 3)]
    if not parts:
        raise ModelError(f"{node.where} joins nothing")
    axis = axis_of(node, int_attr(node, "axis", 0), parts[0].rank)
    sizes = [part.shape[axis] if axis < part.rank else None for part in parts]
    total = None if None in sizes else sum(n for n in sizes if n is not None)
    shape = parts[0].shape
    return [((*shape[:axis], total, *shape[axis + 1 :]), parts[0].dtype)]


def where(node: Node) -> None:
    """Condition; x, its scale and zero point; y and its; the scale and zero point of the result."""
    x = read_as(node, node.need(1), node.need(2), node.input(3))
    other = read_as(node, node.need(4), node.need(5), node.input(6))
    node.layer("where", {"cond": node.need(0), "x0": x, "x1": other}, make_as(node, node.need(7), node.input(8)))


def infer_where(node: Node) -> Found:
    x = node.need(1)
    return [(broadcast(node.need(0).shape, x.shape, node.need(4).shape, where=node.where), x.dtype)]


def average_pool(node: Node) -> None:
    x = read_as(node, node.need(0), node.need(1), node.input(2))
    emit_average_pool(node, x, make_as(node, node.need(3), node.input(4)), bool(int_attr(node, "channels_last", 0)))


def pooled(node: Node) -> Found:
    """The result of a pool, in the layout of x."""
    x, last = node.need(0), bool(int_attr(node, "channels_last", 0)) or node.op_type.startswith("Nhwc")
    attrs = window(node, x.shape, last)
    spatial = x.shape[1:-1] if last else x.shape[2:]
    pads = attrs["padding"] or ((0, 0),) * len(spatial)
    out: Shape = tuple(
        window_output(n, k, s, p, d, ceil_mode=attrs["ceil_mode"], where=node.where)
        for n, k, s, p, d in zip(
            spatial, attrs["kernel_size"], attrs["stride"], pads, attrs["dilation"], strict=True
        )
    )  # fmt: skip
    return [((x.shape[0], *out, x.shape[-1]) if last else (*x.shape[:2], *out), x.dtype)]


def global_average_pool(node: Node) -> None:
    x = read_as(node, node.need(0), node.need(1), node.input(2))
    y = make_as(node, node.need(3), node.input(4))
    emit_global(node, "adaptive_avg_pool", x, y, bool(int_attr(node, "channels_last", 0)))


def infer_global(node: Node) -> Found:
    x = node.need(0)
    if x.rank < 3:
        raise ModelError(f"{node.where}: an input {x.shape}")
    ones = (1,) * (x.rank - 2)
    last = int_attr(node, "channels_last", 0)
    return [((x.shape[0], *ones, x.shape[-1]) if last else (*x.shape[:2], *ones), x.dtype)]


def _mean_attrs(node: Node) -> tuple[tuple[int, ...], bool]:
    rank = node.need(0).rank
    given = given_ints(node, "axes")
    axes = tuple(axis_of(node, a, rank) for a in given) if given else tuple(range(rank))
    return axes, bool(int_attr(node, "keepdims", 1))


def reduce_mean(node: Node) -> None:
    x = read_as(node, node.need(0), node.need(1), node.input(2))
    axes, keepdim = _mean_attrs(node)
    node.layer("mean", {"x": x}, make_as(node, node.need(3), node.input(4)), {"axis": axes, "keepdim": keepdim})


def infer_mean(node: Node) -> Found:
    axes, keepdim = _mean_attrs(node)
    return [(reduced(node.need(0).shape, axes, keepdim), node.need(0).dtype)]


# -- contractions ------------------------------------------------------------------------------------------------------


def gemm(node: Node) -> None:
    """a, its scale and zero point, b and its, bias, the scale and zero point of the result, which is float without."""
    a, b, bias = node.need(0), node.need(3), node.input(6)
    ta, tb = ("ji" if int_attr(node, "transA", 0) else "ij"), ("kj" if int_attr(node, "transB", 0) else "jk")
    specs = (
        read_as(node, a, node.need(1), node.input(2)),
        read_as(node, b, node.need(4), node.input(5), tb.index("k")),
    )
    y = make_as(node, node.input(7), node.input(8))
    if b.weight or a.weight or bias is None:
        contract(node, a, b, y, (ta, tb, "ik"), bias=bias, specs=specs)
        return
    product = node.between(y.shape, "int32")
    contract(node, a, b, product, (ta, tb, "ik"), specs=specs)
    node.layer("add", {"x0": product, "x1": bias}, y, suffix="add")


def infer_quantised_gemm(node: Node) -> Found:
    inputs = (node.need(0), node.need(3))
    shape = infer_gemm(replace(node, inputs=inputs))[0]
    zero = node.input(8)
    dtype = "float32" if node.input(7) is None else node.need(0).dtype if zero is None else zero.dtype
    return [None if shape is None else (shape[0], dtype)]


def _with_bias(node: Node, a: Tensor, b: Tensor, bias: Tensor | None, specs: Any) -> None:
    if b.weight or a.weight or bias is None:
        contract(node, a, b, node.y, bias=bias, specs=specs)
        return
    product = node.between(node.y.shape)
    contract(node, a, b, product, specs=specs)
    node.layer("add", {"x0": product, "x1": bias}, suffix="add")


def dynamic_matmul(node: Node) -> None:
    """x is quantised by its own range, then multiplied by a quantised weight; the result is float."""
    x, weight = node.need(0), node.need(1)
    stored = node.between(x.shape, "uint8", "quantized")
    node.layer("dynamic_quantize", {"x": x}, stored, {"dtype": "uint8"}, suffix="quantize")
    spec = read_as(node, weight, node.need(2), node.input(3), weight.rank - 1)
    _with_bias(node, Tensor(stored), weight, node.input(4), (stored, spec))


def matmul_to_float(node: Node) -> None:
    """a and b, their scales, their zero points, bias; the result is float."""
    a, b = node.need(0), node.need(1)
    specs = (
        read_as(node, a, node.need(2), node.input(4)),
        read_as(node, b, node.need(3), node.input(5), b.rank - 1),
    )
    _with_bias(node, a, b, node.input(6), specs)


def infer_to_float(node: Node) -> Found:
    a, b, scale = node.need(0), node.need(1), node.need(2)
    return [(matmul_output(a.shape, b.shape, where=node.where)[0], scale.dtype)]


def attention(node: Node) -> None:
    """QAttention: input, weights, bias, their scales, mask, their zero points, past; the projection is quantised."""
    x, weight = node.need(0), node.need(1)
    specs = (
        read_as(node, x, node.need(3), node.input(6)),
        read_as(node, weight, node.need(4), node.input(7), 1),
    )
    emit_projected(node, weight, node.need(2), node.input(5), node.input(8), None, None, specs)


def infer_quantised_attention(node: Node) -> Found:
    return infer_attention(node, 8, node.need(3).dtype)


def lstm(node: Node) -> None:
    """DynamicQuantizeLSTM: as LSTM, with W (D, C_i, 4·H) and R (D, H, 4·H) quantised."""
    set_aside(node, *(node.input(place) for place in range(8, 12)))
    w, r = (_stored(node, node.need(place), node.input(scale)) for place, scale in ((1, 8), (2, 10)))
    given = Weights(
        w, r, node.input(3), node.input(4), node.input(5), node.input(6), node.input(7), transposed=True
    )  # fmt: skip
    emit(node, "lstm", given)


def _stored(node: Node, weight: Tensor, scale: Tensor | None) -> Any:
    """A weight as quantised, where it has one scale for all."""
    if scale is None or scale.value is None or numel(scale.shape) != 1:
        return weight.spec
    return replace(weight.spec, quant=quantised([float(scale.value.ravel()[0])], [0]))


def infer_lstm(node: Node) -> Found:
    x, r = node.need(0), node.need(2)
    if x.rank != 3 or r.rank != 3:
        raise ModelError(f"{node.where}: an input {x.shape} and a weight {r.shape}")
    (time, batch, _), (directions, hidden, _) = x.shape, r.shape
    state = ((directions, batch, hidden), x.dtype)
    return [((time, directions, batch, hidden), x.dtype), state, state]


# -- quantize, dequantize, conv ----------------------------------------------------------------------------------------


def infer_quantize(node: Node) -> Found:
    zero = node.input(2)
    return [(node.need(0).shape, "uint8" if zero is None else zero.dtype)]


def infer_dequantize(node: Node) -> Found:
    return [(node.need(0).shape, node.need(1).dtype)]


def conv(node: Node) -> None:
    quantised_conv(node, bool(int_attr(node, "channels_last", 0)))


CONTRIB: dict[str, Rule] = {
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLSTM": lstm,
    "DynamicQuantizeMatMul": dynamic_matmul,
    "MatMulIntegerToFloat": matmul_to_float,
    "QAttention": attention,
    "QGemm": gemm,
    "QLinearAdd": _binary("add"),
    "QLinearAveragePool": average_pool,
    "QLinearConcat": concat,
    "QLinearConv": conv,
    "QLinearGlobalAveragePool": global_average_pool,
    "QLinearLeakyRelu": _unary("leaky_relu"),
    "QLinearMul": _binary("mul"),
    "QLinearReduceMean": reduce_mean,
    "QLinearSigmoid": _unary("sigmoid"),
    "QLinearSoftmax": softmax,
    "QLinearWhere": where,
    "QuantizeLinear": quantize,
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        **{(_MS, name): like_first for name in ("QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax")},
        **{(_MS, name): infer_binary for name in ("QLinearAdd", "QLinearMul")},
        (_MS, "DequantizeLinear"): infer_dequantize,
        (_MS, "DynamicQuantizeLSTM"): infer_lstm,
        (_MS, "DynamicQuantizeMatMul"): infer_to_float,
        (_MS, "MatMulIntegerToFloat"): infer_to_float,
        (_MS, "QAttention"): infer_quantised_attention,
        (_MS, "QGemm"): infer_quantised_gemm,
        (_MS, "QLinearAveragePool"): pooled,
        (_MS, "QLinearConcat"): infer_concat,
        (_MS, "QLinearGlobalAveragePool"): infer_global,
        (_MS, "QLinearReduceMean"): infer_mean,
        (_MS, "QLinearWhere"): infer_where,
        (_MS, "QuantizeLinear"): infer_quantize,
    }
)
