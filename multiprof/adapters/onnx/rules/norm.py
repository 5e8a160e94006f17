"""Normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiprof.adapters._common.shapes import reduced
from multiprof.adapters.onnx.node import Infer, Node, Rule
from multiprof.adapters.onnx.rules._common import (
    Operand,
    axis_of,
    copies,
    float_attr,
    given_ints,
    int_attr,
    like_first,
    ranked,
    size,
    warn,
)
from multiprof.adapters.onnx.rules.pool import whole
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec


def batch_norm(node: Node) -> None:
    """Given statistics, also where the file was exported for training: what it would do to them then is left out.

    Before opset 9 ``spatial`` = 0 has statistics for every element of a sample. Opset 14 marks training by
    ``training_mode``, older ones by further outputs or by ``is_test``.
    """
    x = node.need(0)
    names = ("weight", "bias", "mean", "var")
    operands = {"x": x} | {name: node.need(i) for i, name in enumerate(names, 1)}
    if node.version >= 14:
        training = bool(int_attr(node, "training_mode", 0))
    else:
        training = any(spec is not None for spec in node.outputs[1:])
    if training:
        warn(node, "trains; it is analysed as at inference, with the statistics that are given")
    spatial = node.version >= 9 or bool(int_attr(node, "spatial", 1))
    features = range(1, 2) if spatial else range(1, x.rank)
    channels = size(x.shape, features) if x.rank > 1 else 1
    attrs = {"eps": float_attr(node, "epsilon", 1e-5), "channels": channels, "batch_stats": False}
    node.layer("batch_norm", operands, None, attrs)
    # The running statistics, which stay as they are, and the batch's (opset 13 and before), which are not computed.
    for i, given in ((1, 3), (2, 4), (3, 3), (4, 4)):
        copies_of = node.need(given)
        copies(node, copies_of, i)


def instance_norm(node: Node) -> None:
    x = node.need(0)
    if x.rank < 2:
        raise ModelError(f"{node.where}: an input {x.shape} has no channels")
    attrs = {
        "eps": float_attr(node, "epsilon", 1e-5),
        "channels": x.shape[1],
        "batch": x.shape[0],
        "running_stats": False,
    }
    node.layer("instance_norm", {"x": x, "weight": node.need(1), "bias": node.need(2)}, None, attrs)


def group_norm(node: Node) -> None:
    """Weight and bias have a value for each group (opset 18) or channel (opset 21)."""
    x = node.need(0)
    if x.rank < 2:
        raise ModelError(f"{node.where}: an input {x.shape} has no channels")
    attrs = {
        "eps": float_attr(node, "epsilon", 1e-5),
        "groups": int_attr(node, "num_groups", 1),
        "channels": x.shape[1],
        "batch": x.shape[0],
    }
    node.layer("group_norm", {"x": x, "weight": node.need(1), "bias": node.need(2)}, None, attrs)


def emit_last(
    node: Node,
    op: str,
    x: Operand,
    y: TensorSpec,
    weights: Mapping[str, Operand | None],
    axis: int,
    eps: float,
    statistics: Mapping[str, TensorSpec | None],
    suffix: str = "",
) -> None:
    """Layer norm or root-mean-square norm over all axes from ``axis`` on.

    ``statistics`` (mean, 1/deviation) are handed out as the norm has them anyway: results of the same layer.
    """
    rank = len(x.shape)
    first = axis_of(node, axis, rank)
    attrs = {"eps": eps, "normalized_size": size(x.shape, range(first, rank))}
    node.layer(op, {"x": x, **weights}, {"y": y, **statistics}, attrs, suffix=suffix)


def layer_norm(node: Node) -> None:
    weights = {"weight": node.need(1), "bias": node.input(2)}
    statistics = {"mean": node.output(1), "rstd": node.output(2)}
    axis, eps = int_attr(node, "axis", -1), float_attr(node, "epsilon", 1e-5)
    emit_last(node, "layer_norm", node.need(0), node.y, weights, axis, eps, statistics)


def rms_norm(node: Node) -> None:
    """RMSNormalization; ONNX Runtime's SimplifiedLayerNormalization is the same."""
    eps, axis = float_attr(node, "epsilon", 1e-5), int_attr(node, "axis", -1)
    emit_last(
        node, "rms_norm", node.need(0), node.y, {"weight": node.need(1)}, axis, eps, {"rstd": node.output(1)}
    )  # fmt: skip


def infer_simplified(node: Node) -> list[Any]:
    """SimplifiedLayerNormalization: like x, and 1/rms as float32 with the normalised axes reduced."""
    x = node.need(0)
    first = axis_of(node, int_attr(node, "axis", -1), x.rank)
    return [(x.shape, node.need(1).dtype), (reduced(x.shape, range(first, x.rank), True), "float32")]


def mean_variance_norm(node: Node) -> None:
    """(x − mean)/(deviation + 10⁻⁹) over ``axes``."""
    x = node.need(0)
    given = given_ints(node, "axes")
    axes = tuple(axis_of(node, a, x.rank) for a in ((0, 2, 3) if given is None else given))
    shape = reduced(x.shape, axes, True)
    mean, deviation, positive = (node.between(shape) for _ in range(3))
    centred = node.between(x.shape)
    attrs = {"axis": axes, "keepdim": True, "correction": 0}
    node.layer("std", {"x": x}, {"y": deviation, "mean": mean}, attrs, suffix="std")
    node.layer("sub", {"x0": x, "x1": mean}, centred, suffix="sub")
    node.layer("add", {"x0": deviation}, positive, {"scalar": 1e-9}, suffix="add")
    node.layer("div", {"x0": centred, "x1": positive}, suffix="div")


def lp_norm(node: Node) -> None:
    x = node.need(0)
    attrs = {"axis": (axis_of(node, int_attr(node, "axis", -1), x.rank),), "p": whole(float_attr(node, "p", 2.0))}
    node.layer("lp_normalize", {"x": x}, None, attrs)


def local_response_norm(node: Node) -> None:
    x = node.need(0)
    if x.rank < 2:
        raise ModelError(f"{node.where}: an input {x.shape} has no channels")
    attrs = {
        "size": int_attr(node, "size", 1),
        "channels": x.shape[1],
        "alpha": float_attr(node, "alpha", 1e-4),
        "beta": float_attr(node, "beta", 0.75),
        "k": float_attr(node, "bias", 1.0),
    }
    node.layer("local_response_norm", {"x": x}, None, attrs)


RULES: dict[str, Rule] = {
    "BatchNormalization": batch_norm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": local_response_norm,
    "LayerNormalization": layer_norm,
    "LpNormalization": lp_norm,
    "MeanVarianceNormalization": mean_variance_norm,
    "RMSNormalization": rms_norm,
    "SimplifiedLayerNormalization": rms_norm,
}
# onnx's own inference refuses the first version of GroupNormalization, which it has deprecated.
INFER: dict[tuple[str, str], Infer] = ranked(
    {("", "GroupNormalization"): like_first, ("", "SimplifiedLayerNormalization"): infer_simplified}
)
