"""placeholder"""

from __future__ import annotations

from expected import Difference

DIFFERENCES: dict[tuple[str, str], list[Difference]] = {}
