"""The default: the model as a tree of modules with shapes, kernels, parameters and MACs, and the totals below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof.reporters import outline, summary
from multiprof.reporters.outline import Node
from multiprof.reporters.tables import Column, facts, table
from multiprof.reporters.text import Terminal

if TYPE_CHECKING:
    from multiprof.report import Report

# A column for what the rows are sorted by, where it is not there anyway.
EXTRA = {"flops": "FLOPs", "bytes": "Bytes moved"}


def render(
    report: Report,
    *,
    depth: int | None = None,
    sort: str | None = None,
    top: int | None = None,
    width: int | None = None,
    ascii: bool | None = None,
) -> str:
    """The table as text.

    ``depth`` is how many levels of modules are opened; ``sort`` orders the parts of each module (macs, params, flops,
    bytes, name) instead of the order they ran in; ``top`` shows the that many dearest layers instead of the tree.
    ``width`` in columns (0: unlimited) and ``ascii`` are those of standard output unless given.
    """
    terminal = Terminal.detect(width, ascii)
    unlisted: summary.Pairs = []
    if top is None:
        root = outline.outline(report, depth, sort)
        rows = _tree(root)
        cut = max(0, len(rows) - outline.ROWS) if depth is None else 0
        more = f"{cut:,} more rows: --depth or --top chooses, --format csv has them all"
        unlisted = summary.hidden(root)
    else:
        layers = outline.order([outline.single(report, row) for row in report.layers], sort or "macs")
        rows = [(node.name, node) for node in layers]
        cut = max(0, len(rows) - top)
        more = f"{cut:,} more layers"
    rows = rows[: len(rows) - cut]
    columns = [
        Column("Layer"),
        Column(outline.kind_title(report), drop=1, most=20),
        Column("Input", drop=4),
        Column("Output", drop=3),
        Column("Kernel", drop=5),
        Column("Parameters", "right"),
        Column("MACs", "right"),
        *([Column(EXTRA[sort], "right")] if sort in EXTRA else []),
        Column("Share", "right", drop=2),
    ]
    cells = [_cells(report, name, node, sort) for name, node in rows]
    lines = [terminal.cell(summary.heading(report)), "", *table(columns, cells, terminal)]
    if cut:
        lines.append(terminal.cell(f"… and {more}"))
    lines += [
        "",
        *facts(summary.totals(report), terminal),
        "",
        *facts([*summary.notes(report), *unlisted], terminal),
    ]
    if report.warnings:
        lines += ["", *facts((("Warning", warning) for warning in report.warnings), terminal)]
    return "\n".join(lines) + "\n"


def _cells(report: Report, name: str, node: Node, sort: str | None) -> list[str]:
    return [
        name,
        outline.kind(report, node),
        outline.input_shape(report, node),
        outline.output_shape(node),
        outline.kernel(node),
        outline.params(report, node),
        outline.amount(node, "macs"),
        *([outline.amount(node, sort)] if sort in EXTRA else []),
        outline.share(node.total.macs, report.macs),
    ]


def _tree(root: Node) -> list[tuple[str, Node]]:
    """Every node with its name behind the glyphs that show where it hangs."""
    rows = [(root.name, root)]

    def hang(nodes: list[Node], before: str) -> None:
        for node in nodes:
            last = node is nodes[-1]
            rows.append((f"{before}{'└─' if last else '├─'} {node.name}", node))
            hang(node.parts, f"{before}{'   ' if last else '│  '}")

    hang(root.parts, "")
    return rows
