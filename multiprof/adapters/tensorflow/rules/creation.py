"""Tensors out of nothing."""

from __future__ import annotations

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import rule


@rule("Fill", "ZerosLike", "OnesLike", "Empty")
def fill(node: Node) -> None:
    value = {"ZerosLike": 0, "OnesLike": 1, "Empty": 0}.get(node.op, node.scalar(1))
    node.layer("fill", {}, None, {} if value is None else {"value": value})


@rule("Range", "LinSpace")
def arange(node: Node) -> None:
    node.layer("arange", {})


@rule("Timestamp")
def timestamp(node: Node) -> None:
    node.layer("constant", {})


_DISTRIBUTIONS = {
    "RandomUniform": "uniform", "RandomUniformInt": "uniform", "RandomStandardNormal": "normal",
    "TruncatedNormal": "truncated_normal", "RandomShuffle": "shuffle", "Multinomial": "multinomial",
    "RandomGamma": "gamma", "RandomPoissonV2": "poisson",
    "ParameterizedTruncatedNormal": "truncated_normal",
    "StatelessRandomUniform": "uniform", "StatelessRandomUniformV2": "uniform", "StatelessRandomUniformInt": "uniform",
    "StatelessRandomUniformIntV2": "uniform", "StatelessRandomUniformFullInt": "uniform",
    "StatelessRandomUniformFullIntV2": "uniform", "StatelessRandomNormal": "normal",
    "StatelessRandomNormalV2": "normal", "StatelessTruncatedNormal": "truncated_normal",
    "StatelessTruncatedNormalV2": "truncated_normal", "StatelessMultinomial": "multinomial",
    "StatefulUniform": "uniform", "StatefulStandardNormalV2": "normal", "StatefulTruncatedNormal": "truncated_normal",
    "StatefulUniformInt": "uniform", "StatefulUniformFullInt": "uniform",
}  # fmt: skip


@rule(*_DISTRIBUTIONS)
def random(node: Node) -> None:
    """What it reads beside the shape and the seed are parameters of the distribution."""
    operands = {}
    if _DISTRIBUTIONS[node.op] in ("shuffle", "multinomial", "gamma", "poisson"):
        place = 1 if node.op in ("RandomGamma", "RandomPoissonV2") else 0
        operands = {"x0": node.x(place)}
    node.layer("random", operands, None, {"distribution": _DISTRIBUTIONS[node.op]})


_KEYS = (
    "StatelessRandomGetKeyCounter", "StatelessRandomGetAlg", "StatelessRandomGetKeyCounterAlg", "RngReadAndSkip",
    "RngSkip", "StatefulRandomBinomial",
)  # fmt: skip


@rule(*_KEYS)
def keys(node: Node) -> None:
    """State of a generator."""
    for number in range(len(node.outputs)):
        node.layer("random", {}, node.y(number), {"distribution": "key"}, piece="" if not number else str(number))
