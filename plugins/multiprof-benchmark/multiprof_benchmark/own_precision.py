"""The precision a file computes in, for runtimes that run a file as it is and cannot be asked for another one."""

from __future__ import annotations

from multiprof import ModelError, Report
from multiprof.roofline import operand_dtype

NAMES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp64": "float64"}


def check(report: Report, precision: str, runtime: str) -> None:
    """Raise `ModelError` unless ``precision`` is empty or that of all the model's products."""
    wanted = NAMES.get(precision, precision)
    own = sorted({operand_dtype(row) for row in report.layers if row.macs})
    if not precision or own == [wanted]:
        return
    said = " and ".join(own) or "no products"
    raise ModelError(
        f"precision {precision!r}: {runtime} runs a model as it is, in {said}; leave it out, or ask for another route"
    )


__all__ = ["check"]
