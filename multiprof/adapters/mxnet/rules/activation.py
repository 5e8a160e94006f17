"""Activations: the operators that choose one by name, and those that are one."""

from __future__ import annotations

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing

KINDS = {
    "relu": "relu",
    "sigmoid": "sigmoid",
    "log_sigmoid": "log_sigmoid",
    "mish": "mish",
    "tanh": "tanh",
    "softrelu": "softplus",
    "softsign": "softsign",
}
LEAKY = ("leaky", "prelu", "elu", "selu", "gelu", "rrelu")


def write_activation(call: Call, to: Writing) -> None:
    to.unary(call, KINDS[call.attrs.one_of("act_type", tuple(KINDS), "")])


def _kind(call: Call) -> str:
    return call.attrs.one_of("act_type", LEAKY, "leaky")


def _leaky_args(call: Call) -> Args:
    return ("data", "gamma") if _kind(call) == "prelu" else ("data",)


def infer_leaky(call: Call) -> None:
    """A learned slope is one value a channel, or a single one where its shape says so."""
    infer_same(call)
    shape = call.shape(0)
    if _kind(call) != "prelu" or shape is None or len(shape) < 2:
        return
    known = call.rank(1, 1)
    if known is None or known == (None,):
        call.expect(1, (shape[1],))
    elif known != (1,) and shape[1] not in (known[0], None):
        raise call.error(f"{known[0]} slopes for {shape[1]} channels")


def write_leaky(call: Call, to: Writing) -> None:
    kind, attrs = _kind(call), call.attrs
    slope = attrs.number("slope", 0.25)
    if kind == "prelu":
        to.layer(call, "prelu", to.named(call, {"data": "x", "gamma": "weight"}))
    elif kind == "rrelu":  # at inference the slope is the middle of the interval
        lower, upper = attrs.number("lower_bound", 0.125), attrs.number("upper_bound", 0.334)
        to.unary(call, "leaky_relu", {"negative_slope": (lower + upper) / 2})
    elif kind == "leaky":
        to.unary(call, "leaky_relu", {"negative_slope": slope})
    elif kind == "elu":
        to.unary(call, "elu", {"alpha": slope})
    elif kind == "gelu":
        to.unary(call, "gelu", {"approximate": "none"})
    else:
        to.unary(call, "selu")


def write_hard_sigmoid(call: Call, to: Writing) -> None:
    """clip(alpha·x + beta, 0, 1)."""
    to.unary(call, "hard_sigmoid", {"alpha": call.attrs.number("alpha", 0.2), "beta": call.attrs.number("beta", 0.5)})


RULES: Rules = {
    "Activation": Rule(infer_same, write_activation),
    "LeakyReLU": Rule(infer_leaky, write_leaky, _leaky_args),
    "hard_sigmoid": Rule(infer_same, write_hard_sigmoid),
}
