"""A Graph of any framework as a torch program: `lower(report)` makes it, on any device and in any dtype.

program = lower(multiprof.analyze("model.onnx"))
program(*program.examples)  # the whole
program.steps["conv1"]  # one layer of it, callable by itself
print(program.share)  # how much of the model that is, and what is missing
"""

from __future__ import annotations

from multiprof_benchmark.lower.torch.build import lower
from multiprof_benchmark.lower.torch.program import Program, Repeat, Step

__all__ = ["Program", "Repeat", "Step", "lower"]
