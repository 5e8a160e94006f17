"""Where a network of PyTorch is not the one of `expected`."""

from __future__ import annotations

from expected import Difference

TWO_BIASES = "two biases a gate, of which one would do"
COUNTERS = "every batch norm counts the batches it has seen: an integer that is kept with its statistics"


def counters(norms: int) -> list[Difference]:
    return [Difference(COUNTERS, buffers=norms)]


DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("resnet_stack", "torch"): counters(6),
    ("mobilenetv2_block", "torch"): counters(6),
    ("generator", "torch"): counters(2),
    ("speech", "torch"): counters(2),
    # four gates, two layers, two directions; each bias is added at every step of both samples
    ("bilstm", "torch"): [Difference(TWO_BIASES, params=4 * 2 * 2 * 64, rest=2 * 12 * 4 * 2 * 2 * 64)],
    ("gru", "torch"): [Difference(TWO_BIASES, params=3 * 48, rest=2 * 15 * 3 * 48)],
}
