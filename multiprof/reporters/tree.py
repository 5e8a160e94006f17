"""The tree of modules, each with the sums of everything in it, wherever and how often it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof.reporters import outline, summary, text, training
from multiprof.reporters.tables import Column, facts, table
from multiprof.reporters.text import Terminal

if TYPE_CHECKING:
    from multiprof.layer_report import Total
    from multiprof.report import Report

COLUMNS = (
    Column("Module"),
    Column("Layers", "right", drop=3),
    Column("Parameters", "right"),
    Column("MACs", "right"),
    Column("FLOPs", "right", drop=1),
    Column("Bytes moved", "right", drop=4),
    Column("Share", "right", drop=2),
)
CLASS = Column("Class", drop=5, most=20)  # where the reader of the model knows them


def render(
    report: Report,
    *,
    depth: int | None = None,
    sort: str | None = None,
    width: int | None = None,
    ascii: bool | None = None,
) -> str:
    """The tree as text; the options are those of the table."""
    terminal = Terminal.detect(width, ascii)
    modules = report.modules()
    children: dict[str, list[str]] = {}
    for path in modules:
        if path:
            children.setdefault(path.rpartition(".")[0], []).append(path)
    if sort is not None:
        for paths in children.values():
            _sort(paths, modules, sort)
    classes = outline.classes(report)
    columns = [COLUMNS[0], CLASS, *COLUMNS[1:]] if classes else COLUMNS
    cells: list[list[str]] = []

    def add(name: str, path: str, total: Total) -> None:
        first, *rest = _cells(name, total, report.macs)
        cells.append([first, *([outline.class_of(report, path, name)] if classes else []), *rest])

    add(report.name, "", report.total)

    def hang(parent: str, before: str, levels: int) -> None:
        paths = children.get(parent, []) if levels else []
        for path in paths:
            last = path == paths[-1]
            name = f"{before}{'└─' if last else '├─'} {path.rpartition('.')[2]}"
            add(name, path, modules[path])
            hang(path, f"{before}{'   ' if last else '│  '}", levels - 1)

    hang("", "", outline.DEPTH if depth is None else depth)
    lines = [terminal.cell(summary.heading(report)), "", *table(columns, cells, terminal)]
    if report.training is not None:
        lines += ["", *facts(training.lines(report), terminal)]
    lines += ["", *facts(summary.notes(report), terminal)]
    if report.warnings:
        lines += ["", *facts((("Warning", warning) for warning in report.warnings), terminal)]
    return "\n".join(lines) + "\n"


def _sort(paths: list[str], modules: dict[str, Total], key: str) -> None:
    if key == "name":
        paths.sort()
    else:
        paths.sort(key=lambda path: -int(getattr(modules[path], key)))


def _cells(name: str, total: Total, whole: int) -> list[str]:
    least = "≥" if total.unsupported else ""
    unknown = total.layers == total.unsupported
    return [
        name,
        text.count(total.layers),
        text.count(total.params) if total.params else "–",
        *("?" if unknown else least + text.count(n) for n in (total.macs, total.flops, total.bytes)),
        outline.share(total.macs, whole),
    ]
