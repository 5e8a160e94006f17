"""Columns that line up, drawn by tabulate; here they are made to fit the terminal, which tabulate cannot.

Whoever draws a table imports this module when it comes to that, so that help loads neither tabulate nor wcwidth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate
from wcwidth import clip, wcswidth, wrap

from multiprof.reporters.text import Terminal

_GAP = "  "  # between two columns
NARROWEST = 12  # columns that are left of a name, whatever the terminal


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, its alignment, how dispensable it is (0: never left out), and the most columns of
    the terminal it takes where those are limited (0: as many as its texts)."""

    title: str
    align: str = "left"
    drop: int = 0
    most: int = 0


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], terminal: Terminal) -> list[str]:
    """Lines of a table. Too wide for the terminal, it loses its dispensable columns, the most dispensable first; then
    its first column is clipped, down to `NARROWEST`."""
    cells = [[terminal.cell(value) for value in row] for row in rows]
    titles = [terminal.cell(column.title) for column in columns]
    if terminal.width is not None:
        widths = [max(map(wcswidth, values)) for values in zip(titles, *cells, strict=True)]
        shown, widths = _fit(columns, widths, terminal.width)
        mark = terminal.cell("…")
        columns = [columns[i] for i in shown]
        titles, *cells = [[_clip(row[i], widths[i], mark) for i in shown] for row in [titles, *cells]]
    rule = Line("", terminal.cell("─"), terminal.cell("─") * len(_GAP), "")
    row = DataRow("", _GAP, "")
    # the titles are a row like the others: headers of tabulate's are two characters wider than what they say
    return _draw(
        [titles, SEPARATING_LINE, *cells],
        TableFormat(None, rule, None, None, row, row, padding=0, with_header_hide=None),
        [column.align for column in columns],
    )


def _fit(columns: Sequence[Column], widths: Sequence[int], limit: int) -> tuple[list[int], list[int]]:
    """Which columns are shown where a line may be ``limit`` wide, and the width of each column."""
    shown = list(range(len(columns)))
    widths = [min(width, column.most or width) for width, column in zip(widths, columns, strict=True)]

    def total() -> int:
        return sum(widths[i] for i in shown) + len(_GAP) * (len(shown) - 1)

    for unwanted in sorted((i for i in shown if columns[i].drop), key=lambda i: -columns[i].drop):
        if total() - max(0, widths[0] - 2 * NARROWEST) > limit:
            shown.remove(unwanted)
    widths[0] = max(min(widths[0], NARROWEST), widths[0] - max(0, total() - limit))
    return shown, widths


def _clip(text: str, width: int, mark: str) -> str:
    return text if wcswidth(text) <= width else clip(text, 0, width - len(mark)) + mark


def plain(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns that line up, without titles; the cells are as the terminal takes them."""
    return _draw(rows, "plain") if rows else []


def facts(pairs: Iterable[tuple[str, str]], terminal: Terminal) -> list[str]:
    """Lines of ``label  text``, the texts aligned and wrapped; an empty label continues the one above."""
    known = [(terminal.cell(label), terminal.cell(text)) for label, text in pairs]
    left = max((wcswidth(label) for label, _ in known), default=0) + len(_GAP)
    rows = []
    for label, text in known:
        parts = wrapped(text, terminal.width and max(20, terminal.width - left))
        rows += [("" if number else label, part) for number, part in enumerate(parts)]
    return plain(rows)


def wrapped(text: str, width: int | None) -> list[str]:
    """Lines of at most ``width`` columns, at least one; words stay whole."""
    return (wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]) if width else [text]


def markdown(titles: Sequence[str], align: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the cells are escaped already."""
    return "\n".join(_draw(rows, "pipe", align, titles))


def _draw(
    rows: Sequence[Sequence[str]],
    style: TableFormat | str,
    align: Sequence[str] | None = None,
    titles: Sequence[str] = (),
) -> list[str]:
    """The cells as they are: no text is taken for a number, and the spaces that indent a name stay."""
    drawn = tabulate(rows, titles, style, disable_numparse=True, colalign=align, preserve_whitespace=True)
    return str(drawn).split("\n")
