"""Dropout: nothing at inference; random numbers and a product where the model asks for it to be applied."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, between, is_regular
from multiprof.adapters.torch.rules._moves import Base
from multiprof.adapters.torch.rules._promotion import FLOATS
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer


def _dropout(t: Tracer, x: Tensor, p: float, training: bool, inplace: bool) -> Any:
    if not 0 <= p <= 1:
        return NotImplemented
    if not training or p == 0 or x.numel() == 0:
        # torch returns x itself; a view of it stands in for it, so that the layer has an output of its own.
        return t.view("dropout", x, Base.detach(x), {"p": p})
    if p == 1 or x.dtype not in FLOATS or not is_regular(x):
        return NotImplemented
    if inplace:
        check_writable(t, x, x.dtype)
    mask, scaled = between(x.shape, x.dtype), between(x.shape, x.dtype)
    t.emit("random", {}, {"y": mask}, {"distribution": "bernoulli"}, "random")
    t.emit("div", {"x0": mask}, {"y": scaled}, {"scalar": 1 - p}, "div")
    if inplace:
        return t.write("mul", x, {"x0": x, "x1": scaled}, None, "x0")
    y = t.new(x.shape, x.dtype)
    t.emit("mul", {"x0": x, "x1": scaled}, {"y": y}, None, "mul")
    return y


@rule("F.dropout")
def dropout(t: Tracer, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return _dropout(t, input, p, training, inplace)


@rule("torch.dropout")
def torch_dropout(t: Tracer, input: Tensor, p: float, train: bool) -> Any:
    return _dropout(t, input, p, train, False)


@rule("torch.dropout_", "torch.feature_dropout_", "torch.alpha_dropout_", "torch.feature_alpha_dropout_")
def torch_dropout_(t: Tracer, input: Tensor, p: float, train: bool) -> Any:
    return NotImplemented if train else _dropout(t, input, p, train, True)


@rule("torch.feature_dropout", "torch.alpha_dropout", "torch.feature_alpha_dropout")
def other_dropout(t: Tracer, input: Tensor, p: float, train: bool) -> Any:
    return NotImplemented if train else _dropout(t, input, p, train, False)


@rule("F.alpha_dropout")
def alpha_dropout(t: Tracer, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    return NotImplemented if training else _dropout(t, input, p, training, inplace)


@rule("F.feature_alpha_dropout")
def feature_alpha_dropout(
    t: Tracer, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:
    return NotImplemented if training else _dropout(t, input, p, training, inplace)


def _channels(*ranks: int) -> Rule:
    """torch's own code checks the rank, warns, and adds a batch dimension; it does so where channels are dropped."""

    def apply(t: Tracer, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if training or input.dim() not in ranks:
            return NotImplemented
        return _dropout(t, input, p, training, inplace)

    return apply


rule("F.dropout1d")(_channels(2, 3))
rule("F.dropout2d")(_channels(4))
rule("F.dropout3d")(_channels(4, 5))
