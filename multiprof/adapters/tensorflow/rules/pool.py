"""Pooling over windows of images."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.rules._windows import Axes, attrs_of, padding
from multiprof.adapters.tensorflow.table import rule


def _window(node: Node, ksize: Any, strides: Any) -> dict[str, Any] | None:
    """The attributes of a pool; ``None`` for a window over channels or samples."""
    shape = node.shape()
    axes = Axes(node, len(shape))
    if not ksize or not strides or len(ksize) != axes.rank or len(strides) != axes.rank:
        return None
    others = [i for i in range(axes.rank) if i not in axes.spatial]
    if any(ksize[i] != 1 or strides[i] != 1 for i in others):
        return None
    kernel = tuple(int(ksize[i]) for i in axes.spatial)
    stride = tuple(int(strides[i]) for i in axes.spatial)
    dilation = (1,) * axes.count
    pairs = padding(node, axes, axes.sizes(shape), kernel, stride, dilation)
    return attrs_of(axes, kernel, stride, pairs, dilation) | {"ceil_mode": False}


@rule("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D", "MaxPoolWithArgmax")
def pool(node: Node) -> Any:
    """A mean is over what lies in the image: padding is not counted."""
    attrs = _window(node, node.attr("ksize"), node.attr("strides"))
    if attrs is None:
        return NotImplemented
    if node.op.startswith("Avg"):
        node.layer("avg_pool", {"x": node.x()}, None, attrs | {"count_include_pad": False, "divisor": None})
    elif node.op == "MaxPoolWithArgmax":
        node.layer("max_pool", {"x": node.x()}, {"y": node.y(), "indices": node.y(1)}, attrs)
    else:
        node.layer("max_pool", {"x": node.x()}, None, attrs)
    return None


@rule("MaxPoolV2")
def max_pool_v2(node: Node) -> Any:
    """Window and stride are operands."""
    attrs = _window(node, node.ints(1), node.ints(2))
    if attrs is None:
        return NotImplemented
    node.layer("max_pool", {"x": node.x()}, None, attrs)
    return None
