"""Where a network of PyTorch is not the one of `expected`."""

from __future__ import annotations

from expected import Difference

# four gates, two layers, two directions; each bias is added at every step of both samples
LSTM_BIASES = Difference(
    "two biases a gate, of which one would do", params=4 * 2 * 2 * 64, rest=2 * 12 * 4 * 2 * 2 * 64
)
GRU_BIASES = Difference("two biases a gate, of which one would do", params=3 * 48, rest=2 * 15 * 3 * 48)

# 1/√16 as √(1/√16) twice: each layer multiplies the elements of q and of k (2 samples, 16 positions, 64 features) where
# PyTorch multiplies the scores (2 samples, 4 heads, 16×16)
SCALED_TWICE = Difference(
    "the exporter scales q and k by the root of the scale, not their products",
    rest=2 * (2 * (2 * 16 * 64)) - 2 * (2 * 4 * 16 * 16),
)


def counters(norms: int) -> list[Difference]:
    reason = "every batch norm counts the batches it has seen: an integer that is kept with its statistics"
    return [Difference(reason, buffers=norms)]


LIVE = {
    "resnet_stack": counters(6),
    "mobilenetv2_block": counters(6),
    "generator": counters(2),
    "speech": counters(2),
    "bilstm": [LSTM_BIASES],
    "gru": [GRU_BIASES],
}
DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    **{(network, route): rows for network, rows in LIVE.items() for route in ("torch", "torch-export")},
    ("transformer_encoder", "torch-export"): [SCALED_TWICE],
}
