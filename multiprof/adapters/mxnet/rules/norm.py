"""Normalisation."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import OVER, Writing
from multiprof.ir import Shape

AFFINE = {"data": "x", "gamma": "weight", "beta": "bias"}
BATCH_NORM = {**AFFINE, "moving_mean": "mean", "moving_var": "var"}


def _outputs(call: Call) -> int:
    """Mean and variance (or deviation) stand beside the result where they are asked for."""
    return 3 if call.attrs.flag("output_mean_var") else 1


def _channel_axis(call: Call) -> int | None:
    """The axis of the channels; ``None`` while the rank is unknown."""
    shape = call.shape(0)
    return None if shape is None else call.axis(call.attrs.integer("axis", 1), len(shape))


def infer_batch_norm(call: Call) -> None:
    """gamma, beta and the statistics have one value a channel, axis 1 unless said."""
    infer_same(call)
    axis = _channel_axis(call)
    if axis is None:
        return
    shape = call.shape(0)
    assert shape is not None
    for i in range(1, len(call.args)):
        known = call.rank(i, 1)
        if known is not None and shape[axis] is None:
            call.expect(0, tuple(known[0] if place == axis else dim for place, dim in enumerate(shape)))
        call.expect(i, (shape[axis],))
    for i in (1, 2):
        call.give((shape[axis],), i)


def write_batch_norm(call: Call, to: Writing) -> None:
    axis = _channel_axis(call)
    shape = call.shape(0)
    attrs: dict[str, Any] = {
        "eps": call.attrs.number("eps", 1e-3),
        "channels": None if shape is None or axis is None else shape[axis],
        "batch_stats": False,
        "axis": axis,
    }
    if call.attrs.flag("fix_gamma", True):
        attrs["fix_gamma"] = True  # the weight there is counts as 1
    roles = ("y", "batch_mean", "batch_var")
    made = dict(zip(roles, (to.specs[entry] for entry in call.outs), strict=False))
    with_relu = call.op == "_contrib_BatchNormWithReLU"
    if with_relu:
        made["y"] = to.between(call, to.y(call).shape)
    to.layer(call, "batch_norm", to.named(call, BATCH_NORM), made, attrs)
    if with_relu:
        to.layer(call, "relu", {"x": made["y"]}, None, {}, "relu", OVER)


def infer_layer_norm(call: Call) -> None:
    """gamma and beta are as long as the axis, the last unless said; mean and deviation have it as 1."""
    infer_same(call)
    shape = call.shape(0)
    if shape is None:
        return
    axis = call.axis(call.attrs.integer("axis", -1), len(shape))
    known = call.rank(1, 1)
    if known is not None:
        call.expect(0, tuple(known[0] if place == axis else dim for place, dim in enumerate(shape)))
    for i in (1, 2):
        call.expect(i, (shape[axis],))
        call.give(tuple(1 if place == axis else dim for place, dim in enumerate(shape)), i)


def write_layer_norm(call: Call, to: Writing) -> None:
    shape = call.shape(0)
    size = None if shape is None else shape[call.axis(call.attrs.integer("axis", -1), len(shape))]
    attrs = {"eps": call.attrs.number("eps", 1e-5), "normalized_size": size}
    _with_statistics(call, to, "layer_norm", attrs)


def _with_channels(call: Call) -> Shape | None:
    """The shape of the data, which has a batch, channels and at least one more dimension; the result has it too."""
    infer_same(call)
    shape = call.shape(0)
    if shape is not None and len(shape) < 3:
        raise call.error(f"the data has the shape {shape}, of rank {len(shape)}; at least 3 are needed")
    return shape


def infer_group_norm(call: Call) -> None:
    """Mean and deviation have one value a group, and so have gamma and beta until MXNet 1.9; in 2.0 one a channel."""
    shape = _with_channels(call)
    if shape is None:
        return
    groups = call.attrs.integer("num_groups", 1, least=1)
    if shape[1] is not None and shape[1] % groups:
        raise call.error(f"{shape[1]} channels do not divide into {groups} groups")
    for i in (1, 2):
        known = call.rank(i, 1)
        if known is None or known[0] is None or known[0] != shape[1]:
            call.expect(i, (groups,))
        call.give((shape[0], groups), i)


def write_group_norm(call: Call, to: Writing) -> None:
    shape = call.shape(0) or (None, None)
    attrs = {
        "eps": call.attrs.number("eps", 1e-5),
        "groups": call.attrs.integer("num_groups", 1),
        "channels": shape[1],
        "batch": shape[0],
    }
    _with_statistics(call, to, "group_norm", attrs)


def _with_statistics(call: Call, to: Writing, op: str, attrs: dict[str, Any]) -> None:
    """The norm, and where they are asked for the statistics it makes on the way, as layers of their own."""
    to.layer(call, op, to.named(call, AFFINE), None, attrs)
    for i, name in enumerate(("mean", "std"), 1):
        if i < len(call.outs):
            to.layer(call, name, {"x": to.x(call)}, {"y": to.y(call, i)}, {"keepdim": True}, name)


def infer_instance_norm(call: Call) -> None:
    shape = _with_channels(call)
    if shape is None:
        return
    for i in (1, 2):
        call.expect(i, (shape[1],))


def write_instance_norm(call: Call, to: Writing) -> None:
    shape = call.shape(0) or (None, None)
    attrs = {"eps": call.attrs.number("eps", 1e-3), "channels": shape[1], "batch": shape[0], "running_stats": False}
    to.layer(call, "instance_norm", to.named(call, AFFINE), None, attrs)


def write_l2(call: Call, to: Writing) -> None:
    """Instance: all but the batch are normalised together; channel: along axis 1; spatial: from axis 2 on."""
    rank = to.x(call).rank
    mode = call.attrs.one_of("mode", ("channel", "instance", "spatial"), "instance")
    first, last = {"instance": (1, rank), "channel": (1, 2), "spatial": (2, rank)}[mode]
    to.unary(call, "lp_normalize", {"axis": tuple(range(first, min(last, rank))), "p": 2})


def write_lrn(call: Call, to: Writing) -> None:
    shape = call.shape(0) or (None, None)
    attrs = call.attrs
    to.unary(
        call,
        "local_response_norm",
        {
            "size": attrs.integer("nsize"),
            "channels": shape[1] if len(shape) > 1 else None,
            "alpha": attrs.number("alpha", 1e-4),
            "beta": attrs.number("beta", 0.75),
            "k": attrs.number("knorm", 2.0),
        },
    )


_BATCH_NORM = Rule(
    infer_batch_norm,
    write_batch_norm,
    ("data", "gamma", "beta", "moving_mean", "moving_var"),
    _outputs,
    like=(0,),
)
_AFFINE = ("data", "gamma", "beta")
RULES: Rules = {
    "BatchNorm": _BATCH_NORM,
    "BatchNorm_v1": _BATCH_NORM,
    "_contrib_SyncBatchNorm": _BATCH_NORM,
    "_contrib_BatchNormWithReLU": _BATCH_NORM,
    "LayerNorm": Rule(infer_layer_norm, write_layer_norm, _AFFINE, _outputs),
    "GroupNorm": Rule(infer_group_norm, write_group_norm, _AFFINE, _outputs),
    "InstanceNorm": Rule(infer_instance_norm, write_instance_norm, _AFFINE),
    "L2Normalization": Rule(infer_same, write_l2),
    "LRN": Rule(infer_same, write_lrn),
}
