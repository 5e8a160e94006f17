"""Activations."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, new_like
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule("torch.relu", "Tensor.relu", "F.relu")
def relu(t: Tracer, input: Tensor, inplace: bool = False) -> Any:
    if inplace:
        return t.write("relu", input, {"x": input})
    y = new_like(t, input)
    t.emit("relu", {"x": input}, {"y": y})
    return y
