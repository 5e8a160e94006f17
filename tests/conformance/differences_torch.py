"""Where a network of PyTorch is not the one of `expected`."""

from __future__ import annotations

from expected import Difference

# four gates, two layers, two directions; each bias is added at every step of both samples
LSTM_BIASES = Difference(
    "two biases a gate, of which one would do", params=4 * 2 * 2 * 64, rest=2 * 12 * 4 * 2 * 2 * 64
)
GRU_BIASES = Difference("two biases a gate, of which one would do", params=3 * 48, rest=2 * 15 * 3 * 48)


def counters(norms: int) -> list[Difference]:
    reason = "every batch norm counts the batches it has seen: an integer that is kept with its statistics"
    return [Difference(reason, buffers=norms)]


DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("resnet_stack", "torch"): counters(6),
    ("mobilenetv2_block", "torch"): counters(6),
    ("generator", "torch"): counters(2),
    ("speech", "torch"): counters(2),
    ("bilstm", "torch"): [LSTM_BIASES],
    ("gru", "torch"): [GRU_BIASES],
}
