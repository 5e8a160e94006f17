"""How a figure comes about: the mathematics of an op, and a layer's own numbers put into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from multiprof.cost import PRIMITIVES, Cost, Counts, Formula
from multiprof.errors import PluginError, UsageError
from multiprof.ir import Parameter, TensorSpec
from multiprof.layer_report import FREE, UNSUPPORTED, LayerReport
from multiprof.mathematics import evaluate, meanings, substitute, terms
from multiprof.ops import OPS, Op
from multiprof.report import Report
from multiprof.reporters.tables import facts, plain, wrapped
from multiprof.reporters.text import Terminal, clean, shape
from multiprof.training import Backward

Formulas = Mapping[str, Sequence[Formula]]
Rows = list[tuple[str, str]]

_ELEMENTS = re.compile(r"\|([^|\s]+)\|")
_LONG = 80  # characters of mathematics from which on each term stands on a line of its own
_INDENT = "  "
_ANY = Terminal()


def explain_op(op: str, formulas: Formulas, terminal: Terminal = _ANY) -> str:
    """What an op is, its roles and attributes, and the mathematics, symbols, source and supplier of each formula.

    Its lines fit the terminal. Raises `UsageError` for an op that is neither in the vocabulary nor priced by anybody.
    """
    known = OPS.get(op)
    priced = formulas.get(op, ())
    if known is None and not priced:
        near = get_close_matches(op, {*OPS, *formulas}, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "multiprof formulas lists those that have one"
        raise UsageError(f"there is no op {op!r}; {hint}; for a layer of a model: multiprof explain MODEL LAYER")
    inner = Terminal(terminal.width - len(_INDENT) if terminal.width else None, terminal.ascii)
    about = f"{op} ({known.family}): {known.summary}" if known else f"{op}: not in the vocabulary; claimed by a plugin"
    lines = wrapped(terminal.cell(about), terminal.width)
    lines += _indented(facts(_vocabulary(known) if known else [], inner))
    for item in priced:
        lines += ["", *_indented(facts(_formula(item), inner))]
    if not priced:
        lines += ["", "No formula: a layer of this op has no cost, and lowers the coverage."]
    elif len(priced) > 1:
        lines += ["", "More than one formula: an error when a layer of this op is to be priced."]
    return "\n".join(lines) + "\n"


def explain_layer(report: Report, name: str, formulas: Formulas) -> str:
    """One layer of a Report: its tensors, each term of its cost with its own numbers, state, traffic and supplier."""
    row = report.layer(name)
    layer = row.layer
    source = f" ({layer.source})" if layer.source else ""
    lines = [clean(f"{layer.name}: {layer.op}{source}, in {report.name}")]
    rows = [*_tensors("input", layer.inputs, report.graph.parameters), *_tensors("output", layer.outputs, {})]
    lines += _rows([*rows, *(("attribute", key, _shown(value)) for key, value in layer.attrs.items())])
    lines += ["", *_calculation(row, formulas.get(layer.op, ()))]
    lines += ["", *_rows(_outcome(report, row))]
    if report.training is not None:
        lines += ["", "backward", *_rows(_backward(report.training.layer(row.name)))]
    return "\n".join(lines) + "\n"


# ops


def _vocabulary(op: Op) -> Rows:
    attributes = [f"{name}: {meaning}" for name, meaning in op.attrs.items()]
    return [("inputs", _roles(op.inputs)), ("outputs", _roles(op.outputs)), *_several("attribute", attributes)]


def _roles(roles: Iterable[str]) -> str:
    said = []
    for role in roles:
        name = role.rstrip("?*")
        said.append({"*": f"{name}0, {name}1 …", "?": f"{name} (optional)"}.get(role[-1], name))
    return ", ".join(said) or "none"


def _formula(item: Formula) -> Rows:
    split = len(item.mathematics) > _LONG and not item.free
    rows = _several("mathematics", item.mathematics.split("; ") if split else [item.mathematics])
    rows += _several("symbol", [f"{name}: {meaning}" for name, meaning in _symbols(item).items()])
    details = item.details.replace("``", "").split("\n\n")
    rows += _several("details", [" ".join(paragraph.split()) for paragraph in details if paragraph])
    rows += _several("source", [item.source] if item.source else [])
    return [*rows, ("supplied by", item.provider)]


def _symbols(item: Formula) -> dict[str, str]:
    """What the symbols of the mathematics mean, as the formula's symbols function says; ``|t|`` needs no word."""
    if item.symbols is None:
        return {}
    known = meanings(item.symbols.__doc__ or "")
    return {f"|{name}|": f"elements of {name}" for name in _ELEMENTS.findall(item.mathematics)} | known


def _several(label: str, texts: Sequence[str]) -> Rows:
    """Rows under one label, which is not repeated."""
    return [("" if number else label, text) for number, text in enumerate(texts)]


# layers


def _tensors(
    kind: str, specs: Mapping[str, TensorSpec], declared: Mapping[str, Parameter]
) -> list[tuple[str, str, str]]:
    rows = []
    for role, spec in specs.items():
        owner = f", {declared[spec.name].kind}" if spec.name in declared else ""
        rows.append((kind, role, f"{shape(spec.shape)} {spec.dtype} {spec.name}{owner}"))
    return rows


def _calculation(row: LayerReport, formulas: Sequence[Formula]) -> list[str]:
    """Each term with the layer's numbers; checked against what the formula's code says, which is what counts."""
    if row.state == UNSUPPORTED:
        return [clean(f"no cost: {row.reason}")]
    if row.state == FREE:
        return [f"free: {row.reason}"]
    item = formulas[0] if len(formulas) == 1 else None
    if item is None:  # priced by the caller's own formula, or from a saved report
        return _plain(row.cost or Cost())
    once = item.price(row.layer)
    lines = [f"mathematics  {item.mathematics}"]
    try:
        values = item.symbols(row.layer) if item.symbols else {}
        written = dict(terms(item.mathematics))
        if values:
            lines.append("with         " + ", ".join(f"{name} = {value:,}" for name, value in values.items()))
        for term, counts in once.terms.items():
            lines += _term(term, counts, written.get(term, ()), values)
    except PluginError:  # a plugin's line need not follow the grammar
        return [*lines, *_plain(once)]
    return lines


def _term(term: str, counts: Counts, written: Iterable[tuple[str, str]], values: Mapping[str, int]) -> list[str]:
    """``dot: |y|·K·C_i/G = 802,816·9·64/1 = 462,422,016 macs`` for each primitive of a term."""
    lines = []
    told = set()
    for expression, primitive in written:
        value = evaluate(expression, values)
        if value == getattr(counts, primitive):
            told.add(primitive)
            worked = list(dict.fromkeys((expression, substitute(expression, values), f"{value:,}")))
            lines.append(f"  {term}: {' = '.join(worked)} {primitive}")
    rest = [p for p in PRIMITIVES if p not in told and getattr(counts, p)]
    return lines + [f"  {term}: {getattr(counts, p):,} {p}" for p in rest]


def _plain(cost: Cost) -> list[str]:
    return [line for term, counts in cost.terms.items() for line in _term(term, counts, (), {})]


def _outcome(report: Report, row: LayerReport) -> list[tuple[str, str]]:
    rows = [("state", row.state + (f": {row.reason}" if row.reason else ""))]
    if row.trips != 1:
        rows.append(("runs", f"{'an unknown number of' if row.trips is None else format(row.trips, ',')} times"))
    rows.append(("macs", _number(row.macs)))
    rows.append(("flops", _number(row.flops)))
    if row.unfolded is not None:
        rows.append(("unfolded", f"{row.unfolded.macs:,} macs, {row.unfolded.flops:,} flops"))
    rows.append(("traffic", f"{_number(row.bytes_read)} bytes read, {_number(row.bytes_written)} bytes written"))
    seen = report.receptive_field(row.name)
    if seen is not None:
        rows.append(("sees", f"{'×'.join(map(str, seen.size))} of the input, {'×'.join(map(str, seen.jump))} apart"))
    rows.append(("supplied by", row.provider or "nobody"))
    return rows


def _backward(part: Backward) -> list[tuple[str, str]]:
    """What the layer's gradients take, and what is kept for them."""
    rows = [("state", part.state + (f": {part.reason}" if part.reason else ""))]
    for term, counts in (part.cost or Cost()).terms.items():
        rows.append((term, ", ".join(f"{getattr(counts, p):,} {p}" for p in PRIMITIVES if getattr(counts, p))))
    if part.recomputed is not None:
        rows.append(("recomputed", f"{part.recomputed.macs:,} macs, {part.recomputed.flops:,} flops"))
    if part.saved is None:
        rows.append(("keeps", "an unknown number of bytes"))
    return rows + [("keeps", f"{size:,} bytes of {name}") for name, size in part.saved or ()]


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _rows(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines in columns; the label of a row is not repeated."""
    before = ["", *(row[0] for row in rows)]
    cells = [["" if row[0] == label else row[0], *row[1:]] for label, row in zip(before, rows, strict=False)]
    return _indented(plain([[clean(cell) for cell in row] for row in cells]))


def _indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line for line in lines]


__all__ = ["explain_layer", "explain_op"]
