"""Where MXNet's networks differ from `expected.EXPECTED`, live and as symbols alike."""

from __future__ import annotations

from expected import Difference

_BIASES = (
    "MXNet's recurrent layers, as cuDNN's, have two biases for every gate, one for the input and one for the state"
)

_ROWS = {
    # four gates of 64 units, two directions, two layers; at each of 2·12 steps one addition more for each of them
    "bilstm": [Difference(_BIASES, params=2 * 2 * 4 * 64, rest=2 * 12 * (2 * 2 * 4 * 64))],
    "gru": [Difference(_BIASES, params=3 * 48, rest=2 * 15 * (3 * 48))],
}

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    (network, route): rows for network, rows in _ROWS.items() for route in ("mxnet", "mxnet-symbol")
}
