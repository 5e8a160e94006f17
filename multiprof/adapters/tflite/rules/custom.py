"""Custom operators whose meaning is certain: those of MediaPipe and of the SSD detectors. Others stay foreign.

Sources: MediaPipe, ``mediapipe/util/tflite/operations``; LiteRT, ``kernels/detection_postprocess.cc``. Convolution and
pooling among them stand with their families.
"""

from __future__ import annotations

from struct import unpack_from

from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import custom


@custom("MaxPoolingWithArgmax2D")
def max_pooling_with_argmax(node: Node) -> None:
    """Options: the C struct TfLitePoolParams, padding (1 is SAME), strides and sizes, width before height."""

    options = node.walker.model.custom_options(node.operator)
    if len(options) < 20:
        raise node.fail(f"its options are {len(options)} bytes long, not 20")
    _, stride_w, stride_h, width, height = unpack_from("<5i", options)
    attrs = {"kernel_size": (height, width), "stride": (stride_h, stride_w), "data_format": "NHWC"}
    y, indices = node.result(None, 0), node.result(None, 1)
    node.layer("max_pool", {"x": node.x()}, {"y": y, "indices": indices}, attrs)
    node.bind(0, y)
    node.bind(1, indices)


__all__: list[str] = []
