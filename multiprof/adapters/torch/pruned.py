"""Pruned weights: what a mask makes zero, counted beside the dense figures.

``torch.nn.utils.prune`` and parametrizations of that kind multiply a parameter by a buffer of zeros and ones whenever
the module runs. A dense kernel multiplies by the zeros all the same, so all figures stay those of the dense network;
how many of its weights and multiply-adds are effective is said apart.
"""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import PARAMETER, Layer


def masked(tracer: Tracer) -> dict[str, Any]:
    """``{"parameters", "zero_parameters", "zero_macs", "layers"}``, where a mask makes weights zero; else empty.

    ``layers`` has, by layer, how many elements its weight has and how many of them are not zero. A mask without values
    (on meta) says nothing.
    """
    masks = _masks(tracer)
    if not masks:
        return {}
    layers: dict[str, dict[str, int]] = {}
    zeros: dict[str, int] = {}
    zero_macs = 0
    for layer in tracer.layers:
        weight = layer.inputs.get("weight")
        found = masks.get(weight.name) if weight is not None else None
        if found is None or weight is None:
            continue
        parameter, nonzero = found
        layers[layer.name] = {"elements": weight.numel, "nonzero": nonzero}
        zeros[parameter] = weight.numel - nonzero
        zero_macs += (weight.numel - nonzero) * _uses(layer)
    if not layers:
        return {}
    total = sum(p.spec.numel for p in tracer.parameters.values() if p.kind == PARAMETER)
    return {"parameters": total, "zero_parameters": sum(zeros.values()), "zero_macs": zero_macs, "layers": layers}


def sentence(found: dict[str, Any]) -> str:
    """What the report says of it."""
    effective = found["parameters"] - found["zero_parameters"]
    return (
        f"masks leave {effective:,} of {found['parameters']:,} parameters; {found['zero_macs']:,} of the MACs are with "
        "weights that are zero: dense kernels compute them, and they are in the totals"
    )


def _masks(tracer: Tracer) -> dict[str, tuple[str, int]]:
    """Masked weight → the parameter behind it, and how many of its elements are not zero."""
    tensors: dict[str, torch.Tensor] = {}
    found = {}
    for layer in tracer.layers:
        if layer.op != "mul" or "x1" not in layer.inputs:
            continue
        pair = [layer.inputs["x0"], layer.inputs["x1"]]
        kinds = [tracer.parameters[spec.name].kind if spec.name in tracer.parameters else "" for spec in pair]
        if kinds[0] != PARAMETER:
            pair, kinds = pair[::-1], kinds[::-1]
        parameter, mask = pair
        is_mask = kinds[1] not in ("", PARAMETER) and "mask" in mask.name.rpartition(".")[2]
        if kinds[0] != PARAMETER or not is_mask or parameter.shape != mask.shape:
            continue
        tensors = tensors or {tracer.specs[id(t)].name: t for t in tracer.originals if id(t) in tracer.specs}
        values = tensors.get(mask.name)
        if values is not None and not values.is_meta:
            found[layer.y.name] = parameter.name, int(torch.count_nonzero(values))
    return found


def _uses(layer: Layer) -> int:
    """In how many multiply-adds each element of the weight takes part; the weight's first axis is one of channels."""
    channels = max(1, layer.inputs["weight"].shape[0] or 1)
    if layer.op in ("conv", "linear"):
        return layer.y.numel // channels
    return layer.x.numel // channels if layer.op == "conv_transpose" else 0


__all__ = ["masked", "sentence"]
