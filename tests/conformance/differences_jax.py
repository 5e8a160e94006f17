"""Where JAX's and Flax's networks differ from `expected.EXPECTED`."""

from __future__ import annotations

from expected import Difference

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {}
