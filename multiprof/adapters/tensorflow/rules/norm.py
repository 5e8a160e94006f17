"""Normalisation."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.rules._fused import ACTIVATIONS
from multiprof.adapters.tensorflow.rules._windows import Axes
from multiprof.adapters.tensorflow.table import rule


@rule("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "_FusedBatchNormEx")
def fused_batch_norm(node: Node) -> Any:
    """x, scale, offset, mean, variance; at inference the statistics are handed out as they are."""
    x, weight, bias = node.x(0), node.x(1), node.x(2)
    axes = Axes(node, x.rank)
    training = bool(node.attr("is_training", True))
    attrs = {"eps": node.attr("epsilon", 1e-4), "channels": weight.shape[0], "batch_stats": training}
    if attrs["channels"] is None:
        attrs["channels"] = x.shape[axes.channel]
    operands = {"x": x, "weight": weight, "bias": bias}
    if not training:
        operands |= {"mean": node.x(3), "var": node.x(4)}
    activation = ACTIVATIONS.get(node.attr("activation_mode", "Identity"))
    side = node.x(5) if node.op == "_FusedBatchNormEx" and node.has(5) else None
    y = node.y()
    steps = [step for step in ("add" if side is not None else "", activation or "") if step]
    made = node.between(y.shape) if steps else y
    outputs = {"y": made}
    if training:
        outputs |= {"batch_mean": node.y(1), "batch_var": node.y(2)}
    node.layer("batch_norm", operands, outputs, attrs)
    for number, step in enumerate(steps):
        target = y if number == len(steps) - 1 else node.between(y.shape)
        inputs = {"x0": made, "x1": side} if step == "add" else {"x": made}
        node.layer(step, inputs, target, piece=step)
        made = target
    # what is left are the statistics again, kept for a gradient
    for number in range(1, len(node.outputs)):
        if number not in node.bound:
            node.bind(number, node.bound[2 - number % 2] if training else node.value(4 - number % 2))
    return None


@rule("BatchNormWithGlobalNormalization")
def old_batch_norm(node: Node) -> None:
    """t, mean, variance, beta, gamma."""
    x, mean, var, beta, gamma = (node.x(i) for i in range(5))
    operands = {"x": x, "bias": beta, "mean": mean, "var": var}
    if node.attr("scale_after_normalization", True):
        operands["weight"] = gamma
    attrs = {"eps": node.attr("variance_epsilon", 1e-3), "channels": mean.shape[0], "batch_stats": False}
    node.layer("batch_norm", operands, None, attrs)


@rule("LRN")
def local_response_norm(node: Node) -> None:
    x = node.x()
    attrs = {
        "size": 2 * int(node.attr("depth_radius", 5)) + 1,
        "channels": x.shape[-1],
        "alpha": node.attr("alpha", 1.0),
        "beta": node.attr("beta", 0.5),
        "k": node.attr("bias", 1.0),
    }
    node.layer("local_response_norm", {"x": x}, None, attrs)


@rule("L2Loss")
def l2_loss(node: Node) -> None:
    """½·Σx²"""
    x, y = node.x(), node.y()
    squared, total = node.between(x.shape), node.between(())
    node.layer("square", {"x": x}, squared, piece="square")
    node.layer("sum", {"x": squared}, total, {"axis": tuple(range(x.rank)), "keepdim": False}, piece="sum")
    node.layer("mul", {"x0": total}, y, {"scalar": 0.5}, piece="mul")
