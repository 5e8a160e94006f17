"""What was measured: a row per measurement of the whole model, then for each the time of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from multiprof.measurement import GROUP, OVERHEAD, WHOLE, Measurement
from multiprof.reporters import summary, text
from multiprof.reporters.tables import Column, facts, table
from multiprof.reporters.text import Terminal

if TYPE_CHECKING:
    from multiprof.layer_report import LayerReport
    from multiprof.report import Report

NOTHING = ("Measured", "nothing: multiprof bench MODEL measures")
WHOLES = (
    Column("Runner"),
    Column("Route", drop=2),
    Column("Device", drop=6),
    Column("Threads", "right", drop=4),
    Column("Batch", "right", drop=7),
    Column("Precision", drop=5),
    Column("Median", "right"),
    Column("IQR", "right", drop=1),
    Column("Min", "right", drop=3),
    Column("p90", "right", drop=8),
    Column("Runs", "right", drop=9),
    Column("First", "right", drop=10),
    Column("Load", "right", drop=11),
    Column("MACs/s", "right", drop=3),
    Column("Memory", "right", drop=12),
)
LAYERS = (
    Column("Layers"),
    Column("Op", drop=3, most=28),
    Column("MACs", "right", drop=2),
    Column("Median", "right"),
    Column("IQR", "right", drop=4),
    Column("Share", "right"),
    Column("MACs/s", "right", drop=1),
    Column("Predicted", "right", drop=5),
)
ROWS = 60


def render(report: Report, *, top: int | None = None, width: int | None = None, ascii: bool | None = None) -> str:
    """The tables as text; ``top`` shows the that many slowest layers instead of the layers in their order."""
    terminal = Terminal.detect(width, ascii)
    lines = [terminal.cell(summary.heading(report)), ""]
    wholes = [m for m in report.measurements if m.kind == WHOLE]
    if wholes:
        lines += table(WHOLES, [_whole(report, m) for m in wholes], terminal)
    else:
        lines += facts([NOTHING], terminal)
    for whole in wholes:
        parts = [m for m in report.measurements if m.kind != WHOLE and _key(m) == _key(whole)]
        if parts:
            lines += ["", terminal.cell(summary.measured_on(whole)), *_layers(report, whole, parts, top, terminal)]
    remarks = [("Note", note) for whole in wholes for note in _notes(whole)]
    remarks += [pair for prediction in report.predictions for pair in summary.predicted(prediction)]
    remarks += [("Warning", warning) for warning in report.warnings]
    if remarks:
        lines += ["", *facts(dict.fromkeys(remarks), terminal)]
    return "\n".join(lines) + "\n"


def _key(m: Measurement) -> tuple[object, ...]:
    return m.runner, m.route, m.device, m.threads, m.batch, m.precision


def _notes(whole: Measurement) -> list[str]:
    name = summary.measured_on(whole)
    found = [f"{name}: {note}" for note in whole.environment.get("notes", ())]
    if whole.steadiness:
        found.append(f"{name}: {whole.steadiness}: half of the runs differ by {whole.spread:.0%} of the median")
    return found


def _whole(report: Report, m: Measurement) -> list[str]:
    p90 = m.percentile(0.9)
    scale = _batches(report, m)
    rate = text.metric(int(report.macs * scale / m.median)) if m.median and scale else ""
    memory = m.memory.get("arena", m.memory.get("cuda", m.memory.get("rss")))
    return [
        m.runner,
        m.route,
        m.device,
        "" if m.threads is None else str(m.threads),
        "" if m.batch is None else str(m.batch),
        m.precision,
        text.duration(m.median) + (" !" if m.steadiness else ""),
        text.duration(m.iqr),
        text.duration(m.minimum),
        "" if p90 is None else text.duration(p90),
        str(m.runs),
        text.duration(m.phases["first"]) if "first" in m.phases else "",
        text.duration(m.phases["load"]) if "load" in m.phases else "",
        rate,
        "" if memory is None else text.short_size(memory),
    ]


def _batches(report: Report, m: Measurement) -> float:
    """How many times the report's own work a measurement is: they may differ in the batch."""
    if m.batch is None or report.batch is None:
        return 1.0 if m.batch == report.batch or m.batch is None else 0.0
    return m.batch / report.batch


def _layers(
    report: Report, whole: Measurement, parts: list[Measurement], top: int | None, terminal: Terminal
) -> list[str]:
    groups = [m for m in parts if m.kind == GROUP]
    shown = sorted(groups, key=lambda m: m.median, reverse=True)[:top] if top else groups[:ROWS]
    scale = _batches(report, whole)
    # the predictions are of the report's own batch, in the model's own precision
    alike = scale == 1.0 and not whole.precision
    predicted = {k.subject: k.seconds for p in report.predictions[:1] if alike for k in p.kernels}
    known = {row.name: row for row in report.layers}
    rows = [_layer(known, m, whole, scale, predicted) for m in shown]
    found = sum(m.median for m in groups)
    beside = sum(m.median for m in parts if m.kind == OVERHEAD)
    lines = table(LAYERS, rows, terminal)
    if len(shown) < len(groups):
        lines.append(
            terminal.cell(f"… and {len(groups) - len(shown):,} more; --top chooses, --format json has them all")
        )
    share = found / whole.median if whole.median else 0.0
    said = f"{text.duration(found)} in layers, {share:.1%} of the {text.duration(whole.median)} of the whole model"
    if beside:
        said += f"; {text.duration(beside)} beside them"
    return [*lines, *facts([("Sum", said)], terminal)]


def _layer(
    known: Mapping[str, LayerReport],
    m: Measurement,
    whole: Measurement,
    scale: float,
    predicted: Mapping[tuple[str, ...], float | None],
) -> list[str]:
    rows = [known[name] for name in m.subject if name in known]  # another batch may have layers of its own
    macs = int(sum(row.macs or 0 for row in rows if row.counted) * scale)
    working = [row for row in rows if row.macs or row.state == "priced"] or rows
    more = len(m.subject) - 1
    return [
        (working[0].name if working else m.subject[0]) + (f" +{more}" if more else ""),
        " + ".join(row.op for row in working),
        text.count(macs) if macs else "",
        text.duration(m.median),
        text.duration(m.iqr),
        f"{m.median / whole.median:.1%}" if whole.median else "",
        text.metric(int(macs / m.median)) if macs and m.median else "",
        text.duration(predicted[m.subject]) if m.subject in predicted else "",
    ]
