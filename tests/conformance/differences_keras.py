"""Where a network of Keras, on one of its backends or as a SavedModel, is not the one of `expected`."""

from __future__ import annotations

from expected import Difference

ROUTES = ("keras-tensorflow", "keras-jax", "keras-torch", "keras-saved")

RESET_AFTER = Difference(
    "Keras's GRU resets after the product with the state, which has a bias of its own then: a second row a gate",
    params=3 * 48,
    rest=2 * 15 * 3 * 48,  # added at every step of both samples
)

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {("gru", route): [RESET_AFTER] for route in ROUTES}
