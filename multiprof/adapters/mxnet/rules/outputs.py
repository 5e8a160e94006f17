"""Losses and outputs: at inference the softmax or the data itself; labels are left unread. Dropout is absent."""

from __future__ import annotations

from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import SAME_MEMORY, Writing
from multiprof.ir import Shape

LABELLED = ("data", "label")


def write_softmax(call: Call, to: Writing) -> None:
    shape = to.x(call).shape
    axis = call.axis(call.attrs.integer("axis", -1), len(shape)) if shape else 0
    x, y = to.x(call), to.y(call)
    op = "log_softmax" if call.op == "log_softmax" else "softmax"
    temperature = call.attrs.number("temperature", 1.0)
    if call.op == "softmin":
        negated = to.between(call, x.shape)
        to.layer(call, "neg", {"x": x}, {"y": negated}, None, "neg")
        x = negated
    if temperature != 1.0:
        scaled = to.between(call, x.shape)
        to.layer(call, "div", {"x0": x}, {"y": scaled}, {"scalar": temperature}, "div")
        x = scaled
    to.layer(call, op, {"x": x}, {"y": y}, {"axis": (axis,), "n": shape[axis] if shape else 1})


def _softmax_args(call: Call) -> Args:
    return ("data", "length") if call.attrs.flag("use_length") else ("data",)


def infer_softmax(call: Call) -> None:
    """The lengths have the data's shape without the axis."""
    infer_same(call)
    shape = call.shape(0)
    if shape is not None and len(call.args) == 2:
        axis = call.axis(call.attrs.integer("axis", -1), len(shape))
        call.expect(1, shape[:axis] + shape[axis + 1 :])


def _softmax_dtype(call: Call) -> str:
    return call.attrs.dtype("dtype", "")


# -- outputs with labels ----------------------------------------------------------------------------------------------


def infer_softmax_output(call: Call) -> None:
    """The label: one class for all but the last dimension; with multi_output one a position, as (N, rest) or
    (N, positions …); or probabilities shaped as the data."""
    infer_same(call)
    shape = call.shape(0)
    if shape is None or call.shape(1) is not None:
        return
    if call.attrs.flag("multi_output"):
        call.expect(1, (shape[0], _product(shape[2:])))
    else:
        call.expect(1, shape[:-1])


def write_softmax_output(call: Call, to: Writing) -> None:
    """Along axis 1 with multi_output, along the last with preserve_shape, else over all behind the batch."""
    x, shape = to.x(call), to.x(call).shape
    if call.attrs.flag("multi_output"):
        axes: tuple[int, ...] = (1,)
    elif call.attrs.flag("preserve_shape"):
        axes = (len(shape) - 1,)
    else:
        axes = tuple(range(1, len(shape)))
    to.layer(call, "softmax", {"x": x}, None, {"axis": axes, "n": _product([shape[i] for i in axes if i < len(shape)])})


def write_softmax_activation(call: Call, to: Writing) -> None:
    """Over all behind the batch, or with mode channel along axis 1."""
    shape = to.x(call).shape
    channel = call.attrs.one_of("mode", ("instance", "channel"), "instance") == "channel"
    axes = (1,) if channel else tuple(range(1, len(shape)))
    to.unary(call, "softmax", {"axis": axes, "n": _product([shape[i] for i in axes if i < len(shape)])})


def infer_regression(call: Call) -> None:
    """The label is shaped as the data; data of one column takes a label of one dimension."""
    infer_same(call)
    shape = call.shape(0)
    if shape is None or call.shape(1) is not None:
        return
    call.expect(1, shape[:1] if len(shape) == 2 and shape[1] == 1 else shape)


def write_identity(call: Call, to: Writing) -> None:
    to.unary(call, "identity", None, SAME_MEMORY)


def write_logistic(call: Call, to: Writing) -> None:
    to.unary(call, "sigmoid")


def infer_svm(call: Call) -> None:
    infer_same(call)
    shape = call.shape(0)
    if shape is not None and call.shape(1) is None:
        call.expect(1, shape[:1])


def _product(dims: Shape | list[int | None]) -> int | None:
    return numel(tuple(dims))


def write_dropout(call: Call, to: Writing) -> None:
    to.unary(call, "dropout", {"p": call.attrs.number("p", 0.5)}, SAME_MEMORY)


_SOFTMAX = Rule(infer_softmax, write_softmax, _softmax_args, like=(0,), dtype=_softmax_dtype)
RULES: Rules = {
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "softmin": _SOFTMAX,
    "SoftmaxOutput": Rule(infer_softmax_output, write_softmax_output, LABELLED, like=(0,), unread=("label",)),
    "SoftmaxActivation": Rule(infer_same, write_softmax_activation),
    "LinearRegressionOutput": Rule(infer_regression, write_identity, LABELLED, like=(0,), unread=("label",)),
    "MAERegressionOutput": Rule(infer_regression, write_identity, LABELLED, like=(0,), unread=("label",)),
    "LogisticRegressionOutput": Rule(infer_regression, write_logistic, LABELLED, like=(0,), unread=("label",)),
    "SVMOutput": Rule(infer_svm, write_identity, LABELLED, like=(0,), unread=("label",)),
    "Dropout": Rule(infer_same, write_dropout),
}
