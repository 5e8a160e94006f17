"""The precision that a file is written in: the one asked for, else the Graph's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from multiprof import Graph, Layer, Report, TensorSpec, UsageError
from multiprof_benchmark.lower.tflite.kernels import SAME, WORKING, Scale
from multiprof_benchmark.lower.tflite.quantize import Quantizer
from multiprof_benchmark.lower.tflite.rewrite import KINDS
from multiprof_benchmark.lower.tflite.writer import ABSENT, Writer

OWN, FULL, HALF, INTEGER = "", "float32", "float16", "int8"
_NAMES = {"": OWN, "fp32": FULL, "float32": FULL, "fp16": HALF, "float16": HALF, "int8": INTEGER}
_BYTES = ("int8", "uint8")
_CHANGES = ("quantize", "dequantize", "requantize", "fake_quantize", "dynamic_quantize")
_MAY_STAY_REAL = frozenset(("linear", "matmul", "einsum", "attention"))


def named(precision: str) -> str:
    """A precision by any of its names."""
    if precision not in _NAMES:
        raise UsageError(f"tflite: precision {precision!r} cannot be written; fp32, fp16 and int8 can")
    return _NAMES[precision]


def stands_for_reals(spec: TensorSpec) -> bool:
    """Whether a tensor holds 8-bit integers that stand for real numbers."""
    return spec.quant is not None and spec.dtype in _BYTES


def is_quantized(graph: Graph) -> bool:
    """Whether any of the graph's layers computes on 8-bit integers."""
    return any(on_integers(layer) for layer in graph.layers)


def on_integers(layer: Layer) -> bool:
    """Whether a layer of the Graph does; the result of a product may be real."""
    made = any(stands_for_reals(spec) for spec in layer.outputs.values())
    data = [spec for role, spec in layer.inputs.items() if role in ("x", "x0", "q")]
    return made or (layer.op in _MAY_STAY_REAL and bool(data) and all(map(stands_for_reals, data)))


def scales_of(graph: Graph) -> dict[str, Scale]:
    """The scales that tensors of the Graph state, one for the whole tensor, as those of signed integers."""
    found = {}
    specs = [*graph.inputs, *(spec for layer in graph.layers for spec in layer.outputs.values())]
    for spec in specs:
        if spec.quant is not None and stands_for_reals(spec) and len(spec.quant.scale) == 1:
            zero = int(spec.quant.zero_point[0]) if spec.quant.zero_point else 0
            found[spec.name] = Scale(float(spec.quant.scale[0]), zero - (128 if spec.dtype == "uint8" else 0))
    return found


def handed_back(writer: Writer, scales: dict[int, Scale]) -> None:
    """Give what is only moved the scale that it is moved to."""
    codes = list(writer.codes)
    for operator in reversed(writer.operators):
        known = scales.get(int(operator.outputs[0]))
        if KINDS[codes[operator.opcodeIndex][0]] in SAME and known is not None:
            for at in operator.inputs:
                if at != ABSENT and not writer.tensors[at].buffer:
                    scales.setdefault(int(at), known)


def real_values(array: Any, spec: TensorSpec) -> Any:
    """What stored integers stand for."""
    if spec.quant is None or not spec.quant.scale:
        return array
    shape = [1] * array.ndim
    if spec.quant.axis is not None and array.ndim:
        shape[spec.quant.axis] = -1
    step, zero = np.array(spec.quant.scale), np.array(spec.quant.zero_point or 0)
    several = step.size > 1
    return (array - (zero.reshape(shape) if zero.size > 1 else zero)) * (step.reshape(shape) if several else step)


def integer_share(report: Report, owners: Sequence[str], graph: Quantizer) -> float:
    """The share of the multiply-adds that operators on integers do; a layer of several counts by how many do."""
    operators: dict[str, list[tuple[bool, bool]]] = {}
    for owner, operator, done in zip(owners, graph.old.operators, graph.done, strict=True):
        operators.setdefault(owner, []).append((graph.kind(operator) in WORKING, done))
    whole, found = 0, 0.0
    for row in report.layers:
        if not row.macs or row.trips == 0 or row.state == "prepared":
            continue
        whole += row.macs
        own = operators.get(row.name, [])
        working = [done for works, done in own if works] or [done for _, done in own]
        found += row.macs * sum(working) / len(working) if working else 0.0
    return found / whole if whole else 0.0


def remark(share: float, graph: Quantizer) -> str:
    """One sentence on what computes on integers and what does not."""
    text = f"int8: {share:.1%} of the MACs on integers, scales invented where the model states none"
    if graph.left:
        text += f"; in float32: {', '.join(f'{kind} ({n})' for kind, n in sorted(graph.left.items()))}"
    return text


def widened(graph: Graph) -> Iterable[str]:
    """A sentence on the layers with integers, in 16 bits or as weights alone, that are written on 32-bit floats."""
    found = [
        layer.name
        for layer in graph.layers
        if layer.op not in _CHANGES
        and not on_integers(layer)
        and any(spec.quant is not None for role, spec in layer.inputs.items() if not role.startswith("bias"))
    ]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"in float32 although the model has integers there: {found[0]}{more}"


__all__ = [
    "FULL", "HALF", "INTEGER", "OWN", "handed_back", "integer_share", "is_quantized", "named", "on_integers",
    "real_values", "remark", "scales_of", "stands_for_reals", "widened",
]  # fmt: skip
