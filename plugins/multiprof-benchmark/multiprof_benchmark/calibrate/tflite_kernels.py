"""The kernels as single-layer .tflite files in LiteRT."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from multiprof_benchmark.calibrate.kernels import INTEGERS, KERNELS, RECURRENT, Kernel, Prepared, report
from multiprof_benchmark.lower.tflite import lower

OFFERED: tuple[Kernel, ...] = (*KERNELS, *INTEGERS)


def prepared(kernel: Kernel, threads: int) -> Prepared:
    """The kernel with random weights and inputs."""
    flat = lower(report(kernel, "float32"), precision="int8" if kernel.dtype == "int8" else "fp32")
    own = kernel.family == RECURRENT  # XNNPACK has no recurrent layer: the interpreter's own products are what it runs
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if own else OpResolverType.AUTO
    interpreter = Interpreter(model_content=flat.data, num_threads=threads, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    source = np.random.default_rng(0)
    inputs = {}
    for detail in interpreter.get_input_details():
        dtype, shape = np.dtype(detail["dtype"]), tuple(detail["shape"])
        values = source.normal(size=shape) if dtype.kind == "f" else source.integers(-127, 128, shape)
        inputs[detail["index"]] = values.astype(dtype)
    results = [detail["index"] for detail in interpreter.get_output_details()]

    def refresh() -> None:
        for index, values in inputs.items():
            interpreter.set_tensor(index, values)
        for index in results:
            interpreter.get_tensor(index)

    refresh()
    return Prepared(interpreter.invoke, refresh)


__all__ = ["OFFERED", "prepared"]
