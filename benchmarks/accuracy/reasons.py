"""Why counters differ from the closed forms, a line a reason; read off their code and their figures."""

from __future__ import annotations

REASONS: tuple[tuple[tuple[str, ...], str], ...] = ()
CHANGES: tuple[tuple[tuple[str, ...], str], ...] = ()
