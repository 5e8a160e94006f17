"""What the two exporters of PyTorch make of a network."""

from __future__ import annotations

from expected import Difference

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {}
