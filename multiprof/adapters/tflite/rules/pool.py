"""Pooling over windows of images, NHWC."""

from __future__ import annotations

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import custom, rule
from multiprof.adapters.tflite.rules._windows import slide

_OPS = {"AVERAGE_POOL_2D": "avg_pool", "MAX_POOL_2D": "max_pool", "L2_POOL_2D": "lp_pool"}


@rule("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
def pool(node: Node) -> None:
    """The mean is over what lies in the image: padding is not counted."""
    x = node.shape(0, 4)
    o = node.options
    kernel, stride = (o["filter_height"], o["filter_width"]), (o["stride_h"], o["stride_w"])
    sizes, pairs = slide(node, x[1:3], kernel, stride)
    attrs = {"kernel_size": kernel, "stride": stride, "padding": pairs, "dilation": (1, 1), "ceil_mode": False}
    attrs["data_format"] = "NHWC"
    op = _OPS[node.code]
    if op == "avg_pool":
        attrs |= {"count_include_pad": False, "divisor": None}
    elif op == "lp_pool":
        attrs["p"] = 2
    node.emit(op, {"x": node.x()}, (x[0], *sizes, x[3]), attrs, fused=o["fused_activation_function"])


@custom("MaxUnpooling2D")
def max_unpooling(node: Node) -> None:
    """MediaPipe's own: elements put back where the maximum was found; the size is what the file says."""
    node.emit("max_unpool", {"x": node.x(0), "indices": node.x(1)}, None)


__all__: list[str] = []
