"""Markdown tables: the totals first, then the modules, for pull requests and README files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from multiprof.reporters import outline, summary
from multiprof.reporters.table import EXTRA
from multiprof.reporters.tables import markdown
from multiprof.reporters.text import clean

if TYPE_CHECKING:
    from multiprof.report import Report

DEPTH = 2  # levels opened unless told otherwise: a pull request shows less than a terminal
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]#|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def render(report: Report, *, depth: int | None = None, sort: str | None = None, top: int | None = None) -> str:
    """The report as Markdown; ``depth``, ``sort`` and ``top`` are those of the table, but two levels are opened."""
    if top is None:
        root = outline.outline(report, depth, sort, DEPTH)
        nodes = [node for _, node in outline.walk(root)]
        notes = [*summary.notes(report), *summary.hidden(root)]
        if depth is None and len(nodes) > outline.ROWS:
            notes.append(("Cut", f"{len(nodes) - outline.ROWS:,} more rows: --depth or --top chooses"))
            nodes = nodes[: outline.ROWS]
    else:
        nodes = outline.order([outline.single(report, row) for row in report.layers], sort or "macs")[:top]
        notes = summary.notes(report)
    notes += [("Warning", warning) for warning in report.warnings]
    rows = [
        [
            _code(node.path) if node.path else f"**{_plain(node.name)}**",
            _plain(outline.kind(report, node)),
            outline.input_shape(report, node),
            outline.output_shape(node),
            outline.kernel(node),
            outline.params(report, node),
            outline.amount(node, "macs"),
            *([outline.amount(node, sort)] if sort in EXTRA else []),
            outline.share(node.total.macs, report.macs),
        ]
        for node in nodes
    ]
    titles = ["Layer", outline.kind_title(report), "Input", "Output", "Kernel", "Parameters", "MACs", "Share"]
    if sort in EXTRA:
        titles.insert(7, EXTRA[sort])
    parts = [
        f"### {_plain(summary.heading(report))}",
        markdown(["", ""], ["left", "left"], _facts([*summary.totals(report), *notes])),
        markdown(titles, ["left"] * 5 + ["right"] * (len(titles) - 5), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[_plain(label), _plain(said)] for label, said in pairs]


def _plain(said: str) -> str:
    """Text in which nothing is taken for markup."""
    return clean(said).translate(_SPECIAL)


def _code(name: str) -> str:
    """A name as code; a table cell ends at a bar even there, and a span at a backquote."""
    return f"`{clean(name).replace('`', chr(39)).replace('|', chr(92) + '|')}`"
