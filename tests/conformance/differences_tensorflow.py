"""Where a network of raw TensorFlow is not the one of `expected`."""

from __future__ import annotations

from expected import Difference

STEPS, UNITS = 15, 48

GRU = [
    Difference(
        "the GRU's steps are written out one after the other, in no loop: its products are those of dense layers",
        macs={
            "recurrent": -2 * STEPS * 3 * UNITS * (32 + UNITS),
            "linear": 2 * STEPS * 3 * UNITS * (32 + UNITS),
        },
    ),
    Difference(
        "input and state of the GRU are one row before they meet the kernel: no two products to add up in a gate",
        rest=-2 * STEPS * 3 * UNITS,
    ),
]

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("gru", "tensorflow"): GRU,
    ("gru", "tensorflow-saved"): GRU,
    ("gru", "tensorflow-frozen"): [
        *GRU,
        Difference(
            "in a frozen graph the zeros that the state starts from are a constant as weights are; nothing tells which",
            params=2 * UNITS,
        ),
    ],
}
