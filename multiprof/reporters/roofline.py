"""What bounds the model on each device it was predicted for: one row per kernel, the slowest first where asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof.reporters import summary, text
from multiprof.reporters.tables import Column, facts, table
from multiprof.reporters.text import Terminal

if TYPE_CHECKING:
    from multiprof.prediction import Bound, Prediction
    from multiprof.report import Report

NOTHING = ("Predicted", "nothing: name a machine with --device, or call multiprof.predict")
COLUMNS = (
    Column("Kernel"),
    Column("Op", drop=3, most=24),
    Column("Operations", "right", drop=4),
    Column("Bytes moved", "right", drop=5),
    Column("Operations/byte", "right", drop=1),
    Column("Bound"),
    Column("Predicted", "right"),
    Column("Share", "right", drop=2),
)


def render(report: Report, *, top: int | None = None, width: int | None = None, ascii: bool | None = None) -> str:
    """A table per device; ``top`` shows the that many slowest kernels instead of all in the order they run."""
    terminal = Terminal.detect(width, ascii)
    lines = [terminal.cell(summary.heading(report))]
    if not report.predictions:
        lines += ["", *facts([NOTHING], terminal)]
    for prediction in report.predictions:
        kernels = list(prediction.kernels)
        if top is not None:
            kernels = sorted(kernels, key=lambda kernel: kernel.seconds or 0.0, reverse=True)[:top]
        rows = [_cells(report, prediction, kernel) for kernel in kernels]
        lines += ["", *table(COLUMNS, rows, terminal)]
        if len(kernels) < len(prediction.kernels):
            lines.append(terminal.cell(f"… and {len(prediction.kernels) - len(kernels):,} more kernels"))
        lines += ["", *facts(summary.predicted(prediction), terminal)]
    return "\n".join(lines) + "\n"


def _cells(report: Report, prediction: Prediction, kernel: Bound) -> list[str]:
    share = kernel.seconds / prediction.seconds if kernel.seconds and prediction.seconds else 0.0
    more = len(kernel.subject) - 1
    ops = [report.layer(name).op for name in kernel.subject]
    return [
        kernel.subject[0] + (f" +{more}" if more else ""),
        " + ".join(ops),
        text.count(kernel.operations),
        text.count(kernel.bytes),
        "" if kernel.intensity is None else f"{kernel.intensity:.2f}",
        kernel.bound,
        text.duration(kernel.seconds),
        f"{share:.1%}",
    ]
