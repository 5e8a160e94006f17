"""Operators of classical machine learning (``ai.onnx.ml``) that stand before networks: scaling of the features.

Trees, support vectors and the rest are none of the arithmetic counted here: they are foreign layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprof.adapters.onnx.node import Infer, Node, Rule
from multiprof.ir import Shape

_ML = "ai.onnx.ml"


def _factors(values: Any) -> Any:
    """One number for all features, or one for each."""
    numbers = [float(v) for v in values]
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def scaler(node: Node) -> Any:
    """(x − offset)·scale, where either may be left out."""
    x, offset, scale = node.need(0), node.attr("offset"), node.attr("scale")
    if not offset and not scale:
        return NotImplemented
    if not scale:
        node.layer("sub", {"x0": x}, None, {"scalar": _factors(offset)})
    elif not offset:
        node.layer("mul", {"x0": x}, None, {"scalar": _factors(scale)})
    else:
        moved = node.between(node.y.shape)
        node.layer("sub", {"x0": x}, moved, {"scalar": _factors(offset)}, suffix="sub")
        node.layer("mul", {"x0": moved}, None, {"scalar": _factors(scale)}, suffix="mul")
    return None


def real_like_first(node: Node) -> Sequence[tuple[Shape, str] | None]:
    """As many numbers as come in, as float32."""
    x = node.input(0)
    return [None if x is None or not x.ranked else (x.shape, "float32")]


ML: dict[str, Rule] = {"Scaler": scaler}
INFER: dict[tuple[str, str], Infer] = {
    **dict.fromkeys(((_ML, "Normalizer"), (_ML, "Scaler")), real_like_first),
}
