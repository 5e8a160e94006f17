"""A bias added to what a convolution or a linear layer has made is part of that layer."""

from __future__ import annotations

from dataclasses import replace

from multiprof.adapters._common.patterns.net import Net
from multiprof.ir import Layer, TensorSpec

_HOSTS = ("conv", "conv_transpose", "linear")


def merge_bias(net: Net, i: int) -> bool:
    last = net.layers[i]
    assert last is not None
    if "x1" not in last.inputs or last.attrs.get("alpha", 1) != 1:
        return False
    for host_role, bias_role in (("x0", "x1"), ("x1", "x0")):
        host = net.made(last.inputs[host_role], last, *_HOSTS)
        if host is None or "bias" in host.inputs or host.y.shape != last.y.shape:
            continue
        shaped = last.inputs[bias_role]
        bias, views = net.behind(shaped, last)
        made = net.made(bias, last, "cast")  # parameters of float32 in a network of narrower floats
        if net.learned(bias if made is None else made.x) and _along_features(host, shaped, bias):
            inputs = {**host.inputs, "bias": bias}
            net.put(last, replace(host, inputs=inputs, outputs=dict(last.outputs)), [host, *views])
            return True
    return False


def _along_features(host: Layer, shaped: TensorSpec, bias: TensorSpec) -> bool:
    """Whether the operand varies along the features that the layer makes, and along nothing else."""
    y = host.y.shape
    shape = (1,) * (len(y) - shaped.rank) + tuple(shaped.shape)
    features = _feature_axes(host)
    if features is None or len(shape) != len(y) or bias.rank == 0:
        return False
    return all(n == (y[axis] if axis in features else 1) or n == y[axis] == 1 for axis, n in enumerate(shape))


def _feature_axes(host: Layer) -> tuple[int, ...] | None:
    """The axes of the result that come from the weight alone."""
    if host.op == "linear":
        equation = host.attrs.get("equation")
        if equation is None:
            return (len(host.y.shape) - 1,)
        operands, _, out = equation.partition("->")
        x = operands.partition(",")[0]
        return tuple(axis for axis, letter in enumerate(out) if letter not in x)
    order = host.attrs.get("data_format")
    return (order.index("C"),) if order else None


__all__ = ["merge_bias"]
