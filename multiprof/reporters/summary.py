"""What is said of the whole model: totals, coverage, what was folded or left out, and how the model was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from multiprof.layer_report import UNSUPPORTED
from multiprof.measurement import WHOLE, Measurement
from multiprof.prediction import BOUNDS, Prediction
from multiprof.reporters import text, training
from multiprof.reporters.outline import Node, walk

if TYPE_CHECKING:
    from multiprof.layer_report import LayerReport
    from multiprof.report import Report

Pairs = list[tuple[str, str]]
CONVENTIONS = {
    "default": (
        "default: 1 MAC is one multiply-add of a dot product; FLOPs are 2·MACs + adds + muls + divs + cmps + exps"
    )
}
NAMED = 8  # how many names a list shows before it only counts


def heading(report: Report) -> str:
    """``ResNet (torch), x: 1×3×224×224 float32``."""
    inputs = ", ".join(f"{spec.name}: {text.shape(spec.shape)} {spec.dtype}" for spec in report.graph.inputs)
    return f"{report.name} ({report.framework})" + (f", {inputs}" if inputs else "")


def totals(report: Report) -> Pairs:
    """Labels and texts of the figures."""
    predictions = [pair for prediction in report.predictions for pair in predicted(prediction)]
    measured = [("Measured", measured_text(m)) for m in report.measurements if m.kind == WHOLE]
    return [*_weights(report), *_operations(report), *_memory(report), *training.lines(report), *measured, *predictions]


def notes(report: Report) -> Pairs:
    """Labels and texts of everything a reader must know to trust the figures."""
    pairs = [("Coverage", _coverage(report))]
    missing: dict[tuple[str, str], list[str]] = {}
    for row in report.layers:
        if row.state == UNSUPPORTED:
            missing.setdefault((row.op, row.reason), []).append(row.name)
    for (name, reason), layers in missing.items():
        pairs.append(("Unsupported", f"{name}: {_names(layers)}" + (f" ({reason})" if reason else "")))
    if folded := report.folded():
        pairs.append(("Folded", f"{_layers_by_op(folded)}; merged into a layer beside at inference"))
    if prepared := report.prepared():
        pairs.append(("Prepared", f"{_layers_by_op(prepared)}; only weights go in: done once, not in the totals"))
    if unused := report.unused_parameters():
        elements = sum(report.graph.parameters[name].spec.numel for name in unused)
        pairs.append(("Unused", f"{_plural(elements, 'parameter')} that no layer reads: {_names(unused)}"))
    pairs.append(("Convention", CONVENTIONS.get(report.convention, report.convention)))
    pairs.append(("Read", _reading(report)))
    return pairs


def measured_text(m: Measurement) -> str:
    """``12.3 ms on cpu (native), 1 thread: median of 81 runs, IQR 0.2 ms``."""
    flag = f", {m.steadiness}" if m.steadiness else ""
    time = text.duration(m.median)
    return f"{time} on {measured_on(m)}: median of {_plural(m.runs, 'run')}, IQR {text.duration(m.iqr)}{flag}"


def measured_on(m: Measurement) -> str:
    """``gpu (synthesised, cuda), 1 thread, fp16, batch 8``."""
    where = m.route if m.device in ("", m.runner) else f"{m.route}, {m.device}"
    parts = [f"{m.runner} ({where})"]
    if m.threads is not None:
        parts.append(_plural(m.threads, "thread"))
    parts += [m.precision] if m.precision else []
    parts += [f"batch {m.batch}"] if m.batch is not None else []
    return ", ".join(parts) + ("" if m.isolated else ", not in a process of its own")


def predicted(prediction: Prediction) -> Pairs:
    """What a device would take: a prediction, and it says so."""
    shares = [(bound, prediction.share(bound)) for bound in BOUNDS]
    limits = ", ".join(f"{share:.0%} bound by {bound}" for bound, share in shares if share)
    pairs = [
        (
            "Predicted",
            f"{text.duration(prediction.seconds)} on {prediction.title}, not measured: {limits or 'no work'}",
        ),
        ("", f"by the roofline, from {prediction.source}"),
    ]
    pairs += [("", note) for note in prediction.notes]
    if prediction.joules is not None:
        pairs += [
            ("Energy", f"{text.energy(prediction.joules)}, an estimate for arithmetic and main memory alone"),
            ("", f"by {prediction.energy_source}"),
        ]
    if unknown := prediction.unknown:
        pairs.append(("", f"not in it, for want of a rate or a size: {_names(unknown)}"))
    return pairs


def hidden(root: Node) -> Pairs:
    """What an outline sums without listing it."""
    rows = [row for _, node in walk(root) for row in node.hidden]
    return (
        [("Not listed", f"{_plural(len(rows), 'layer')} of data movement alone: {_layers_by_op(rows)}")] if rows else []
    )


def _weights(report: Report) -> Iterator[tuple[str, str]]:
    trainable = report.trainable_params
    if trainable is None:
        kinds = "trainable or not is unknown"
    elif trainable == report.params:
        kinds = "all trainable"
    else:
        kinds = f"{trainable:,} trainable, {report.params - trainable:,} frozen"
    yield "Parameters", f"{text.with_metric(report.params)}, {kinds}" if report.params else "none"
    if report.params_duplicated != report.params:
        yield "", f"tied weights are counted once; as if each were its own: {report.params_duplicated:,}"
    if report.buffers:
        yield "Buffers", f"{report.buffers:,} elements, {text.size(report.buffer_bytes)}"
    yield "Weights", text.size(report.weight_bytes)
    if report.file_bytes is not None:
        yield "File", text.size(report.file_bytes)


def _operations(report: Report) -> Iterator[tuple[str, str]]:
    counts = report.counts
    least = "at least " if report.unsupported() else ""
    yield "MACs", least + text.with_metric(counts.macs)
    parts = [f"{getattr(counts, p):,} {p}" for p in ("adds", "muls", "divs", "cmps", "exps") if getattr(counts, p)]
    yield "FLOPs", f"{least}{text.with_metric(counts.flops)} = {' + '.join([f'2·{counts.macs:,} MACs', *parts])}"
    apart = [
        f"{getattr(counts, p):,} {word}"
        for p, word in (("ints", "on integers"), ("casts", "casts"))
        if getattr(counts, p)
    ]
    if apart:
        yield "", f"operations that are not FLOPs: {', '.join(apart)}"
    if report.batch is not None and report.batch != 1:
        macs, flops = report.macs_per_sample, report.flops_per_sample
        yield "Per sample", f"{macs:,} MACs, {flops:,} FLOPs (batch {report.batch})"


def _memory(report: Report) -> Iterator[tuple[str, str]]:
    yield "Activations", f"{text.size(report.activation_bytes)} allocated by layers"
    peak = report.peak
    if peak is None:
        yield "Peak activations", "unknown: a tensor has a data-dependent size"
    else:
        at = f" at {peak.layer}" if peak.layer else ""
        yield "Peak activations", text.size(peak.bytes) + at
        alive = [f"{name} {text.shape(shape)} ({text.short_size(size)})" for name, size, shape in peak.tensors]
        if alive:
            yield "", f"alive there: {_names(alive)}"
        yield "", "weights apart, no workspace, a loop's body counted once"
    yield "Traffic", f"{text.size(report.traffic_bytes)} read and written by layers"
    if report.space_elements is not None:
        yield "Space", f"{report.space_elements:,} elements: parameters and every layer's output"


def _coverage(report: Report) -> str:
    details = report.coverage_details
    layers = details["layers"] or 0
    missing = details["unsupported_layers"] or 0
    if not missing:
        return f"100% of {_plural(layers, 'layer')}"
    # rounded down: anything missing must not read as everything
    percent = int(report.coverage * 1000) / 10
    touched = (
        f"parameters of {text.size(details['unsupported_weight_bytes'])} and outputs of "
        f"{text.size(details['unsupported_output_bytes'])} touch what has no cost"
    )
    return f"{percent:.1f}%: {missing:,} of {_plural(layers, 'layer')} without a cost; {touched}"


def _reading(report: Report) -> str:
    metadata = report.graph.metadata
    version = metadata.get("framework_version")
    said = [f"{report.framework} {version}" if version else report.framework]
    rung = metadata.get("rung")
    if rung == "file":  # the framework is the format
        said.append("from a file")
    else:
        said += [f"{report.model['format']} file"] if report.model.get("format") else []
        said += [str(rung)] if rung else []
    tool = " ".join(str(report.tool[key]) for key in ("name", "version") if report.tool.get(key))
    return ", ".join(said) + (f"; counted by {tool}" if tool else "")


def _layers_by_op(rows: Iterable[LayerReport]) -> str:
    return _ops(Counter(row.op for row in rows))


def _ops(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.items())


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
