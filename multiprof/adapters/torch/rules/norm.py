"""Norms."""
from __future__ import annotations
from typing import Any
from multiprof.adapters.torch.rules._common import Tensor, new_like
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

@rule("F.batch_norm")
def batch_norm(t: Tracer, input: Tensor, running_mean: Any, running_var: Any, weight: Any=None, bias: Any=None, training: bool=False, momentum: float=0.1, eps: float=1e-5) -> Any:
    y = new_like(t, input)
    t.emit("batch_norm", {"x": input, "weight": weight, "bias": bias, "mean": running_mean, "var": running_var}, {"y": y}, {"eps": eps, "channels": input.shape[1], "batch_stats": training})
    return y
