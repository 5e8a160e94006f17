"""Losses, step by step."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Operand, int_attr, str_attr
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec


def negative_log_likelihood(node: Node) -> None:
    _loss(node, node.need(0), node.need(1), node.input(2))


def softmax_cross_entropy(node: Node) -> None:
    """The logarithm of the softmax over the classes, which is a result too, and the likelihood of the right ones."""
    x = node.need(0)
    likely = node.output(1)
    if likely is None:
        likely = node.between(x.shape, x.dtype, "log_softmax")
    classes = x.shape[1] if x.rank > 1 else None
    node.layer("log_softmax", {"x": x}, likely, {"axis": (1,), "n": classes}, suffix="log_softmax")
    _loss(node, Tensor(likely), node.need(1), node.input(2))


def _loss(node: Node, x: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """−weight[target]·x[target], each, summed, or as a mean, which divides by the weights' sum where there are any.

    ``ignore_index`` leaves elements out: another selection an element.
    """
    if x.rank < 2:
        raise ModelError(f"{node.where}: an input {x.shape} has no classes")
    reduction = str_attr(node, "reduction", "mean")
    shape, dtype = target.shape, x.dtype
    factors: Operand | None = None
    if weight is not None:
        factors = node.between(shape, dtype, "weights")
        node.layer("gather", {"x": weight, "indices": target}, factors, {"axis": 0}, suffix="weights")
    if "ignore_index" in node.attrs:
        mask = node.between(shape, "bool", "ignored")
        node.layer("equal", {"x0": target}, mask, {"scalar": int_attr(node, "ignore_index", 0)}, suffix="ignored")
    else:
        mask = None
    made = node.between(shape, dtype)
    node.layer("gather", {"x": x, "indices": target}, made, {"axis": 1}, suffix="pick")
    last = reduction == "none" and factors is None and mask is None
    made = _next(node, "neg", {"x": made}, node.y if last else node.between(shape, dtype), {}, "neg")
    if factors is not None:
        last = reduction == "none" and mask is None
        made = _next(
            node, "mul", {"x0": made, "x1": factors}, node.y if last else node.between(shape, dtype), {}, "mul"
        )
    if mask is not None:
        target_spec = node.y if reduction == "none" else node.between(shape, dtype)
        made = _next(node, "masked_fill", {"x": made, "mask": mask}, target_spec, {"value": 0}, "ignore")
    if reduction == "none":
        return
    axes = {"axis": tuple(range(len(shape))), "keepdim": False}
    if reduction == "sum":
        node.layer("sum", {"x": made}, None, axes, suffix="sum")
    elif factors is None:
        node.layer("mean", {"x": made}, None, axes, suffix="mean")
    else:
        total, whole = node.between((), dtype), node.between((), dtype)
        node.layer("sum", {"x": made}, total, axes, suffix="sum")
        node.layer("sum", {"x": factors}, whole, axes, suffix="sum_weights")
        node.layer("div", {"x0": total, "x1": whole}, suffix="div")


def _next(
    node: Node, op: str, operands: dict[str, Any], y: TensorSpec, attrs: dict[str, Any], suffix: str
) -> TensorSpec:
    node.layer(op, operands, y, attrs, suffix=suffix)
    return y


RULES: dict[str, Rule] = {
    "NegativeLogLikelihoodLoss": negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
}
