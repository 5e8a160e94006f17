"""Recurrent layers: at every step, each gate is a product with the input and one with the state."""

from __future__ import annotations

from typing import Any

from torch import nn, randn
from torch.nn.utils.rnn import pack_padded_sequence

from accuracy.battery import Call, case

S, N = 20, 2  # steps and sequences


@case("LSTM", S * N * 4 * 128 * (64 + 128), S * N * 8 * 128)
def lstm() -> Any:
    return nn.LSTM(64, 128), randn(S, N, 64)


@case("LSTM, batch first, 2 layers, both directions",
      2 * S * N * 4 * 128 * (64 + 128) + 2 * S * N * 4 * 128 * (256 + 128), 4 * S * N * 8 * 128)  # fmt: skip
def lstm_both() -> Any:
    return nn.LSTM(64, 128, 2, batch_first=True, bidirectional=True), randn(N, S, 64)


@case("LSTM with a projection to 32", S * N * (4 * 128 * (64 + 32) + 128 * 32), S * N * 8 * 128)
def lstm_projected() -> Any:
    return nn.LSTM(64, 128, proj_size=32), randn(S, N, 64)


@case("LSTM of packed sequences of 20 and 8", (20 + 8) * 4 * 128 * (64 + 128), 28 * 8 * 128)
def lstm_packed() -> Any:
    def function(m: Any, x: Any) -> Any:
        return m.parts[0](pack_padded_sequence(x, [20, 8], batch_first=True))[0].data

    return Call(function, nn.LSTM(64, 128, batch_first=True)), randn(2, 20, 64)


@case("LSTM with a state given", S * N * 4 * 128 * (64 + 128), S * N * 8 * 128)
def lstm_state() -> Any:
    return nn.LSTM(64, 128), (randn(S, N, 64), (randn(1, N, 128), randn(1, N, 128)))


@case("GRU", S * N * 3 * 128 * (64 + 128), S * N * 6 * 128)
def gru() -> Any:
    return nn.GRU(64, 128), randn(S, N, 64)


@case("GRU, both directions, no bias", 2 * S * N * 3 * 128 * (64 + 128))
def gru_both() -> Any:
    return nn.GRU(64, 128, bidirectional=True, bias=False), randn(S, N, 64)


@case("RNN, tanh", S * N * 128 * (64 + 128), S * N * 2 * 128)
def rnn() -> Any:
    return nn.RNN(64, 128), randn(S, N, 64)


@case("RNN, relu, 3 layers", S * N * 128 * (64 + 128 + 4 * 128), 3 * S * N * 2 * 128)
def rnn_relu() -> Any:
    return nn.RNN(64, 128, 3, nonlinearity="relu"), randn(S, N, 64)


@case("LSTM cell in a loop", S * N * 4 * 128 * (64 + 128), S * N * 8 * 128)
def lstm_cell() -> Any:
    def function(m: Any, x: Any) -> Any:
        state = None
        for step in x:
            state = m.parts[0](step, state)
        return state

    return Call(function, nn.LSTMCell(64, 128)), randn(S, N, 64)


@case("GRU cell in a loop", S * N * 3 * 128 * (64 + 128), S * N * 6 * 128)
def gru_cell() -> Any:
    def function(m: Any, x: Any) -> Any:
        h = None
        for step in x:
            h = m.parts[0](step, h)
        return h

    return Call(function, nn.GRUCell(64, 128)), randn(S, N, 64)


@case("RNN cell, once", N * 128 * (64 + 128), N * 2 * 128)
def rnn_cell() -> Any:
    return nn.RNNCell(64, 128), (randn(N, 64), randn(N, 128))


@case("embedding, GRU, head", 16 * 3 * 128 * (64 + 128) + 16 * 128 * 50, 16 * 6 * 128 + 16 * 50)
def tagger() -> Any:
    import torch

    parts = nn.Embedding(100, 64), nn.GRU(64, 128, batch_first=True), nn.Linear(128, 50)
    function = Call(lambda m, x: m.parts[2](m.parts[1](m.parts[0](x))[0]), *parts)
    return function, torch.zeros(1, 16, dtype=torch.int64)
