"""What is said of a training step: its operations, what is kept for the backward pass, and the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiprof.reporters import text
from multiprof.training import FORWARD, UPDATE, StepPeak

if TYPE_CHECKING:
    from multiprof.report import Report


def lines(report: Report) -> list[tuple[str, str]]:
    """Labels and texts; none where no training step was analysed."""
    training, step = report.training, report.step
    if training is None or step is None:
        return []
    least = "at least " if report.unsupported() or training.unsupported() else ""
    parts = [f"{report.macs:,} forward", f"{training.backward.macs:,} backward"]
    if training.recomputed:
        parts.append(f"{training.recomputed.macs:,} forward again")
    rows = [("Training step", f"{least}{text.with_metric(step.macs)} MACs: {' + '.join(parts)}")]
    update = training.update.flops
    of_it = f", {update:,} of them the update by {training.optimizer}" if training.optimizer else ", without an update"
    rows.append(("", f"{least}{text.with_metric(step.flops)} FLOPs{of_it}"))
    rows.append(("Saved", f"{text.size(training.saved_bytes)} of activations kept for the backward pass"))
    rows.append(("Gradients", f"{text.size(training.gradient_bytes)} of trained weights"))
    if training.optimizer:
        states = ", ".join(f"{name} {text.short_size(size)}" for name, size in training.states.items())
        kept = f"{text.size(training.state_bytes)}" + (f": {states}" if states else "")
        rows.append(("States", f"{kept}, kept by {training.optimizer}"))
    return rows + _peak(training.peak)


def _peak(peak: StepPeak | None) -> list[tuple[str, str]]:
    if peak is None:
        return [("Peak of a step", "unknown: a tensor has a data-dependent size")]
    when = "the update" if peak.phase == UPDATE else f"the {peak.phase} pass, at {peak.layer}"
    parts = [
        (peak.weights, "weights and buffers"),
        (peak.gradients, "their gradients"),
        (peak.states, "states"),
        (peak.activations, "activations, inputs and outputs among them"),
        (peak.flowing, "gradients under way" if peak.phase != FORWARD else "under way"),
    ]
    of = ", ".join(f"{text.short_size(size)} {name}" for size, name in parts if size)
    return [("Peak of a step", f"{text.size(peak.bytes)} in {when}"), ("", f"{of}; no workspace")]
