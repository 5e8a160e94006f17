"""train(report) -> Report: the backward pass of every layer, the optimizer's update, and the memory of a step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from multiprof.backward import RULES
from multiprof.backward.gradients import CHECKPOINTS, OWN_BACKWARD, Gradients, gradients
from multiprof.backward.kept import Kept
from multiprof.backward.lives import step_peak
from multiprof.backward.optimizers import optimizer, state_bytes, temporary_bytes, update_cost
from multiprof.backward.rule import Rule, lacks
from multiprof.complex_numbers import NO_COMPLEX, in_real, is_complex
from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import FormulaError, UnknownDimensionError, UnsupportedOpError
from multiprof.ir import PARAMETER, Graph, Layer
from multiprof.layer_report import UNSUPPORTED as NO_COST
from multiprof.layer_report import LayerReport
from multiprof.report import Report
from multiprof.training import FREE, NONE, PRICED, UNSUPPORTED, Backward, Training

NO_FORMULA = "no backward formula"
OWN = lacks("it is in a torch.autograd.Function, whose backward pass is the model's own code")

Formulas = Mapping[str, "Formula | Sequence[Formula]"]


def train(report: Report, formulas: Formulas, optimizer_name: str | None = None, strict: bool = False) -> Report:
    """The report of a graph in its training form, with what a training step takes added as ``training``.

    ``formulas`` are those that priced the report: a ``backward`` of theirs goes before the built-in rule of the op.
    Raises `UsageError` for an unknown optimizer, `FormulaError` where a formula fails, and under ``strict``
    `UnsupportedOpError` where a layer's backward pass has no cost.
    """
    chosen = None if optimizer_name is None else optimizer(optimizer_name)
    graph = report.graph
    rules = _rules(graph, formulas)
    idle = frozenset(row.name for row in report.layers if row.trips == 0)
    found = gradients(graph, rules, idle)
    segments = _segments(graph, found)
    kept = Kept(report, rules, found, segments)
    accumulated = _accumulated(graph, found)
    own = frozenset(graph.metadata.get(OWN_BACKWARD, ()))
    parts = {
        row.name: _part(
            row, _rule(row, rules, own), found, number, accumulated.get(number, 0), kept, number in segments
        )
        for number, row in enumerate(report.layers)
    }
    weights = [spec for name, spec in found.trained.items() if name in kept.reached]
    inputs = [spec for spec in graph.inputs if spec.name in kept.reached]
    training = Training(
        "" if chosen is None else chosen.name,
        parts,
        Cost() if chosen is None else update_cost(chosen, weights),
        sum(spec.nbytes for spec in (*weights, *inputs)),
        {} if chosen is None else state_bytes(chosen, weights),
    )
    if strict and (missing := training.unsupported()):
        said = "; ".join(f"{name} ({report.layer(name).op}: {reason})" for name, reason in list(missing.items())[:3])
        raise UnsupportedOpError(f"{graph.name} has layers whose backward pass has no cost: {said}")
    beside = 0 if chosen is None else temporary_bytes(chosen, weights)
    training.peak = step_peak(report, rules, found, kept, segments, training.state_bytes, beside)
    return replace(report, training=training, warnings=(*report.warnings, *_warnings(graph, found, training)))


def _rules(graph: Graph, formulas: Formulas) -> dict[str, Rule]:
    """The rule of each op in the graph: the formula's own, or the built-in one; absent where there is neither."""
    found: dict[str, Rule] = {}
    for op in {layer.op for layer in graph.layers}:
        given = formulas.get(op)
        item = given[0] if isinstance(given, Sequence) and given else given
        if isinstance(item, Formula) and item.backward is not None:
            # all that it reads is kept: what it needs of that, it does not say
            found[op] = Rule(item.backward, lambda layer, needs: tuple(layer.inputs), source=item.source)
        elif op in RULES:
            found[op] = RULES[op]
    return found


def _rule(row: LayerReport, rules: Mapping[str, Rule], own: Collection[str]) -> Rule | None:
    """The layer's rule; in a function with a backward pass of its own, only one that somebody gave for its op."""
    rule = rules.get(row.op)
    return OWN if row.name in own and rule is RULES.get(row.op) else rule


def _segments(graph: Graph, found: Gradients) -> dict[int, int]:
    """Layer number -> its checkpointed segment, of those that a gradient reaches."""
    numbers = {layer.name: number for number, layer in enumerate(graph.layers)}
    inside: dict[int, int] = {}
    for segment, names in enumerate(graph.metadata.get(CHECKPOINTS, ())):
        members = [numbers[name] for name in names if name in numbers]
        if any(number in found.needs for number in members):
            inside.update(dict.fromkeys(members, segment))
    return inside


def _accumulated(graph: Graph, found: Gradients) -> dict[int, int]:
    """Layer number -> elements of gradients that it adds to one that is there already, going backward.

    A tensor that several layers read has the sum of what they give. A piece of a parameter is taken for a piece that
    no other layer reads.
    """
    given = {spec.name for spec in graph.outputs}
    sums: dict[int, int] = {}
    for number in range(len(graph.layers) - 1, -1, -1):
        layer = graph.layers[number]
        for role in sorted(found.wanted(number, layer)):
            spec = layer.inputs[role]
            piece = spec.name in found.trained and spec.numel != found.trained[spec.name].numel
            if spec.name in given and not piece:
                sums[number] = sums.get(number, 0) + spec.numel
            given.add(spec.name)
    return sums


def _part(
    row: LayerReport, rule: Rule | None, found: Gradients, number: int, sums: int, kept: Kept, again: bool
) -> Backward:
    layer = row.layer
    recomputed = row.cost if again else None
    if number not in found.needs:
        return Backward(NONE, _why_not(layer, rule, found), Cost(), recomputed)
    saved = kept.of(number)
    if not (needs := found.wanted(number, layer)):
        return Backward(FREE, "it writes to what a gradient goes past", Cost(), recomputed, saved)
    if rule is None or rule.lacks:
        return Backward(UNSUPPORTED, rule.lacks if rule else NO_FORMULA, None, recomputed, saved)
    if row.trips is None:
        return Backward(UNSUPPORTED, row.reason, None, recomputed, saved)
    try:
        cost = rule.price(layer, needs)
    except UnknownDimensionError as error:
        return Backward(UNSUPPORTED, f"shape: {error}", None, recomputed, saved)
    except Exception as error:
        if row.state == NO_COST:  # what the forward pass could not say, the backward cannot either
            return Backward(UNSUPPORTED, row.reason, None, recomputed, saved)
        raise FormulaError(f"layer {layer.name}: the backward of op {layer.op} failed: {error!r}") from error
    if is_complex(layer):
        real = in_real(layer, cost)
        if real is None:
            return Backward(UNSUPPORTED, NO_COMPLEX, None, recomputed, saved)
        cost, sums = real, 2 * sums
    terms = {name: counts for name, counts in cost.terms.items() if counts}
    if sums:
        terms["accumulate"] = Counts(adds=sums)
    if not terms:
        reason = rule.free or "the gradient goes on as it is"
        return Backward(FREE, reason, Cost(), recomputed, saved)
    return Backward(PRICED, "", Cost(terms) * row.trips, recomputed, saved)


def _why_not(layer: Layer, rule: Rule | None, found: Gradients) -> str:
    if rule is not None and rule.stops:
        return rule.stops
    if not any(spec.name in found.requires for spec in layer.inputs.values()):
        return "nothing that it reads depends on anything trained"
    return "no gradient comes back to it"


def _warnings(graph: Graph, found: Gradients, training: Training) -> list[str]:
    said = []
    unknown = [name for name in found.trained if graph.parameters[name].trainable is None]
    if unknown:
        said.append(f"training: {len(unknown)} weights of which nobody says whether they are trained count as trained")
    frozen_all = any(p.kind == PARAMETER for p in graph.parameters.values()) and not found.needs
    if frozen_all:
        said.append("training: no output depends on anything that is trained, so there is no backward pass")
    missing = training.unsupported()
    if missing:
        ops = dict.fromkeys(layer.op for layer in graph.layers if layer.name in missing)
        said.append(f"training: the backward pass has no cost for {', '.join(ops)}: its totals are too low")
    return said


__all__ = ["train"]
