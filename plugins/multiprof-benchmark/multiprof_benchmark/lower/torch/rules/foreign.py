"""Operators of torch itself that have no canonical op: they arrive by name, with the schema's arguments."""

from __future__ import annotations

from typing import Any

import torch

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule


@rule("torch.*")
def foreign(layer: Layer, context: Context) -> Kernel:
    """The operator ``torch.<namespace>.<name>`` called with the layer's operands and attributes."""
    parts = layer.op.split(".")
    if len(parts) != 3 or not hasattr(getattr(torch.ops, parts[1], None), parts[2]):
        raise NotLoweredError("no operator of torch's by that name is known here")
    packet = getattr(getattr(torch.ops, parts[1]), parts[2])
    schemas = [getattr(packet, name)._schema for name in packet.overloads()]
    known = set(layer.inputs) | set(layer.attrs)
    fitting = [s for s in schemas if known <= {a.name for a in s.arguments}
               and all(a.name in known or a.has_default_value() for a in s.arguments)]  # fmt: skip
    if not fitting:
        raise NotLoweredError("its arguments fit no overload")
    values: dict[str, Any] = dict(layer.attrs)

    def run(**operands: Tensor) -> Any:
        return packet(**values, **operands)

    return Kernel(run)
