"""Tensors out of nothing: constants, progressions, random numbers, windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from multiprof.adapters.onnx.node import Node, Rule
from multiprof.adapters.onnx.rules._common import int_attr, present


def fill(node: Node) -> None:
    """ConstantOfShape: zeros of float32 unless ``value`` says something else."""
    value = node.attr("value")
    element = value.ravel()[0].item() if isinstance(value, np.ndarray) and value.size else 0.0
    node.layer("fill", {}, None, {"value": element})


def arange(node: Node) -> None:
    node.layer("arange", {})


def eye(node: Node) -> None:
    node.layer("eye", {}, None, {"diagonal": int_attr(node, "k", 0)})


def table(node: Node) -> None:
    """Windows and filter banks, whose sizes and bounds are operands: values that stand in the program."""
    node.layer("constant", {})


def random(distribution: str, reads: bool = False) -> Rule:
    """Random numbers; ``reads`` says that the distribution depends on the operand, not only the shape."""

    def rule(node: Node) -> None:
        operands: dict[str, Any] = {f"x{i}": x for i, x in enumerate(present(node))} if reads else {}
        node.layer("random", operands, None, {"distribution": distribution})

    return rule


RULES: dict[str, Rule] = {
    "Bernoulli": random("bernoulli", reads=True),
    "BlackmanWindow": table,
    "ConstantOfShape": fill,
    "EyeLike": eye,
    "HammingWindow": table,
    "HannWindow": table,
    "MelWeightMatrix": table,
    "Multinomial": random("multinomial", reads=True),
    "RandomNormal": random("normal"),
    "RandomNormalLike": random("normal"),
    "RandomUniform": random("uniform"),
    "RandomUniformLike": random("uniform"),
    "Range": arange,
}
