"""A Graph of any framework as a .tflite file: `lower(report)` writes it.

flat = lower(multiprof.analyze("model.onnx"))
Path("model.tflite").write_bytes(flat.data)
print(flat.share)  # how much of the model that is, and what is missing
"""

from __future__ import annotations

from multiprof_benchmark.lower.tflite.build import Flat, lower

__all__ = ["Flat", "lower"]
