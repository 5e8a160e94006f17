"""LSTM operators against the interpreter's shapes and the textbook's MACs; those written out as a loop, likewise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

N, T, C, H, P = 2, 7, 3, 5, 4


def f(*shape: int) -> np.ndarray:
    return np.full(shape, 0.1, np.float32)


def weights(
    features: int = C, *, coupled: bool = False, peephole: bool = False, projection: int = 0, bias: bool = True
) -> list[Any]:
    """The 17 operands of one direction: input and recurrent weights, peepholes, biases, projection."""
    size = projection or H
    gates = [None if coupled else f(H, features), *(f(H, features) for _ in range(3))]
    recurrent = [None if coupled else f(H, size), *(f(H, size) for _ in range(3))]
    peepholes = [f(H) if peephole and not coupled else None, *(f(H) if peephole else None for _ in range(2))]
    biases = [None if coupled else f(H), f(H), f(H), f(H)]
    return [*gates, *recurrent, *peepholes, *biases, f(projection, H) if projection else None, None]


def states(size: int = H) -> list[Any]:
    return [("state", (N, size)), ("state", (N, H))]


def lstm_macs(steps: int, features: int = C, gates: int = 4, projection: int = 0) -> int:
    return steps * (gates * H * (features + (projection or H)) + H * projection)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("projection", [0, P])
def test_sequence_lstm(one: Callable[..., Any], time_major: bool, peephole: bool, projection: int) -> None:
    x = (T, N, C) if time_major else (N, T, C)
    operands = [x, *weights(peephole=peephole, projection=projection), *states(projection or H)]
    made = one(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, None, None, None, None], ["float32"], "UnidirectionalSequenceLSTM",
        timeMajor=time_major, fusedActivationFunction=4,
    )  # fmt: skip
    (layer,) = [layer for layer in made.graph().layers if layer.op == "lstm"]
    assert layer.y.shape == made.executed()["y0"] == (*x[:2], projection or H)
    assert layer.attrs["steps"] == N * T and layer.attrs["batch_first"] is not time_major
    assert ("peephole" in layer.inputs) is peephole
    report = made.report()
    assert report.macs == lstm_macs(N * T, projection=projection)
    assert report.by_family().keys() >= {"recurrent"}
    values = 4 * H * (C + (projection or H)) + 4 * H + (3 * H if peephole else 0) + projection * H
    assert report.params == values
    assert report.buffers == N * ((projection or H) + H)


@pytest.mark.parametrize(("coupled", "norm"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("projection", [0, P])
def test_cells_written_out(one: Callable[..., Any], coupled: bool, norm: bool, projection: int) -> None:
    norms = [None if coupled else f(H), f(H), f(H), f(H)] if norm else [None] * 4
    operands = [(N, T, C), *weights(coupled=coupled, peephole=True, projection=projection), *states(projection or H)]
    made = one(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, *norms], ["float32"], "UnidirectionalSequenceLSTM",
        fusedActivationFunction=4,
    )  # fmt: skip
    assert made.graph().outputs[0].shape == made.executed()["y0"]
    report = made.report()
    gates = 3 if coupled else 4
    assert report.macs == lstm_macs(N * T, gates=gates, projection=projection)
    (region,) = report.graph.regions.values()
    assert (region.kind, region.trips, region.stateful) == ("loop", T, True)
    kinds = [layer.op for layer in report.graph.layers]
    assert kinds.count("layer_norm") == (gates if norm else 0)
    assert kinds.count("sigmoid") == gates - 1 and kinds.count("tanh") == 2
    assert not report.unsupported()


@pytest.mark.parametrize("merge", [False, True])
def test_bidirectional_lstm(one: Callable[..., Any], merge: bool) -> None:
    operands = [(T, N, C), *weights(), *weights(), *states(), *states(), *([None] * 9)]
    made = one(
        "BIDIRECTIONAL_SEQUENCE_LSTM", operands, ["float32"] * (1 if merge else 2), "BidirectionalSequenceLSTM",
        timeMajor=True, mergeOutputs=merge, fusedActivationFunction=4,
    )  # fmt: skip
    executed = made.executed()
    graph = made.graph()
    assert [spec.shape for spec in graph.outputs] == [executed[f"y{i}"] for i in range(1 if merge else 2)]
    assert [layer.attrs["reverse"] for layer in graph.layers if layer.op == "lstm"] == [False, True]
    assert made.report().macs == 2 * lstm_macs(N * T)


def test_one_step_of_the_basic_kernel(one: Callable[..., Any]) -> None:
    made = one(
        "LSTM", [(N, C), (N, H), f(4 * H, C + H), f(4 * H), (N, H)], ["float32"] * 4, "LSTM", kernelType=1,
        fusedActivationFunction=4, keep=2,
    )  # fmt: skip
    executed = made.executed()
    report = made.report()
    (layer,) = report.graph.layers
    assert (layer.y.shape, layer.outputs["cn"].shape) == (executed["y0"], executed["y1"])
    assert report.macs == lstm_macs(N)
    assert report.params == 4 * H * (C + H) + 4 * H


def test_one_step_of_the_full_kernel(one: Callable[..., Any]) -> None:
    made = one("LSTM", [(N, C), *weights(), *states(), *([None] * 4)], ["float32"], "LSTM", fusedActivationFunction=4)
    assert made.graph().outputs[0].shape == made.executed()["y0"]
    assert made.report().macs == lstm_macs(N)


def test_svdf_by_its_pieces(one: Callable[..., Any]) -> None:
    """Features N·F·C_i macs, time N·F·M; the ranks of a unit are added (R − 1 adds), then the bias."""
    rank, units, memory = 2, 4, 10
    features = rank * units
    operands = [(N, C), f(features, C), f(features, memory), f(units), ("state", (N, features * memory))]
    report = one("SVDF", operands, ["float32"], "SVDF", rank=rank, fusedActivationFunction=1).report()
    assert report.macs == N * features * C + N * features * memory
    rest = N * units * (rank - 1) + N * units + N * units  # sum, bias, relu
    assert report.flops == 2 * report.macs + rest
    assert report.buffers == N * features * memory
