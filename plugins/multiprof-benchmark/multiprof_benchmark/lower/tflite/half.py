"""Weights as 16-bit floats, each behind a DEQUANTIZE, as TensorFlow's converter writes them; the rest in 32 bits.

XNNPACK takes such a weight as the constant it is; without a delegate the interpreter widens it once, when it loads.
"""

from __future__ import annotations

import numpy as np

from multiprof_benchmark.lower.tflite.rewrite import Named, Rewriter
from multiprof_benchmark.lower.tflite.writer import ABSENT, Writer

VERSION = 3  # of DEQUANTIZE: the one that takes 16-bit floats
LARGEST = float(np.finfo(np.float16).max)


def halved(old: Writer, inputs: Named, outputs: Named) -> tuple[Writer, Named, Named]:
    """The graph with every array of 32-bit floats in it stored in 16; single numbers stay as they are."""
    graph = _Halving(old)
    named = [(name, graph.copy(number)) for name, number in inputs]
    for operator in old.operators:
        stored = graph.copy if graph.kind(operator) == "WHILE" else graph.widened  # a loop begins with zeros
        read = [stored(int(number)) for number in operator.inputs]
        graph.again(operator, read, [graph.copy(int(number)) for number in operator.outputs])
    return graph.new, named, [(name, graph.copy(number)) for name, number in outputs]


class _Halving(Rewriter):
    def widened(self, number: int) -> int:
        """What an operator reads for a tensor."""
        if number == ABSENT or number in self.copies or not self.is_constant(number):
            return self.copy(number)
        array = self.array(number)
        if array.dtype != np.float32 or array.size < 2:
            return self.copy(number)
        name = self.name(number)
        stored = self.new.constant(np.clip(array, -LARGEST, LARGEST).astype(np.float16), f"{name}_half")
        self.copies[number] = self.new.tensor(array.shape, "float32", name)
        self.new.operator("DEQUANTIZE", [stored], [self.copies[number]], "DequantizeOptions", VERSION)
        return self.copies[number]


__all__ = ["halved"]
