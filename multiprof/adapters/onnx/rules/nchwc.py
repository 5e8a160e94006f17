"""ONNX Runtime's convolutions and pools in blocks of channels, as it saves a model that it has optimised for a CPU.

Shapes are written as if channels stood second; there are as many as fill whole blocks.
"""

from __future__ import annotations

from multiprof.adapters.onnx.node import Infer, Node, Rule
from multiprof.adapters.onnx.rules._common import Found, int_attr, ranked
from multiprof.adapters.onnx.rules.contrib_misc import fused_conv, infer_conv
from multiprof.adapters.onnx.rules.contrib_quantized import infer_global, pooled
from multiprof.adapters.onnx.rules.pool import average_pool, global_average_pool, global_max_pool, max_pool
from multiprof.errors import ModelError

BLOCK = 8  # channels, at least


def reorder(node: Node) -> None:
    """The same elements in another order."""
    node.layer("copy", {"x": node.need(0)})


def infer_into(node: Node) -> Found:
    x = node.need(0)
    if x.rank < 3:
        raise ModelError(f"{node.where}: an input {x.shape}")
    last = int_attr(node, "channels_last", 0)
    channels, spatial = (x.shape[-1], x.shape[1:-1]) if last else (x.shape[1], x.shape[2:])
    filled = None if channels is None else -(-channels // BLOCK) * BLOCK
    return [((x.shape[0], filled, *spatial), x.dtype)]


def infer_out_of(node: Node) -> Found:
    x, channels = node.need(0), int_attr(node, "channels", 0)
    if x.rank < 3 or channels < 1:
        raise ModelError(f"{node.where}: an input {x.shape} and {channels} channels")
    if int_attr(node, "channels_last", 0):
        return [((x.shape[0], *x.shape[2:], channels), x.dtype)]
    return [((x.shape[0], channels, *x.shape[2:]), x.dtype)]


NCHWC: dict[str, Rule] = {
    "AveragePool": average_pool,
    "Conv": fused_conv,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "MaxPool": max_pool,
    "ReorderInput": reorder,
    "ReorderOutput": reorder,
}
_BLOCKED = "com.microsoft.nchwc"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        **{(_BLOCKED, name): pooled for name in ("AveragePool", "MaxPool")},
        **{(_BLOCKED, name): infer_global for name in ("GlobalAveragePool", "GlobalMaxPool")},
        (_BLOCKED, "Conv"): infer_conv,
        (_BLOCKED, "ReorderInput"): infer_into,
        (_BLOCKED, "ReorderOutput"): infer_out_of,
    }
)
