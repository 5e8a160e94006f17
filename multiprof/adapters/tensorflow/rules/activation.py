"""Activations and softmax."""

from __future__ import annotations

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import Rule, rule

_PLAIN = {
    "Relu": "relu", "Relu6": "relu6", "Selu": "selu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus",
    "Softsign": "softsign",
}  # fmt: skip


def _unary(op: str) -> Rule:
    return lambda node: node.unary(op)


for _name, _op in _PLAIN.items():
    rule(_name)(_unary(_op))


@rule("Elu")
def elu(node: Node) -> None:
    node.unary("elu", {"alpha": 1.0})


@rule("LeakyRelu")
def leaky_relu(node: Node) -> None:
    node.unary("leaky_relu", {"negative_slope": node.attr("alpha", 0.2)})


@rule("Softmax", "LogSoftmax")
def softmax(node: Node) -> None:
    """Along the last axis."""
    x = node.x()
    op = "softmax" if node.op == "Softmax" else "log_softmax"
    node.layer(op, {"x": x}, None, {"axis": (x.rank - 1,), "n": x.shape[-1]})


@rule("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits")
def cross_entropy(node: Node) -> object:
    """A loss, which is no part of a network that is used."""
    return NotImplemented
