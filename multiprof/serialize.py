"""A Report as JSON values, and the digest of a graph's structure; `multiprof.deserialize` is the way back."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiprof.cost import PRIMITIVES, Cost, Counts
from multiprof.errors import ReportError
from multiprof.ir import Graph, Parameter, Region, TensorSpec
from multiprof.layer_report import LayerReport
from multiprof.measurement import Measurement
from multiprof.prediction import Prediction
from multiprof.training import Backward, Training

if TYPE_CHECKING:
    from multiprof.report import Report

SCHEMA_VERSION = 1

# JSON has one kind of sequence and no infinities. Tuples, by far the most frequent, become arrays; an object with one
# of these keys stands for what JSON lacks.
LIST, MAPPING, FLOAT, COMPLEX = "$list", "$mapping", "$float", "$complex"


def dump(report: Report) -> dict[str, Any]:
    """The report as JSON values: raw integers, seconds and bytes, ``None`` for what is unknown.

    The totals, the coverage and what is unsupported are written for other readers; `parse` derives them again.
    """
    graph = report.graph
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": plain(report.tool, "tool"),
        "environment": plain(report.environment, "environment"),
        "model": {
            "name": graph.name,
            "framework": graph.framework,
            **plain(dict(report.model), "model"),
            "digest": digest(graph),
        },
        "inputs": [_spec(spec) for spec in graph.inputs],
        "convention": report.convention,
        "totals": _totals(report),
        "coverage": {"coverage": report.coverage, **report.coverage_details},
        "unsupported": {
            op: {"layers": names, "reasons": list(dict.fromkeys(report.layer(name).reason for name in names))}
            for op, names in report.unsupported().items()
        },
        "graph": {
            "outputs": [_spec(spec) for spec in graph.outputs],
            "parameters": [_parameter(p) for p in graph.parameters.values()],
            "regions": [_region(region) for region in graph.regions.values()],
            "layers": [_layer(row) for row in report.layers],
            "marks": {
                name: {"state": mark.state, "reason": mark.reason, "host": mark.host}
                for name, mark in graph.marks.items()
            },
            "metadata": plain(graph.metadata, "metadata"),
        },
        "measurements": [_measurement(m) for m in report.measurements],
        "predictions": [_prediction(p) for p in report.predictions],
        "training": None if report.training is None else _training(report.training, report),
        "warnings": list(report.warnings),
    }


def plain(value: Any, where: str) -> Any:
    """A value as JSON values; `ReportError`, saying where it stands, for one that has no such form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {FLOAT: repr(float(value))}
    if isinstance(value, tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, list):
        return {LIST: [plain(item, where) for item in value]}
    if isinstance(value, complex):
        return {COMPLEX: [plain(value.real, where), plain(value.imag, where)]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: plain(item, f"{where}, {key}") for key, item in value.items()}
        return {MAPPING: [[plain(key, where), plain(item, where)] for key, item in value.items()]}
    kind = type(value).__name__
    raise ReportError(f"the report cannot be written: {where} holds {value!r}, and a {kind} has no JSON form")


def write(data: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write JSON values to a file; `ReportError` when that fails."""
    text = json.dumps(data, allow_nan=False, indent=1)
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ReportError(f"{os.fspath(path)}: cannot be written: {why}") from error


def digest(graph: Graph) -> str:
    """SHA-256, in hexadecimal, of the structure: ops, attributes, roles, shapes, dtypes, links, regions.

    Names do not enter (a tensor is the number of its first appearance), nor do values, sources and paths.
    """
    numbers: dict[str, int] = {}

    def tensor(spec: TensorSpec) -> list[Any]:
        quant = None if spec.quant is None else [spec.quant.scale, spec.quant.zero_point, spec.quant.axis]
        return [numbers.setdefault(spec.name, len(numbers)), spec.shape, spec.dtype, quant]

    def tensors(specs: Iterable[TensorSpec]) -> list[Any]:
        return [tensor(spec) for spec in specs]

    regions = {id: number for number, id in enumerate(graph.regions)}
    sha = hashlib.sha256()

    def add(*item: Any) -> None:
        sha.update(json.dumps(item, sort_keys=True).encode())
        sha.update(b"\n")

    add("inputs", tensors(graph.inputs))
    for p in graph.parameters.values():
        add("parameter", tensor(p.spec), p.kind)
    for region in graph.regions.values():
        add("region", region.kind, regions.get(region.parent or ""), region.trips, region.group, region.stateful)
    for layer in graph.layers:
        add(
            layer.op,
            [[role, tensor(spec)] for role, spec in layer.inputs.items()],
            [[role, tensor(spec)] for role, spec in layer.outputs.items()],
            plain(layer.attrs, f"layer {layer.name}"),
            layer.aliases,
            regions.get(layer.region or ""),
        )
    add("outputs", tensors(graph.outputs))
    return sha.hexdigest()


def _spec(spec: TensorSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}
    if spec.quant is not None:
        found["quant"] = {
            "scale": list(plain(spec.quant.scale, f"tensor {spec.name}")),
            "zero_point": list(spec.quant.zero_point),
            "axis": spec.quant.axis,
        }
    return found


def _parameter(p: Parameter) -> dict[str, Any]:
    return {**_spec(p.spec), "kind": p.kind, "trainable": p.trainable, "source": p.source, "tied": list(p.tied)}


def _region(region: Region) -> dict[str, Any]:
    return {
        "id": region.id,
        "parent": region.parent,
        "kind": region.kind,
        "trips": region.trips,
        "group": region.group,
        "stateful": region.stateful,
    }


def _layer(row: LayerReport) -> dict[str, Any]:
    layer = row.layer
    return {
        "name": layer.name,
        "op": layer.op,
        "source": layer.source,
        "scope": layer.scope,
        "region": layer.region,
        "inputs": {role: _spec(spec) for role, spec in layer.inputs.items()},
        "outputs": {role: _spec(spec) for role, spec in layer.outputs.items()},
        "attrs": plain(layer.attrs, f"layer {layer.name}"),
        "aliases": [list(alias) for alias in layer.aliases],
        "state": row.state,
        "reason": row.reason,
        "trips": row.trips,
        "provider": row.provider,
        **_cost(row.cost),
        "unfolded": None if row.unfolded is None else _cost(row.unfolded),
        "macs": row.macs,
        "flops": row.flops,
        "bytes": {"read": row.bytes_read, "written": row.bytes_written},
    }


def _cost(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {"terms": None, "dot_dtypes": None}
    dtypes = None if cost.dot_dtypes is None else list(cost.dot_dtypes)
    return {"terms": {name: _counts(counts) for name, counts in cost.terms.items()}, "dot_dtypes": dtypes}


def _counts(counts: Counts) -> dict[str, int]:
    """The primitives that occur."""
    return {name: number for name in PRIMITIVES if (number := getattr(counts, name))}


def _totals(report: Report) -> dict[str, Any]:
    peak = report.peak
    return {
        "params": report.params,
        "trainable_params": report.trainable_params,
        "params_duplicated": report.params_duplicated,
        "buffers": report.buffers,
        "unused_parameters": report.unused_parameters(),
        "macs": report.macs,
        "flops": report.flops,
        "primitives": _counts(report.counts),
        "batch": report.batch,
        "weight_bytes": report.weight_bytes,
        "buffer_bytes": report.buffer_bytes,
        "constant_bytes": report.constant_bytes,
        "activation_bytes": report.activation_bytes,
        "space_elements": report.space_elements,
        "traffic_bytes": report.traffic_bytes,
        "peak_bytes": report.peak_bytes,
        "peak_layer": None if peak is None else peak.layer,
        "peak_tensors": None if peak is None else [_peak_tensor(*tensor) for tensor in peak.tensors],
    }


def _peak_tensor(name: str, size: int, shape: tuple[int | None, ...]) -> dict[str, Any]:
    return {"name": name, "bytes": size, "shape": list(shape)}


def _measurement(m: Measurement) -> dict[str, Any]:
    return {
        "runner": m.runner,
        "route": m.route,
        "device": m.device,
        "kind": m.kind,
        "subject": list(m.subject),
        "times": list(m.times),
        "threads": m.threads,
        "batch": m.batch,
        "isolated": m.isolated,
        "environment": plain(m.environment, "measurement environment"),
        "precision": m.precision,
        "phases": dict(m.phases),
        "memory": dict(m.memory),
        "label": m.label,
        "against": m.against,
        "baseline": list(m.baseline),
        "ratio": None if m.ratio is None else dict(zip(("median", "low", "high"), m.ratio, strict=True)),
        "energy": dict(m.energy),
        "device_times": list(m.device_times),
    }


def _prediction(p: Prediction) -> dict[str, Any]:
    return {
        "device": p.device,
        "title": p.title,
        "source": p.source,
        "seconds": p.seconds,
        "joules": p.joules,
        "energy_source": p.energy_source,
        "notes": list(p.notes),
        "kernels": [
            {
                "subject": list(k.subject),
                "operations": k.operations,
                "bytes": k.bytes,
                "bound": k.bound,
                "seconds": k.seconds,
            }
            for k in p.kernels
        ],
    }


def _training(training: Training, report: Report) -> dict[str, Any]:
    """What a training step takes; the totals are for other readers."""
    peak, step = training.peak, report.step
    return {
        "optimizer": training.optimizer,
        "totals": {
            "backward": _counts(training.backward),
            "recomputed": _counts(training.recomputed),
            "step": None if step is None else _counts(step),
            "step_flops": None if step is None else step.flops,
            "saved_bytes": training.saved_bytes,
            "state_bytes": training.state_bytes,
            "peak_bytes": training.peak_bytes,
        },
        "update": _cost(training.update),
        "gradient_bytes": training.gradient_bytes,
        "states": dict(training.states),
        "peak": None if peak is None else asdict(peak),
        "layers": {name: _backward(part) for name, part in training.layers.items()},
    }


def _backward(part: Backward) -> dict[str, Any]:
    return {
        "state": part.state,
        "reason": part.reason,
        **_cost(part.cost),
        "macs": part.macs,
        "flops": part.flops,
        "recomputed": None if part.recomputed is None else _cost(part.recomputed),
        "saved": None if part.saved is None else [{"name": name, "bytes": size} for name, size in part.saved],
    }


__all__ = ["COMPLEX", "FLOAT", "LIST", "MAPPING", "SCHEMA_VERSION", "digest", "dump", "plain", "write"]
