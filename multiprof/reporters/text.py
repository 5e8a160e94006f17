"""Text for terminals and files: safe cells, numbers with units."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# What a terminal without these characters shows instead.
_PLAIN = str.maketrans(
    {
        "├": "|", "└": "`", "│": "|", "─": "-", "×": "x", "·": "*", "…": "~", "≥": ">=", "–": "-", "−": "-",
        "→": "->", "²": "^2", "ₒ": "_o",
    }
)  # fmt: skip
_GLYPHS = "├└│─×·…≥–"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where text goes: how many columns it has (``None``: as many as wanted) and whether it can show ASCII only."""

    width: int | None = None
    ascii: bool = False

    @classmethod
    def detect(cls, width: int | None = None, ascii: bool | None = None) -> Terminal:
        """Standard output as it is; ``width`` (0: unlimited) and ``ascii`` decide where they are given."""
        if width is None and sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
        return cls(width or None, not _shows_glyphs() if ascii is None else ascii)

    def cell(self, text: str) -> str:
        """``text`` as one safe line in the characters that can be shown."""
        text = clean(text)
        if not self.ascii:
            return text
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


def _shows_glyphs() -> bool:
    try:
        _GLYPHS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def clean(text: str) -> str:
    """``text`` without characters that control a terminal or hide others: those are written out as escapes."""
    if text.isprintable():  # false for control, format, surrogate and separator characters other than the space
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def count(value: int | None) -> str:
    """``25,557,032``; ``?`` where unknown."""
    return "?" if value is None else f"{value:,}"


def metric(value: int) -> str:
    """``4.09 G``: three digits and a decimal prefix; empty below a thousand."""
    return _scaled(value, 1000, ("k", "M", "G", "T", "P", "E"))


def size(value: int | None) -> str:
    """``9,633,792 bytes (9.19 MiB)``."""
    if value is None:
        return "unknown"
    short = short_size(value)
    return f"{value:,} bytes" + (f" ({short})" if value >= 1024 else "")


def short_size(value: int) -> str:
    """``9.19 MiB``, or whole bytes below 1 KiB."""
    return _scaled(value, 1024, ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")) or f"{value} bytes"


def with_metric(value: int) -> str:
    """``4,089,184,256 (4.09 G)``."""
    short = metric(value)
    return f"{value:,} ({short})" if short else f"{value:,}"


def _scaled(value: int, base: int, units: Sequence[str]) -> str:
    scaled = float(value)
    unit = ""
    for next_unit in units:
        if abs(scaled) < base:
            break
        scaled, unit = scaled / base, next_unit
    return f"{scaled:.{2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0}f} {unit}" if unit else ""


def duration(seconds: float | None) -> str:
    """``17.2 ms``: three digits and a decimal prefix; ``?`` where unknown."""
    if seconds is None:
        return "?"
    return _small(seconds, "s")


def energy(joules: float) -> str:
    """``12.5 mJ``."""
    return _small(joules, "J")


def _small(value: float, unit: str) -> str:
    """Three digits in the largest unit in which they make one or more, once rounded: 999.9 ms are ``1 s``."""
    if value >= 999.5:
        return f"{value:,.0f} {unit}"
    for prefix, scale in (("", 1.0), ("m", 1e-3), ("µ", 1e-6)):
        if float(shown := f"{value / scale:.3g}") >= 1:
            return f"{shown} {prefix}{unit}"
    return f"{value * 1e9:.3g} n{unit}"


def shape(dims: Sequence[int | None]) -> str:
    """``1×64×112×112``; ``?`` for an unknown dimension, ``scalar`` for none."""
    return "×".join("?" if d is None else str(d) for d in dims) if dims else "scalar"
