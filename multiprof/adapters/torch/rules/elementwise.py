"""Elementwise."""
from __future__ import annotations
from typing import Any
from multiprof.adapters.torch.rules._common import Tensor, new_like
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

@rule("Tensor.add_", "Tensor.__iadd__")
def add_(t: Tracer, input: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    return t.write("add", input, {"x0": input, "x1": other}, role="x0")
