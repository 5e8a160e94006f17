"""Which activation is merged into the layer before it: one that alone reads the result of a layer that can hold one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from multiprof import Graph, Layer

_KIND = schema.ActivationFunctionType
HOSTS = frozenset(("conv", "conv_transpose", "linear", "add", "sub", "mul", "div", "max_pool", "avg_pool"))


def activation(layer: Layer) -> int | None:
    """The fused activation that a layer is, or ``None``."""
    a = layer.attrs
    if layer.op == "relu":
        return int(_KIND.RELU)
    if layer.op == "relu6":
        return int(_KIND.RELU6)
    if layer.op in ("clip", "hard_tanh"):
        unset = (-1, 1) if layer.op == "hard_tanh" else (None, None)
        bounds = a.get("min", unset[0]), a.get("max", unset[1])
        kinds: dict[Any, int] = {(0, 6): _KIND.RELU6, (-1, 1): _KIND.RELU_N1_TO_1, (0, None): _KIND.RELU}
        found = kinds.get(bounds)
        return None if found is None else int(found)
    return None


def fused(graph: Graph, layers: Iterable[Layer], merged: Mapping[str, str]) -> tuple[dict[str, int], dict[str, str]]:
    """(host → activation, output of a layer → the output that it becomes under another name).

    ``merged`` maps batch norms to their hosts; between host and activation there may be such a norm.
    """
    layers = list(layers)
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for spec in layer.inputs.values():
            readers.setdefault(spec.name, []).append(layer)
    for spec in graph.outputs:
        readers.setdefault(spec.name, []).extend([_OUTSIDE, _OUTSIDE])
    kinds: dict[str, int] = {}
    becomes: dict[str, str] = {}
    for layer in layers:
        if layer.name in merged:
            becomes[layer.x.name] = layer.y.name
    for layer in layers:
        if layer.op not in HOSTS or layer.name in merged:
            continue
        made = layer.y.name
        made = becomes.get(made, made)
        behind = readers.get(made, [])
        if len(behind) == 1:
            kind = activation(behind[0])
            if kind is not None and behind[0].region == layer.region:
                kinds[layer.name] = kind
                becomes[made] = behind[0].y.name
    return kinds, becomes


_OUTSIDE = Layer("", "identity", {}, {})

__all__ = ["HOSTS", "activation", "fused"]
