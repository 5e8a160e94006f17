"""Recurrent layers: closed forms, and one canonical layer for each direction, whatever loop the backend runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]
Ops = Callable[[Report], dict[str, list[Any]]]

S = 2 * 20  # sequences · steps
N = 7 + 5  # input size and hidden size

# (layer, canonical op, how many of it, multiply-adds): 4, 3 and 1 products of [x, h] for each unit and step
CANONICAL: dict[str, tuple[Callable[[], Any], str, int, int]] = {
    "lstm": (lambda: layers.LSTM(5), "lstm", 1, S * 4 * 5 * N),
    "lstm of sequences": (lambda: layers.LSTM(5, use_bias=False, return_sequences=True), "lstm", 1, S * 4 * 5 * N),
    "lstm backwards": (lambda: layers.LSTM(5, unroll=True, go_backwards=True), "lstm", 1, S * 4 * 5 * N),
    "lstm cell": (lambda: layers.RNN(layers.LSTMCell(5)), "lstm", 1, S * 4 * 5 * N),
    "gru": (lambda: layers.GRU(5), "gru", 1, S * 3 * 5 * N),
    "gru, reset before": (lambda: layers.GRU(5, reset_after=False), "gru", 1, S * 3 * 5 * N),
    "rnn": (lambda: layers.SimpleRNN(5, activation="relu"), "rnn", 1, S * 5 * N),
    "both directions": (lambda: layers.Bidirectional(layers.GRU(5)), "gru", 2, 2 * S * 3 * 5 * N),
}


@pytest.mark.parametrize("name", CANONICAL)
def test_a_recurrent_layer_is_one_layer_for_each_direction(
    name: str, analyze: Analyze, ops_of: Ops, kept: Callable[[Report], int]
) -> None:
    make, op, count, macs = CANONICAL[name]
    x = layers.Input((20, 7))
    model = keras.Model(x, make()(x))
    report = analyze(model, (2, 20, 7))
    assert report.macs == macs
    assert len(ops_of(report)[op]) == count
    assert not report.graph.regions
    assert kept(report) == model.count_params()
    assert not {"fill", "slice", "sum", "maximum"} & ops_of(report).keys()
    assert report.graph.outputs[0].shape == tuple(2 if d is None else d for d in model.output.shape)


@pytest.mark.parametrize(("reset_after", "biases"), [(True, 2), (False, 1)])
def test_the_biases_of_a_gru(reset_after: bool, biases: int, analyze: Analyze, ops_of: Ops) -> None:
    """Reset after the product needs a bias in each product: 3·H additions more a step."""
    x = layers.Input((20, 7))
    report = analyze(keras.Model(x, layers.GRU(5, reset_after=reset_after)(x)), (2, 20, 7))
    (gru,) = [layer for layer in report.layers if layer.layer.op == "gru"]
    assert gru.cost.terms["bias"].adds == S * 3 * 5 * biases
    assert gru.layer.attrs["reset_after"] is reset_after
    assert report.params == 3 * 5 * (7 + 5 + biases)


def test_given_states_are_read_and_made(analyze: Analyze, ops_of: Ops) -> None:
    x, h, c = layers.Input((20, 7)), layers.Input((5,), name="h"), layers.Input((5,), name="c")
    model = keras.Model([x, h, c], layers.LSTM(5, return_sequences=True, return_state=True)(x, initial_state=[h, c]))
    report = analyze(model, dims={"batch": 2})
    (lstm,) = ops_of(report)["lstm"]
    assert (lstm.inputs["h0"].name, lstm.inputs["c0"].name) == ("h", "c")
    assert [lstm.outputs[role].shape for role in ("y", "hn", "cn")] == [(2, 20, 5), (2, 5), (2, 5)]
    assert [spec.shape for spec in report.graph.outputs] == [(2, 20, 5), (2, 5), (2, 5)]


def test_a_shared_recurrent_layer_counts_at_every_call(analyze: Analyze, ops_of: Ops) -> None:
    x, y = layers.Input((20, 7)), layers.Input((10, 7))
    shared = layers.LSTM(5)
    report = analyze(keras.Model([x, y], layers.add([shared(x), shared(y)])), dims={"batch": 2})
    assert [layer.attrs["steps"] for layer in ops_of(report)["lstm"]] == [40, 20]
    assert report.macs == (40 + 20) * 4 * 5 * N


# Loops that stay loops, of the backend or written out: (layer, shape, multiply-adds)
LOOPS: dict[str, tuple[Callable[[], Any], tuple[int, ...], int]] = {
    "another activation": (lambda: layers.LSTM(5, activation="relu"), (2, 20, 7), S * 4 * 5 * N),
    "stacked cells": (
        lambda: layers.RNN([layers.LSTMCell(4), layers.LSTMCell(5)]),
        (2, 20, 7),
        S * 4 * (4 * (7 + 4) + 5 * (4 + 5)),
    ),
    # 4 steps, 4 gates of 2 channels, each a 3×3 convolution of 3 + 2 channels over 6×6 places
    "convolutional": (lambda: layers.ConvLSTM2D(2, 3, padding="same"), (1, 4, 6, 6, 3), 4 * 4 * 2 * 36 * 9 * 5),
}


@pytest.mark.parametrize("name", LOOPS)
def test_another_recurrence_costs_all_of_its_steps(name: str, analyze: Analyze) -> None:
    make, shape, macs = LOOPS[name]
    x = layers.Input(shape[1:])
    report = analyze(keras.Model(x, make()(x)), shape)
    assert report.macs == macs
    assert not report.unsupported()
    assert all(region.stateful for region in report.graph.regions.values() if region.kind == "loop")


def test_masked_steps_are_counted_and_said(analyze: Analyze) -> None:
    x = layers.Input((20,), dtype="int32")
    report = analyze(keras.Model(x, layers.GRU(5)(layers.Embedding(9, 7, mask_zero=True)(x))), (2, 20))
    assert report.macs == S * 3 * 5 * N
    assert any("masked" in warning for warning in report.warnings)
