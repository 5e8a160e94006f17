"""Where JAX's and Flax's networks differ from `expected.EXPECTED`."""

from __future__ import annotations

from expected import Difference

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {
    ("gru", "flax"): [
        Difference(
            "Flax's GRU (linen) resets after the product of the state, which has a bias of its own in one gate",
            params=48,
            rest=2 * 15 * 48,
        )
    ],
}
