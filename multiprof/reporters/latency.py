"""What was measured: a row per measurement of the whole model, then for each the time of every layer."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from multiprof.measurement import COMPARED, GROUP, METHOD, OVERHEAD, WHOLE, Measurement
from multiprof.reporters import summary, text
from multiprof.reporters.tables import Column, facts, table
from multiprof.reporters.text import Terminal

if TYPE_CHECKING:
    from multiprof.layer_report import LayerReport
    from multiprof.prediction import Bound
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
    Column("On device", "right", drop=4),
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
    Column("Layers", most=60),
    Column("Op", drop=3, most=28),
    Column("MACs", "right", drop=2),
    Column("Median", "right"),
    Column("IQR", "right", drop=4),
    Column("Share", "right"),
    Column("MACs/s", "right", drop=1),
    Column("Predicted", "right", drop=5),
)
ROWS = 60
OPS = 4  # of a group that are named
MOST = 6  # steps of no known layer that are named


def render(report: Report, *, top: int | None = None, width: int | None = None, ascii: bool | None = None) -> str:
    """The tables as text; ``top`` shows the that many slowest layers instead of the layers in their order."""
    terminal = Terminal.detect(width, ascii)
    lines = [terminal.cell(summary.heading(report)), ""]
    wholes = [m for m in report.measurements if m.kind == WHOLE]
    if wholes:
        lines += _filled(WHOLES, [_whole(report, m) for m in wholes], terminal)
    else:
        lines += facts([NOTHING], terminal)
    compared = [("Compared", _comparison(m)) for m in report.measurements if m.kind == COMPARED]
    if compared:
        lines += ["", *facts([*compared, ("", METHOD)], terminal)]
    for whole in wholes:
        parts = [m for m in report.measurements if m.kind in (GROUP, OVERHEAD) and _key(m) == _key(whole)]
        if parts:
            lines += ["", terminal.cell(summary.measured_on(whole)), *_layers(report, whole, parts, top, terminal)]
    remarks = [*dict.fromkeys(_memory(report, whole) for whole in wholes if whole.memory)]
    remarks += dict.fromkeys(("Energy", said) for whole in wholes if (said := _energy(whole)))
    remarks += [("Note", note) for whole in wholes for note in _notes(whole)]
    remarks += [pair for prediction in report.predictions for pair in summary.predicted(prediction)]
    remarks += [("Warning", warning) for warning in report.warnings]
    if remarks:
        lines += ["", *facts(dict.fromkeys(remarks), terminal)]
    return "\n".join(lines) + "\n"


def _filled(columns: Sequence[Column], rows: Sequence[list[str]], terminal: Terminal) -> list[str]:
    """The table of those columns that hold anything."""
    kept = [at for at in range(len(columns)) if any(row[at] for row in rows)]
    return table([columns[at] for at in kept], [[row[at] for at in kept] for row in rows], terminal)


def _key(m: Measurement) -> tuple[object, ...]:
    return m.runner, m.route, m.device, m.threads, m.batch, m.precision


def _comparison(m: Measurement) -> str:
    """``b takes 1.25 times as long as a (1.23 to 1.28): 3.1 ms against 2.5 ms, 60 turns on cpu (native), 1 thread``."""
    middle, low, high = m.ratio or (1.0, 1.0, 1.0)
    unknown = "; which is faster is not known" if low <= 1 <= high else ""
    where = "" if m.label.startswith(m.runner) else f" on {summary.measured_on(m)}"
    return (
        f"{m.label} takes {middle:.3f} times as long as {m.against} ({low:.3f} to {high:.3f}){unknown}: "
        f"{text.duration(m.median)} against {text.duration(statistics.median(m.baseline))}, {m.runs:,} turns{where}"
    )


# What the memory of a measurement is called, the one that says most of the model first.
MEMORY = {
    "cuda": "on the device", "arena": "in the runtime's arena", "heap": "more in the C heap",
    "rss": "more in the process, files that it maps included",
}  # fmt: skip


def _held(m: Measurement) -> tuple[str, int] | None:
    return next(((name, m.memory[name]) for name in MEMORY if name in m.memory), None)


def _memory(report: Report, whole: Measurement) -> tuple[str, str]:
    """What was held at most, beside what the analysis says: weights and the most activations alive at once."""
    held = [f"{text.short_size(whole.memory[name])} {said}" for name, said in MEMORY.items() if name in whole.memory]
    said = f"{summary.measured_on(whole)}: {', '.join(held)}"
    if report.peak is None or _batches(report, whole) != 1.0 or whole.precision:
        return "Memory", said
    weights, alive = report.weight_bytes, report.peak.bytes
    return "Memory", (
        f"{said}; predicted {text.short_size(weights + alive)}: {text.short_size(weights)} of weights, "
        f"{text.short_size(alive)} of activations"
    )


def _energy(whole: Measurement) -> str:
    parts = [f"{text.energy(joules)} a run ({counter})" for counter, joules in whole.energy.items()]
    if not parts:
        return str(whole.environment.get("energy", ""))
    return f"{summary.measured_on(whole)}: {', '.join(parts)}, what ran beside it included"


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
    held = _held(m)
    return [
        m.runner,
        m.route,
        m.device,
        "" if m.threads is None else str(m.threads),
        "" if m.batch is None else str(m.batch),
        m.precision,
        text.duration(m.median) + (" !" if m.steadiness else ""),
        text.duration(statistics.median(m.device_times)) if m.device_times else "",
        text.duration(m.iqr),
        text.duration(m.minimum),
        "" if p90 is None else text.duration(p90),
        str(m.runs),
        text.duration(m.phases["first"]) if "first" in m.phases else "",
        text.duration(m.phases["load"]) if "load" in m.phases else "",
        rate,
        "" if held is None else text.short_size(held[1]),
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
    prediction = next((p for p in report.predictions if alike), None)
    kernels = {name: kernel for kernel in (prediction.kernels if prediction else ()) for name in kernel.subject}
    known = {row.name: row for row in report.layers}
    rows = [_layer(known, m, whole, scale, kernels) for m in shown]
    found = sum(m.median for m in groups)
    others = [m for m in parts if m.kind == OVERHEAD]
    beside = sum(m.median for m in others)
    lines = _filled(LAYERS, rows, terminal)
    if len(shown) < len(groups):
        lines.append(
            terminal.cell(f"… and {len(groups) - len(shown):,} more; --top chooses, --format json has them all")
        )
    share = found / whole.median if whole.median else 0.0
    said = f"{text.duration(found)} in layers, {share:.1%} of the {text.duration(whole.median)} of the whole model"
    if beside:
        said += f"; {text.duration(beside)} beside them"
    pairs = [("Sum", said)]
    if gap := whole.median - found - beside:
        pairs.append(("Gap", f"{text.duration(abs(gap))} {'in no row' if gap > 0 else 'more in the rows than in all'}"))
    if prediction and len(report.predictions) > 1:
        pairs.append(("Predicted", f"each row on {prediction.title}, the first of {len(report.predictions):,} devices"))
    named = sorted((m for m in others if m.label), key=lambda m: m.median, reverse=True)
    for m in named[:MOST]:
        pairs.append(("Beside" if m is named[0] else "", f"{text.duration(m.median)} in {m.label}, of no known layer"))
    if len(named) > MOST:
        pairs.append(("", f"and {len(named) - MOST:,} more"))
    return [*lines, *facts(pairs, terminal)]


def _layer(
    known: Mapping[str, LayerReport],
    m: Measurement,
    whole: Measurement,
    scale: float,
    kernels: Mapping[str, Bound],
) -> list[str]:
    rows = [known[name] for name in m.subject if name in known]  # another batch may have layers of its own
    macs = int(sum(row.macs or 0 for row in rows if row.counted) * scale)
    working = [row for row in rows if row.macs or row.state == "priced"] or rows
    more = len(m.subject) - 1
    return [
        (working[0].name if working else m.subject[0]) + (f" +{more}" if more else ""),
        _ops(working),
        text.count(macs) if macs else "",
        text.duration(m.median),
        text.duration(m.iqr),
        f"{m.median / whole.median:.1%}" if whole.median else "",
        text.metric(int(macs / m.median)) if macs and m.median else "",
        _predicted(m.subject, kernels),
    ]


def _predicted(subject: Sequence[str], kernels: Mapping[str, Bound]) -> str:
    """The predicted time of the kernels that a row is made of; empty where one of them reaches beyond the row."""
    found = {id(kernels[name]): kernels[name] for name in subject if name in kernels}.values()
    times = [kernel.seconds for kernel in found]
    if not times or any(name not in subject for kernel in found for name in kernel.subject):
        return ""
    return text.duration(None if None in times else sum(filter(None, times)))


def _ops(rows: list[LayerReport]) -> str:
    """``lstm ×2 + concat``: the ops of a group, those that multiply first."""
    found = Counter(row.op for row in sorted(rows, key=lambda row: not row.macs))
    named = [f"{op} ×{n}" if n > 1 else op for op, n in found.items()]
    return " + ".join(named[:OPS]) + (f" and {len(named) - OPS} more" if len(named) > OPS else "")
