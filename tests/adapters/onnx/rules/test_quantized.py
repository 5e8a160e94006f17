"""Quantised operators: the layers and counts of their float twins, on specs that say how they are quantised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multiprof.ir import Quant

One = Callable[..., Any]
RNG = np.random.default_rng(17)
MS = "com.microsoft"


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def scale(*values: float) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, dtype=np.float32)


U8, I8 = np.array(128, np.uint8), np.array(0, np.int8)


def q(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def test_quantize_and_dequantize(one: One) -> None:
    model = one("QuantizeLinear", {"x": f(2, 3), "s": scale(0.5), "z": U8}, weights=["s", "z"])
    assert (model.layer.op, list(model.layer.inputs)) == ("quantize", ["x", "scale", "zero_point"])
    assert model.layer.y.quant == Quant((0.5,), (128,))
    # a division, an addition and two comparisons an element
    assert model.report.flops == 6 * 4
    back = one("DequantizeLinear", {"x": q(2, 3), "s": scale(0.5), "z": U8}, weights=["s", "z"])
    assert (back.layer.op, back.layer.x.quant, back.report.flops) == ("dequantize", Quant((0.5,), (128,)), 6 * 2)


def test_one_scale_for_each_channel(one: One) -> None:
    given = {"x": q(2, 3, 4), "s": scale(0.1, 0.2, 0.3)}
    model = one("DequantizeLinear", given, weights=["s"], axis=-2)
    assert model.layer.attrs["axis"] == 1
    assert model.layer.x.quant is not None
    assert (len(model.layer.x.quant.scale), model.layer.x.quant.axis) == (3, 1)
    blocks = one("DequantizeLinear", {"x": q(4, 6), "s": f(4, 3)}, version=21, axis=1, block_size=2)
    assert (blocks.layer.attrs["axis"], blocks.layer.attrs["block_size"]) == (1, 2)


def test_integers_to_integers(one: One) -> None:
    model = one(
        "QuantizeLinear", {"x": np.zeros(4, np.int32), "s": scale(0.5), "z": I8}, weights=["s", "z"], version=13
    )
    assert model.ops == ["requantize"]


def test_a_stored_weight_is_a_parameter_that_is_prepared(one: One) -> None:
    model = one("DequantizeLinear", {"x": np.zeros((4, 4), np.int8), "s": scale(0.5)}, weights=["x", "s"])
    report = model.report
    assert report.params == 16
    assert report.graph.parameters["x"].spec.quant == Quant((0.5,), (0,))
    assert report.graph.parameters["s"].kind == "constant"
    assert (report.layers[0].state, report.flops) == ("prepared", 0)


def test_dynamic_quantisation(one: One) -> None:
    model = one("DynamicQuantizeLinear", {"x": f(8)}, ["y", "s", "z"])
    assert (model.layer.op, list(model.layer.outputs)) == ("dynamic_quantize", ["y", "scale", "zero_point"])
    assert model.shapes() == model.executed()


@pytest.mark.parametrize("bias", [True, False])
def test_a_quantised_convolution_costs_what_the_float_one_does(one: One, bias: bool) -> None:
    given: dict[str, Any] = {
        "x": q(1, 4, 6, 6), "xs": scale(0.1), "xz": U8, "w": np.zeros((8, 4, 3, 3), np.int8),
        "ws": np.full(8, 0.2, np.float32), "wz": np.zeros(8, np.int8), "ys": scale(0.3), "yz": U8,
    }  # fmt: skip
    stored = ["xs", "xz", "w", "ws", "wz", "ys", "yz"]
    float_given = {"x": f(1, 4, 6, 6), "w": f(8, 4, 3, 3)}
    if bias:
        given["b"] = np.zeros(8, np.int32)
        float_given["b"] = f(8)
        stored.append("b")
    model = one("QLinearConv", given, weights=stored)
    plain = one("Conv", float_given, weights=["w", "b"]).report
    assert model.ops == ["conv"]
    assert (model.report.macs, model.report.flops, model.report.params) == (plain.macs, plain.flops, plain.params)
    assert model.layer.x.quant == Quant((float(np.float32(0.1)),), (128,))
    assert model.layer.inputs["weight"].quant is not None
    assert model.layer.inputs["weight"].quant.axis == 0
    assert model.layer.y.quant == Quant((float(np.float32(0.3)),), (128,))
    assert model.report.graph.parameters["ws"].kind == "constant"


def test_quantised_products(one: One) -> None:
    plain = one("MatMul", {"a": f(2, 8), "b": f(8, 5)}, weights=["b"]).report
    given = {
        "a": q(2, 8), "as": scale(0.1), "az": U8, "b": np.zeros((8, 5), np.int8), "bs": scale(0.2), "bz": I8,
        "ys": scale(0.3), "yz": U8,
    }  # fmt: skip
    model = one("QLinearMatMul", given, weights=["as", "az", "b", "bs", "bz", "ys", "yz"], version=21)
    assert (model.ops, model.report.macs, model.report.flops) == (["linear"], plain.macs, plain.flops)
    assert model.layer.y.quant is not None
    to_float = {name: given[name] for name in ("a", "b", "as", "bs", "az", "bz")} | {"bias": f(5)}
    model = one("MatMulIntegerToFloat", to_float, weights=["b", "as", "bs", "az", "bz", "bias"], domain=MS)
    # the bias on 2·5 results
    assert (model.ops, model.report.flops) == (["linear"], plain.flops + 10)
    dynamic = {"a": f(2, 8), "b": given["b"], "bs": scale(0.2), "bz": I8}
    model = one("DynamicQuantizeMatMul", dynamic, weights=["b", "bs", "bz"], domain=MS)
    assert (model.ops, model.report.macs) == (["dynamic_quantize", "linear"], plain.macs)


# operator, operands before the scale of the result, float twin, its attributes
X = {"x": q(1, 4, 6, 6), "xs": scale(0.1), "xz": U8}
PLAIN = {"x": np.zeros((1, 4, 6, 6), np.float32)}
TWINS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("QLinearSigmoid", "Sigmoid", {}, {}),
    ("QLinearLeakyRelu", "LeakyRelu", {"alpha": 0.1}, {"alpha": 0.1}),
    ("QLinearAveragePool", "AveragePool", {"kernel_shape": [2, 3]}, {"kernel_shape": [2, 3]}),
    ("QLinearGlobalAveragePool", "GlobalAveragePool", {}, {}),
    ("QLinearReduceMean", "ReduceMean", {"axes": [1]}, {"axes": [1]}),
]


@pytest.mark.parametrize(("op_type", "twin", "attrs", "plain"), TWINS)
def test_a_quantised_operator_costs_what_its_float_twin_does(
    one: One, op_type: str, twin: str, attrs: Any, plain: Any
) -> None:
    given = X | {"ys": scale(0.3), "yz": U8}
    model = one(op_type, given, weights=["xs", "xz", "ys", "yz"], domain=MS, **attrs)
    other = one(twin, PLAIN, version=13, **plain)
    assert model.ops == other.ops
    assert model.report.layers[0].cost == other.report.layers[0].cost
    assert model.layer.y.quant is not None


def test_sums_joins_and_selections(one: One) -> None:
    pair = X | {"o": q(4, 1, 1), "os": scale(0.2), "oz": U8, "ys": scale(0.3), "yz": U8}
    stored = ["xs", "xz", "os", "oz", "ys", "yz"]
    assert one("QLinearAdd", pair, weights=stored, domain=MS).report.flops == 144
    assert one("QLinearMul", pair, weights=stored, domain=MS).report.layers[0].cost.counts.muls == 144
    join = {"ys": scale(0.1), "yz": U8, **X, "o": q(1, 2, 6, 6), "os": scale(0.2), "oz": U8}
    model = one("QLinearConcat", join, weights=stored, domain=MS, axis=1)
    assert model.ops == ["requantize", "concat"]  # the first has the scale of the result already
    soft = one("QLinearSoftmax", X | {"ys": scale(0.3), "yz": U8}, weights=stored, domain=MS, axis=1, opset=11)
    assert soft.layer.attrs["n"] == 4 * 6 * 6


def test_stored_operands_are_parameters_as_those_of_the_float_twin_are(one: One) -> None:
    given = X | {"o": q(4, 1, 1), "os": scale(0.2), "oz": U8, "ys": scale(0.3), "yz": U8}
    model = one("QLinearMul", given, weights=["xs", "xz", "o", "os", "oz", "ys", "yz"], domain=MS)
    twin = one("Mul", {"x": f(1, 4, 6, 6), "o": f(4, 1, 1)}, weights=["o"])
    assert model.report.params == twin.report.params == 4
    rows = one("Gather", {"t": np.zeros((30, 16), np.int8), "i": np.zeros(7, np.int64)}, weights=["t"])
    assert (rows.ops, rows.report.params) == (["embedding"], 30 * 16)
    table = one("Gather", {"t": np.zeros((30, 16), np.int64), "i": np.zeros(7, np.int64)}, weights=["t"])
    assert (table.ops, table.report.params) == (["gather"], 0)


def test_a_mixture_of_experts(one: One) -> None:
    """Six tokens, each with the best 2 of 4 experts: 12 rows of 8 → 16 → 8."""
    given = {"x": f(6, 8), "r": f(6, 4), "a": f(4, 16, 8), "ab": f(4, 16), "b": f(4, 8, 16), "bb": f(4, 8)}
    model = one("MoE", given, weights=["a", "ab", "b", "bb"], domain=MS, k=2, activation_type="gelu")
    assert model.report.macs == 6 * 2 * (8 * 16 + 16 * 8)
    assert model.report.params == 4 * (16 * 8 + 16 + 8 * 16 + 8)
    gated = given | {"a": f(4, 16, 8), "b": f(4, 8, 16), "c": f(4, 16, 8)}
    model = one("MoE", gated, weights=["a", "ab", "b", "bb", "c"], domain=MS, k=1, activation_type="silu")
    assert model.report.macs == 6 * 3 * 8 * 16
    assert {"softmax", "topk", "silu", "mul"} <= set(model.ops)
