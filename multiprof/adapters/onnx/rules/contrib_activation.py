"""ONNX Runtime's own activations, most of them with a bias."""

from __future__ import annotations

from multiprof.adapters._common.shapes import broadcast
from multiprof.adapters.onnx.node import Infer, Node, Rule
from multiprof.adapters.onnx.rules._common import Found, axis_of, float_attr, int_attr, like_first, ranked, size
from multiprof.adapters.onnx.rules.activation import emit_swish


def broadcast_pair(node: Node) -> Found:
    """The common shape of the first two operands."""
    a, b = node.need(0), node.need(1)
    return [(broadcast(a.shape, b.shape, where=node.where), a.dtype)]


def _gelu(approximate: str) -> Rule:
    """Gelu of x, or of x + bias."""

    def rule(node: Node) -> None:
        x, bias = node.need(0), node.input(1)
        attrs = {"approximate": approximate}
        if bias is None:
            node.layer("gelu", {"x": x}, None, attrs)
            return
        total = node.between(node.y.shape)
        node.layer("add", {"x0": x, "x1": bias}, total, suffix="bias")
        node.layer("gelu", {"x": total}, None, attrs, suffix="gelu")

    return rule


def quick_gelu(node: Node) -> None:
    emit_swish(node, node.need(0), node.y, float_attr(node, "alpha", 1.702))


def bias_split_gelu(node: Node) -> None:
    """x + bias in halves a and b: a·gelu(b)."""
    x, bias, y = node.need(0), node.need(1), node.y
    total, a, b, gate = node.between(x.shape), *(node.between(y.shape) for _ in range(3))
    node.layer("add", {"x0": x, "x1": bias}, total, suffix="bias")
    attrs = {"axis": x.rank - 1, "sizes": (y.shape[-1], y.shape[-1])}
    node.layer("split", {"x": total}, {"y0": a, "y1": b}, attrs, suffix="split")
    node.layer("gelu", {"x": b}, gate, {"approximate": "none"}, suffix="gelu")
    node.layer("mul", {"x0": a, "x1": gate}, suffix="mul")


def infer_halved(node: Node) -> Found:
    x = node.need(0)
    last = x.shape[-1] if x.shape else None
    return [((*x.shape[:-1], None if last is None else last // 2), x.dtype)]


def bias_add(node: Node) -> None:
    """x + bias + skip"""
    total = node.between(node.y.shape)
    node.layer("add", {"x0": node.need(0), "x1": node.need(1)}, total, suffix="bias")
    node.layer("add", {"x0": total, "x1": node.need(2)}, suffix="skip")


def bias_softmax(node: Node) -> None:
    """softmax(x + bias) over all axes from ``axis`` on."""
    x = node.need(0)
    total = node.between(x.shape)
    first = axis_of(node, int_attr(node, "axis", 1), x.rank)
    axes = tuple(range(first, x.rank))
    node.layer("add", {"x0": x, "x1": node.need(1)}, total, suffix="bias")
    node.layer("softmax", {"x": total}, None, {"axis": axes, "n": size(x.shape, axes)}, suffix="softmax")


CONTRIB: dict[str, Rule] = {
    "BiasAdd": bias_add,
    "BiasGelu": _gelu("none"),
    "BiasSoftmax": bias_softmax,
    "BiasSplitGelu": bias_split_gelu,
    "FastGelu": _gelu("tanh"),
    "Gelu": _gelu("none"),
    "QuickGelu": quick_gelu,
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        **{(_MS, name): like_first for name in ("BiasAdd", "BiasSoftmax", "FastGelu", "Gelu", "QuickGelu")},
        (_MS, "BiasGelu"): broadcast_pair,
        (_MS, "BiasSplitGelu"): infer_halved,
    }
)
