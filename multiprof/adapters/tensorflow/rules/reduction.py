"""Reductions along axes, running sums, order."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import Rule, rule

_REDUCTIONS = {"Sum": "sum", "Mean": "mean", "Max": "max", "Min": "min", "Prod": "prod", "All": "all", "Any": "any"}


def axes(node: Node, number: int, rank: int) -> tuple[int, ...] | None:
    """Axes given as an operand, non-negative."""
    found = node.ints(number)
    return None if found is None else tuple(sorted({normal_axis(a, rank, where=node.where) for a in found}))


def _reduce(op: str, **extra: Any) -> Rule:
    def apply(node: Node) -> None:
        x = node.x(0)
        found = axes(node, 1, x.rank)
        if found == () or x.rank == 0:
            node.same()
            return
        attrs: dict[str, Any] = {"keepdim": bool(node.attr("keep_dims", False)), **extra}
        if found is not None:
            attrs["axis"] = found
        node.layer(op, {"x": x}, None, attrs)

    return apply


for _name, _op in _REDUCTIONS.items():
    rule(_name)(_reduce(_op))
rule("EuclideanNorm")(_reduce("norm", ord=2))


@rule("ArgMax", "ArgMin")
def position(node: Node) -> None:
    x, axis = node.x(0), node.scalar(1)
    attrs: dict[str, Any] = {"keepdim": False}
    if axis is not None:
        attrs["axis"] = (normal_axis(int(axis), x.rank, where=node.where),)
    node.layer(node.op.lower(), {"x": x}, None, attrs)


@rule("Cumsum", "Cumprod")
def running(node: Node) -> None:
    x, axis = node.x(0), node.scalar(1)
    attrs: dict[str, Any] = {name: bool(node.attr(name, False)) for name in ("exclusive", "reverse")}
    if axis is not None:
        attrs["axis"] = (normal_axis(int(axis), x.rank, where=node.where),)
    node.layer(node.op.lower(), {"x": x}, None, attrs)


@rule("TopK", "TopKV2", "ApproxTopK")
def top_k(node: Node) -> None:
    """Along the last axis."""
    x = node.x(0)
    k = node.attr("k") if node.op != "TopKV2" else node.scalar(1)
    if k is None:
        k = node.y().shape[-1]
    largest = bool(node.attr("is_max_k", True))
    attrs = {
        "axis": x.rank - 1, "k": k, "n": x.shape[-1], "sorted": bool(node.attr("sorted", True)), "largest": largest,
    }  # fmt: skip
    node.layer("topk", {"x": x}, {"y": node.y(0), "indices": node.y(1)}, attrs)


@rule("InTopK", "InTopKV2", "NthElement")
def in_top_k(node: Node) -> Any:
    return NotImplemented


@rule("Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2")
def unique(node: Node) -> None:
    roles = ("y", "inverse", "counts")
    node.layer("unique", {"x": node.x()}, {role: node.y(i) for i, role in enumerate(roles[: len(node.outputs)])}, {})


@rule("Where")
def where(node: Node) -> None:
    node.layer("nonzero", {"x": node.x()})


@rule("Bincount", "DenseBincount", "HistogramFixedWidth")
def histogram(node: Node) -> None:
    node.layer("histogram", {"x": node.x()})


@rule("BroadcastGradientArgs", "BroadcastArgs")
def shapes_alone(node: Node) -> None:
    """The arithmetic of shapes that are not known before the model runs: numbers written into the program."""
    for number in range(len(node.outputs)):
        node.layer("constant", {}, node.y(number), piece="" if not number else str(number))
