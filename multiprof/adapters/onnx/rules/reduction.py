"""Reductions along axes, running sums and products, the largest elements and where they stand."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import VIEW, axes, axis_of, int_attr, number
from multiprof.ir import TensorSpec


def _attrs(node: Node) -> dict[str, Any] | None:
    """Axes and ``keepdim``; ``None`` where nothing is reduced. Without axes it is all of them."""
    x = node.need(0)
    found = axes(node, x.rank)
    if found == ():
        if int_attr(node, "noop_with_empty_axes", 0):
            return None
        found = tuple(range(x.rank))
    attrs: dict[str, Any] = {"keepdim": bool(int_attr(node, "keepdims", 1))}
    return attrs if found is None else {"axis": found} | attrs


def reduce(op: str, before: str = "", after: str = "", **extra: Any) -> Rule:
    """A reduction, with an elementwise function before or after it."""

    def rule(node: Node) -> None:
        attrs = _attrs(node)
        x: Any = node.need(0)
        steps: list[tuple[str, dict[str, Any]]] = []
        if before:
            steps.append((before, {}))
        if attrs is not None:
            steps.append((op, attrs | extra))
        elif op == "norm":
            steps.append(("abs", {}))  # of one element each
        if after:
            steps.append((after, {}))
        if not steps:
            node.layer("identity", {"x": x}, aliases=VIEW)
        for i, (name, values) in enumerate(steps):
            y: TensorSpec | None = (
                None if i == len(steps) - 1 else node.between(x.shape if name == before else node.y.shape)
            )
            node.layer(name, {"x": x}, y, values, suffix=name if len(steps) > 1 else "")
            x = y

    return rule


def position(op: str) -> Rule:
    def rule(node: Node) -> None:
        x = node.need(0)
        axis = axis_of(node, int_attr(node, "axis", 0), x.rank)
        node.layer(op, {"x": x}, None, {"axis": (axis,), "keepdim": bool(int_attr(node, "keepdims", 1))})

    return rule


def running(op: str) -> Rule:
    def rule(node: Node) -> None:
        x, axis = node.need(0), number(node.need(1))
        attrs: dict[str, Any] = {
            "exclusive": bool(int_attr(node, "exclusive", 0)),
            "reverse": bool(int_attr(node, "reverse", 0)),
        }
        if axis is not None:
            attrs["axis"] = (axis_of(node, int(axis), x.rank),)
        elif x.rank == 1:
            attrs["axis"] = (0,)
        node.layer(op, {"x": x}, None, attrs)

    return rule


def top_k(node: Node) -> None:
    """k is an attribute (opset 1) or an operand; where that is unknown, the result's size tells it."""
    x = node.need(0)
    axis = axis_of(node, int_attr(node, "axis", -1), x.rank)
    made = node.output(0) or node.output(1)
    k = number(node.input(1)) if node.version >= 10 else int_attr(node, "k", 1)
    if k is None and made is not None:
        k = made.shape[axis]
    attrs = {
        "axis": axis,
        "k": None if k is None else int(k),
        "n": x.shape[axis],
        "sorted": bool(int_attr(node, "sorted", 1)),
        "largest": bool(int_attr(node, "largest", 1)),
    }
    node.layer("topk", {"x": x}, {"y": node.output(0), "indices": node.output(1)}, attrs)


RULES: dict[str, Rule] = {
    "ArgMax": position("argmax"),
    "ArgMin": position("argmin"),
    "CumProd": running("cumprod"),
    "CumSum": running("cumsum"),
    "ReduceL1": reduce("norm", ord=1),
    "ReduceL2": reduce("norm", ord=2),
    "ReduceLogSum": reduce("sum", after="log"),
    "ReduceLogSumExp": reduce("logsumexp"),
    "ReduceMax": reduce("max"),
    "ReduceMean": reduce("mean"),
    "ReduceMin": reduce("min"),
    "ReduceProd": reduce("prod"),
    "ReduceSum": reduce("sum"),
    "ReduceSumSquare": reduce("sum", before="square"),
    "TopK": top_k,
}
