"""LSTM, GRU and RNN: one layer per direction, against the arithmetic of one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multiprof import ModelError

One = Callable[..., Any]
RNG = np.random.default_rng(7)
T, N, C, H = 5, 2, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def operands(op_type: str, directions: int = 1, bias: bool = True) -> dict[str, Any]:
    rows = GATES[op_type] * H
    given: dict[str, Any] = {"x": f(T, N, C), "w": f(directions, rows, C), "r": f(directions, rows, H)}
    if bias:
        given["b"] = f(directions, 2 * rows)
    return given


def results(op_type: str) -> list[str]:
    return ["y", "h", "c"] if op_type == "LSTM" else ["y", "h"]


@pytest.mark.parametrize("op_type", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_macs_parameters_and_shapes(one: One, op_type: str, direction: str) -> None:
    directions = 2 if direction == "bidirectional" else 1
    given = operands(op_type, directions)
    model = one(op_type, given, results(op_type), ["w", "r", "b"], hidden_size=H, direction=direction)
    report = model.report
    op, gates = op_type.lower(), GATES[op_type]
    layers = [layer for layer in model.layers if layer.op == op]
    assert [layer.attrs["reverse"] for layer in layers] == {1: [direction == "reverse"], 2: [False, True]}[directions]
    assert report.macs == directions * T * N * gates * H * (C + H)
    # two biases of gates·H each, beside the two weights
    assert report.params == directions * gates * H * (C + H + 2)
    assert model.shapes() == model.executed()
    for layer in layers:
        assert layer.inputs["weight_ih"].shape == (gates * H, C)
        assert layer.inputs["weight_hh"].shape == (gates * H, H)
        assert layer.inputs["bias_ih"].shape == layer.inputs["bias_hh"].shape == (gates * H,)
        assert (layer.attrs["steps"], layer.attrs["input_size"], layer.attrs["hidden_size"]) == (T * N, C, H)


def test_one_step_of_an_lstm_in_flops(one: One) -> None:
    """C = 3, H = 2, two biases: 140 FLOPs, as worked by hand."""
    given = {"x": f(1, 1, 3), "w": f(1, 8, 3), "r": f(1, 8, 2), "b": f(1, 16)}
    assert one("LSTM", given, ["y"], ["w", "r", "b"], hidden_size=2).report.flops == 140


def test_both_directions_are_joined(one: One) -> None:
    model = one("LSTM", operands("LSTM", 2), ["y", "h", "c"], ["w", "r", "b"], hidden_size=H, direction="bidirectional")
    assert model.ops == ["lstm", "lstm", "stack", "stack", "stack"]
    model = one("GRU", operands("GRU", 2), ["", "h"], ["w", "r", "b"], hidden_size=H, direction="bidirectional")
    assert model.ops == ["gru", "gru", "stack"]


def test_known_lengths_are_the_steps(one: One) -> None:
    given = operands("GRU") | {"l": np.array([5, 2], np.int32)}
    attrs = {"hidden_size": H}
    known = one("GRU", given, ["y"], ["w", "r", "b", "l"], **attrs)
    assert known.layer.attrs["steps"] == 5 + 2
    assert known.report.macs == 7 * 3 * H * (C + H)
    assert one("GRU", given, ["y"], ["w", "r", "b"], **attrs).layer.attrs["steps"] == T * N


def test_states_peepholes_and_no_bias(one: One) -> None:
    given = operands("LSTM", bias=False) | {"b": None, "l": None, "h0": f(1, N, H), "c0": f(1, N, H), "p": f(1, 3 * H)}
    model = one("LSTM", given, ["y"], ["w", "r", "p"], hidden_size=H)
    layer = model.layer
    assert list(layer.inputs) == ["x", "weight_ih", "weight_hh", "peephole", "h0", "c0"]
    assert layer.inputs["peephole"].shape == (3 * H,)
    assert layer.inputs["h0"].shape == (N, H)
    # a product and an addition for each of three gates
    plain = one("LSTM", operands("LSTM", bias=False), ["y"], ["w", "r"], hidden_size=H).report
    assert model.report.flops == plain.flops + T * N * 6 * H
    assert model.report.params == plain.params + 3 * H


def test_what_differs_from_the_default_is_said(one: One) -> None:
    weights = ["w", "r", "b"]
    gru = one("GRU", operands("GRU"), ["y"], weights, hidden_size=H, linear_before_reset=1).layer
    assert gru.attrs["reset_after"] is True
    gru = one(
        "GRU", operands("GRU"), ["y"], weights, hidden_size=H, activations=["HardSigmoid", "Tanh"], clip=3.0
    ).layer
    assert (gru.attrs["reset_after"], gru.attrs["activations"], gru.attrs["clip"]) == (
        False,
        ("hardsigmoid", "tanh"),
        3.0,
    )
    rnn = one("RNN", operands("RNN"), ["y"], weights, hidden_size=H, activations=["Relu"])
    assert rnn.layer.attrs["nonlinearity"] == "relu"
    # a comparison in place of an evaluation
    assert rnn.report.layers[0].cost.terms["relu"].cmps == T * N * H
    lstm = one("LSTM", operands("LSTM"), ["y"], weights, hidden_size=H, activations=["Sigmoid", "Tanh", "Tanh"]).layer
    assert "activations" not in lstm.attrs
    lstm = one("LSTM", operands("LSTM"), ["y"], weights, hidden_size=H, input_forget=1).layer
    assert lstm.attrs["input_forget"] is True


def test_batch_first(one: One) -> None:
    given = operands("LSTM", 2)
    given["x"] = f(N, T, C)
    model = one("LSTM", given, ["y", "h"], ["w", "r", "b"], hidden_size=H, layout=1, direction="bidirectional")
    assert model.layers[0].attrs["batch_first"] is True
    assert model.shapes() == {"y": ((N, T, 2, H), "float32"), "h": ((N, 2, H), "float32")}
    assert [layer.attrs["axis"] for layer in model.layers if layer.op == "stack"] == [2, 1]


def test_a_quantised_lstm_forms_the_same_products(one: One) -> None:
    given = {
        "x": f(T, N, C), "w": np.zeros((1, C, 4 * H), np.int8), "r": np.zeros((1, H, 4 * H), np.int8), "b": f(1, 8 * H),
        "l": None, "h": None, "c": None, "p": None, "ws": f(1), "wz": np.zeros(1, np.int8), "rs": f(1),
        "rz": np.zeros(1, np.int8),
    }  # fmt: skip
    weights = ["w", "r", "b", "ws", "wz", "rs", "rz"]
    quantised = one("DynamicQuantizeLSTM", given, ["y"], weights, domain="com.microsoft", hidden_size=H).report
    plain = one("LSTM", operands("LSTM"), ["y"], ["w", "r", "b"], hidden_size=H).report
    assert (quantised.macs, quantised.flops, quantised.params) == (plain.macs, plain.flops, plain.params)


def test_the_table_of_worked_numbers(one: One) -> None:
    """GRU, T = 50, C = H = 128: 50·3·128·256."""
    given = {"x": f(50, 1, 128), "w": f(1, 384, 128), "r": f(1, 384, 128)}
    assert one("GRU", given, ["y"], ["w", "r"], hidden_size=128).report.macs == 50 * 3 * 128 * 256


def test_a_wrong_number_of_directions_is_an_error(one: One) -> None:
    with pytest.raises(ModelError, match="op"):
        _ = one("LSTM", operands("LSTM", 1), ["y"], ["w", "r", "b"], hidden_size=H, direction="bidirectional").layers


def test_a_direction_nobody_knows_stays_without_a_cost(one: One) -> None:
    model = one("LSTM", operands("LSTM", 1), ["y"], ["w", "r", "b"], hidden_size=H, direction="sideways")
    assert model.ops == ["onnx.LSTM"]


@pytest.mark.parametrize("learned", [True, False])
def test_a_start_from_nothing_is_no_parameter(one: One, learned: bool) -> None:
    """Exporters write zeros for the batch they saw."""
    start = np.ones((1, N, H), np.float32) * learned
    given = operands("GRU") | {"l": None, "h0": start}
    report = one("GRU", given, ["y"], ["w", "r", "b", "h0"], hidden_size=H).report
    assert report.graph.parameters["h0"].kind == ("parameter" if learned else "constant")
