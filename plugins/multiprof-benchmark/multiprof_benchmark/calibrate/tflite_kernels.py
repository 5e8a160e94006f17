"""The kernels as single-operation .tflite files in LiteRT."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from multiprof_benchmark.calibrate.device import Kernel
from multiprof_benchmark.lower.tflite.writer import Writer


def prepared(kernel: Kernel, threads: int) -> Callable[[], object]:
    """A function that runs the kernel once."""
    interpreter = Interpreter(model_content=_written(kernel), num_threads=threads)
    interpreter.allocate_tensors()
    source = np.random.default_rng(0)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], source.normal(size=detail["shape"]).astype(np.float32))
    invoke: Callable[[], object] = interpreter.invoke
    return invoke


def _written(kernel: Kernel) -> bytes:
    w, s = Writer("kernel"), kernel.sizes
    source = np.random.default_rng(0)

    def weight(*shape: int) -> int:
        return w.constant(source.normal(size=shape).astype(np.float32), "weight")

    def zeros(count: int) -> int:
        return w.constant(np.zeros(count, np.float32), "bias")

    inputs = []
    if kernel.family in ("gemm", "linear"):
        inputs = [w.tensor((s[0], s[1]), "float32", "x")]
        y = w.tensor((s[0], s[2]), "float32", "y")
        w.operator("FULLY_CONNECTED", [inputs[0], weight(s[2], s[1]), zeros(s[2])], [y], "FullyConnectedOptions")
    elif kernel.family == "matmul":
        inputs = [w.tensor(s[:3], "float32", "x"), w.tensor((s[0], s[2], s[3]), "float32", "z")]
        y = w.tensor((s[0], s[1], s[3]), "float32", "y")
        w.operator("BATCH_MATMUL", inputs, [y], "BatchMatMulOptions")
    elif kernel.family == "convolution":
        height, inner, outer, k, stride = s
        inputs = [w.tensor((1, height, height, inner), "float32", "x")]
        y = w.tensor((1, height // stride, height // stride, outer), "float32", "y")
        operands = [inputs[0], weight(outer, k, k, inner), zeros(outer)]
        w.operator("CONV_2D", operands, [y], "Conv2DOptions", strideH=stride, strideW=stride, dilationHFactor=1,
                   dilationWFactor=1)  # fmt: skip
    elif kernel.family == "depthwise":
        height, channels, k, stride = s
        inputs = [w.tensor((1, height, height, channels), "float32", "x")]
        y = w.tensor((1, height // stride, height // stride, channels), "float32", "y")
        operands = [inputs[0], weight(1, k, k, channels), zeros(channels)]
        w.operator("DEPTHWISE_CONV_2D", operands, [y], "DepthwiseConv2DOptions", 2, strideH=stride, strideW=stride,
                   depthMultiplier=1, dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    else:
        inputs = [w.tensor((s[0],), "float32", "x")]
        y = w.tensor((s[0],), "float32", "y")
        w.operator("ABS", inputs, [y], "AbsOptions")
    return w.finish([(f"x{at}", number) for at, number in enumerate(inputs)], [("y", y)])


__all__ = ["prepared"]
