"""Activations, softmax and normalisations."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule

_PLAIN = {
    "RELU": "relu", "RELU6": "relu6", "TANH": "tanh", "LOGISTIC": "sigmoid", "HARD_SWISH": "hard_swish",
    "STABLEHLO_LOGISTIC": "sigmoid", "STABLEHLO_TANH": "tanh",
}  # fmt: skip


@rule(*_PLAIN)
def plain(node: Node) -> None:
    node.emit(_PLAIN[node.code], {"x": node.x()}, node.shape())


@rule("RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "ELU", "GELU")
def with_attributes(node: Node) -> None:
    found: dict[str, tuple[str, dict[str, Any]]] = {
        "RELU_N1_TO_1": ("hard_tanh", {"min": -1, "max": 1}),
        "RELU_0_TO_1": ("clip", {"min": 0, "max": 1}),
        "LEAKY_RELU": ("leaky_relu", {"negative_slope": node.options.get("alpha")}),
        "ELU": ("elu", {"alpha": 1.0}),
        "GELU": ("gelu", {"approximate": "tanh" if node.options.get("approximate") else "none"}),
    }
    op, attrs = found[node.code]
    node.emit(op, {"x": node.x()}, node.shape(), attrs)


@rule("PRELU")
def prelu(node: Node) -> None:
    node.emit("prelu", {"x": node.x(0), "weight": node.x(1)}, node.shape())


@rule("SOFTMAX", "LOG_SOFTMAX")
def softmax(node: Node) -> None:
    """Over the last dimension, of x times beta."""
    x = node.x()
    if not x.rank:
        raise node.fail("softmax of a scalar")
    beta = node.options.get("beta", 1.0)
    if beta not in (0.0, 1.0):
        scaled = node.between(x.shape, x, True)
        node.layer("mul", {"x0": x}, {"y": scaled}, {"scalar": beta}, piece="beta")
        x = scaled
    op = "softmax" if node.code == "SOFTMAX" else "log_softmax"
    node.emit(op, {"x": x}, x.shape, {"axis": (x.rank - 1,), "n": x.shape[-1]})


@rule("L2_NORMALIZATION")
def l2_normalization(node: Node) -> None:
    x = node.x()
    node.emit(
        "lp_normalize", {"x": x}, x.shape, {"axis": (max(x.rank, 1) - 1,), "p": 2},
        fused=node.options["fused_activation_function"],
    )  # fmt: skip


@rule("LOCAL_RESPONSE_NORMALIZATION")
def local_response_normalization(node: Node) -> None:
    """x/(bias + alpha·Σx²)^beta over 2·radius + 1 neighbouring channels."""
    x, o = node.x(), node.options
    if not 0 <= o["radius"] < 1 << 20:
        raise node.fail(f"its radius is {o['radius']}")
    attrs = {"size": 2 * o["radius"] + 1, "channels": node.shape(0, 4)[-1]}
    attrs |= {"alpha": o["alpha"], "beta": o["beta"], "k": o["bias"]}
    node.emit("local_response_norm", {"x": x}, x.shape, attrs)


__all__: list[str] = []
