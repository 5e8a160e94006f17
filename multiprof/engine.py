"""price(graph, formulas) -> Report: a cost, a state and a reason per layer. No framework, no plugins, no formatting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from multiprof.complex_numbers import NO_COMPLEX, in_real, is_complex
from multiprof.cost import ESTIMATE, Cost, Counts, Formula
from multiprof.errors import (
    FormulaClashError,
    FormulaError,
    ModelError,
    PluginError,
    UnknownDimensionError,
    UnsupportedOpError,
)
from multiprof.ir import BITS, FOLDED, PREPARED, Graph, Layer, Mark
from multiprof.layer_report import FREE, PRICED, UNSUPPORTED, LayerReport
from multiprof.multiplicity import choose_branches, give_trips, multiplicities
from multiprof.report import Report
from multiprof.structure import check

Formulas = Mapping[str, "Formula | Sequence[Formula]"]

NO_FORMULA = "no formula"
MAX_WARNINGS = 100  # nobody reads more


def price(
    graph: Graph,
    formulas: Formulas,
    *,
    strict: bool = False,
    convention: str = "default",
    trips: Mapping[str, int] | None = None,
    tool: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    warnings: Iterable[str] = (),
) -> Report:
    """The Report of a graph under the formulas given, one per op (a longer list is a clash).

    ``trips`` says how often the loops named in it run. The marks of passes are obeyed. What has no formula, needs a
    dimension nobody knows, or stands in a loop of unknown length has no cost and the state ``unsupported``; under
    ``strict`` that is an `UnsupportedOpError`. Other errors: `ModelError` for a graph that does not hang together,
    `FormulaClashError` for an op with two formulas, `FormulaError` for a formula that fails.
    """
    check(graph)
    notes = [*graph.metadata.get("warnings", ()), *warnings]
    if trips:
        graph = give_trips(graph, trips)
    chosen: dict[str, Formula | None] = {}
    hosts = _hosts(graph)
    marks = graph.marks
    rows = []
    for layer in graph.layers:
        op = layer.op
        if op not in chosen:
            chosen[op] = _choose(op, formulas, layer)
        rows.append(_price(layer, chosen[op], marks.get(layer.name), hosts))
    reasons = {row.op: row.reason for row in rows if row.state == PRICED and row.reason}
    if bounded := [op for op, reason in reasons.items() if not reason.startswith(ESTIMATE)]:
        notes.append(f"upper bounds, since the work depends on values: {', '.join(bounded)}")
    if estimated := [op for op, reason in reasons.items() if reason.startswith(ESTIMATE)]:
        notes.append(f"textbook figures, since the work depends on values: {', '.join(estimated)}")
    if graph.regions:
        known = multiplicities(graph)
        for row in rows:
            if row.layer.region is not None:
                _multiply(row, *known[row.layer.region])
        notes += choose_branches(graph, rows)
    if ahead := sum(row.macs or 0 for row in rows if row.state == PREPARED):
        notes.append(f"layers that compute from weights alone hold {ahead} macs, which are not in the totals")
    if strict:
        _refuse_unsupported(graph, rows)
    return Report(
        graph,
        tuple(rows),
        convention,
        _few(notes),
        (),
        {"name": "multiprof"} if tool is None else tool,
        {} if environment is None else environment,
        {} if model is None else model,
    )


def _few(notes: Iterable[str]) -> tuple[str, ...]:
    """The warnings without repetition; of very many the first, and how many there are."""
    distinct = tuple(dict.fromkeys(notes))
    if len(distinct) <= MAX_WARNINGS:
        return distinct
    return (*distinct[:MAX_WARNINGS], f"… and {len(distinct) - MAX_WARNINGS} more warnings")


def _choose(op: str, formulas: Formulas, layer: Layer) -> Formula | None:
    """The one formula of an op, or ``None``."""
    found: Any = formulas.get(op)  # what plugins and callers hand over is checked here
    if found is None or isinstance(found, Formula):
        return found
    if not isinstance(found, Sequence) or not all(isinstance(item, Formula) for item in found):
        raise PluginError(f"op {op}: {found!r} is no Formula; make one with multiprof.formula, elementwise or free")
    if len(found) > 1:
        names = " and ".join(item.provider or "an unnamed provider" for item in found)
        raise FormulaClashError(
            f"op {op} (layer {layer.name}) has {len(found)} formulas, from {names}: "
            f"remove all but one, or say which to use with formulas={{{op!r}: ...}}"
        )
    return found[0] if found else None


def _hosts(graph: Graph) -> dict[str, Layer]:
    wanted = {mark.host for mark in graph.marks.values() if mark.state == FOLDED}
    return {layer.name: layer for layer in graph.layers if layer.name in wanted} if wanted else {}


def _price(layer: Layer, formula: Formula | None, mark: Mark | None, hosts: Mapping[str, Layer]) -> LayerReport:
    """One run of one layer."""
    if formula is None:
        return LayerReport(layer, UNSUPPORTED, NO_FORMULA)
    provider = formula.provider
    try:
        cost = formula.price(layer)
    except Exception as error:
        return LayerReport(layer, UNSUPPORTED, _why_without_cost(layer, formula, error), provider=provider)
    if _check(cost, layer, formula) and cost.dot_dtypes is None:
        cost = Cost(cost.terms, dot_dtypes(layer))
    if is_complex(layer):
        real = in_real(layer, cost)
        if real is None:
            return LayerReport(layer, UNSUPPORTED, NO_COMPLEX, provider=provider)
        cost = real
    read: int | None
    written: int | None
    try:
        read, written = formula.traffic(layer)
    except Exception as error:
        _why_without_cost(layer, formula, error)
        read = written = None
    if mark is None:
        if formula.free:
            return LayerReport(layer, FREE, formula.free, cost, None, read, written, 1, provider)
        reason = "" if formula.bound is None else _bound(layer, formula, formula.bound)
        return LayerReport(layer, PRICED, reason, cost, None, read, written, 1, provider)
    if mark.state == PREPARED:
        return LayerReport(layer, PREPARED, mark.reason, cost, None, read, written, 1, provider)
    if mark.host not in hosts:
        raise ModelError(f"layer {layer.name} is marked as folded into {mark.host!r}, and there is no such layer")
    try:
        merged = _left_over(layer, hosts[mark.host])
    except UnknownDimensionError as error:
        return LayerReport(layer, UNSUPPORTED, f"shape: {error}", provider=provider)
    return LayerReport(layer, FOLDED, mark.reason, merged, cost, read, written, 1, provider)


def _bound(layer: Layer, formula: Formula, bound: Callable[[Layer], str]) -> str:
    """Why the cost is an upper bound, in the formula's own words; empty where it is exact."""
    try:
        return str(bound(layer))
    except Exception as error:
        raise FormulaError(f"{_whose(layer, formula)} failed: {type(error).__name__}: {error}") from error


def _left_over(layer: Layer, host: Layer) -> Cost:
    """What a folded layer still costs: a norm the bias that its host lacks; a quantisation nothing, since an integer
    kernel scales its own results.
    """
    if layer.op in ("quantize", "dequantize") or "bias" in host.inputs:
        return Cost()
    return Cost({"bias": Counts(adds=layer.y.numel)})


def _check(cost: Cost, layer: Layer, formula: Formula) -> int:
    """The macs of a cost, once it is known to be one: whole numbers from 0 on."""
    macs = 0
    try:
        for c in cost.terms.values():
            macs |= c.macs
            # the union of all bits is negative if one number is, and no int if one is none
            bits = c.macs | c.dots | c.adds | c.muls | c.divs | c.cmps | c.exps | c.ints | c.casts
            if type(bits) is not int or bits < 0:
                raise TypeError
    except (AttributeError, TypeError):
        raise FormulaError(
            f"{_whose(layer, formula)} gives {cost}: it takes a Cost whose counts are integers from 0 on"
        ) from None
    return macs


def _whose(layer: Layer, formula: Formula) -> str:
    return f"layer {layer.name}: the formula of {formula.provider or 'an unnamed provider'} for op {layer.op}"


def _why_without_cost(layer: Layer, formula: Formula, error: Exception) -> str:
    """The reason when a formula says that it cannot price the layer, or an error comes from a data-dependent dimension;
    any other error is the formula's own.
    """
    if isinstance(error, UnknownDimensionError):
        return f"shape: {error}"
    if isinstance(error, UnsupportedOpError):
        return str(error).removeprefix(f"layer {layer.name}: ")
    if isinstance(error, TypeError):
        for spec in (*layer.inputs.values(), *layer.outputs.values()):
            if None in spec.shape:
                return f"shape: tensor {spec.name} has the data-dependent shape {spec.shape}"
    raise FormulaError(f"{_whose(layer, formula)} failed: {type(error).__name__}: {error}") from error


def _multiply(row: LayerReport, trips: int | None, reason: str) -> None:
    """Turn the cost of one run into that of all; with an unknown number of runs only what is free keeps its cost.

    What is prepared runs once, ahead of time, whatever loop it stands in.
    """
    if row.state == PREPARED:
        return
    row.trips = trips
    if trips == 1:
        return
    if trips is None:
        if row.state != FREE:
            row.state, row.reason = UNSUPPORTED, reason if row.state != UNSUPPORTED else f"{row.reason}; {reason}"
            row.cost = row.unfolded = None
        if row.bytes:
            row.bytes_read = row.bytes_written = None
    else:
        row.scale(trips)


def dot_dtypes(layer: Layer) -> tuple[str, str, str]:
    """Types of the two operands of a layer's dot products and of the accumulator: the layer's first two inputs."""
    specs = iter((layer.inputs or layer.outputs).values())
    left = next(specs, None)
    return ("", "", "") if left is None else _products(left.dtype, next(specs, left).dtype)


@cache
def _products(left: str, right: str) -> tuple[str, str, str]:
    return left, right, accumulator(left, right)


def accumulator(left: str, right: str) -> str:
    """The type in which hardware sums products: 32 bits for narrower floats and for 8-bit integers, else the widest.

    A float and an integer operand (weights quantised, activations not) are multiplied as floats.
    """
    floats = [t for t in (left, right) if "float" in t]
    widest = max(floats or (left, right), key=lambda t: BITS.get(t, 0))
    if floats:
        return "float32" if BITS.get(widest, 32) < 32 else widest
    return "int32" if BITS.get(widest, 32) <= 8 and widest != "bool" else widest


def _refuse_unsupported(graph: Graph, rows: Iterable[LayerReport]) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.state == UNSUPPORTED:
            found.setdefault((row.op, row.reason), []).append(row.name)
    if not found:
        return
    lines = []
    for (op, reason), names in found.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"{op} ({reason}; layer {', '.join(names[:3])}{more})")
    raise UnsupportedOpError(f"{graph.name} has ops without a cost: " + "; ".join(lines))


__all__ = ["accumulator", "dot_dtypes", "price"]
