"""Text for terminals and files: safe cells, columns that line up, numbers with units."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

# What a terminal without these characters shows instead.
_PLAIN = str.maketrans(
    {
        "├": "|", "└": "`", "│": "|", "─": "-", "×": "x", "·": "*", "…": "~", "≥": ">=", "–": "-", "−": "-",
        "→": "->", "²": "^2", "ₒ": "_o",
    }
)  # fmt: skip
_GLYPHS = "├└│─×·…≥–"
_GAP = "  "  # between two columns
NARROWEST = 12  # columns that are left of a name, whatever the terminal


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


def columns_of(text: str) -> int:
    """How many terminal columns ``text`` takes: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clip(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` columns; what is cut off is replaced by ``mark``."""
    if columns_of(text) <= width:
        return text
    kept = ""
    for character in text:
        if columns_of(kept + character) > width - len(mark):
            break
        kept += character
    return kept + mark


def pad(text: str, width: int, align: str) -> str:
    """``text`` filled up to ``width`` columns; ``align`` is ``l`` or ``r``."""
    space = " " * (width - columns_of(text))
    return space + text if align == "r" else text + space


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, ``l`` or ``r``, how dispensable it is (0: never left out), and the most columns
    it takes where the width is limited (0: as many as its texts)."""

    title: str
    align: str = "l"
    drop: int = 0
    most: int = 0


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], terminal: Terminal) -> list[str]:
    """Lines of a table. Too wide for the terminal, it loses its dispensable columns, the most dispensable first; then
    its first column is clipped, down to `NARROWEST`."""
    cells = [[terminal.cell(value) for value in row] for row in rows]
    titles = [terminal.cell(column.title) for column in columns]
    widths = [max(map(columns_of, values)) for values in zip(titles, *cells, strict=True)]
    shown = list(range(len(columns)))
    if terminal.width is not None:
        widths = [min(width, column.most or width) for width, column in zip(widths, columns, strict=True)]
        for unwanted in sorted((i for i in shown if columns[i].drop), key=lambda i: -columns[i].drop):
            if _total(shown, widths) - max(0, widths[0] - 2 * NARROWEST) > terminal.width:
                shown.remove(unwanted)
        widths[0] = max(min(widths[0], NARROWEST), widths[0] - max(0, _total(shown, widths) - terminal.width))
    mark = terminal.cell("…")
    lines = []
    for row in [titles, *cells]:
        fitted = (pad(clip(row[i], widths[i], mark), widths[i], columns[i].align) for i in shown)
        lines.append(_GAP.join(fitted).rstrip())
    lines.insert(1, terminal.cell("─") * _total(shown, widths))
    return lines


def _total(shown: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[i] for i in shown) + len(_GAP) * (len(shown) - 1)


def facts(pairs: Iterable[tuple[str, str]], terminal: Terminal) -> list[str]:
    """Lines of ``label  text``, the texts aligned and wrapped; an empty label continues the one above."""
    known = [(terminal.cell(label), terminal.cell(text)) for label, text in pairs]
    left = max((columns_of(label) for label, _ in known), default=0)
    width = max(20, terminal.width - left - len(_GAP)) if terminal.width else None
    lines = []
    for label, text in known:
        parts = wrap(text, width, break_long_words=False, break_on_hyphens=False) if width else [text]
        for number, part in enumerate(parts or [""]):
            lines.append((pad("" if number else label, left, "l") + _GAP + part).rstrip())
    return lines


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


def shape(dims: Sequence[int | None]) -> str:
    """``1×64×112×112``; ``?`` for an unknown dimension, ``scalar`` for none."""
    return "×".join("?" if d is None else str(d) for d in dims) if dims else "scalar"
