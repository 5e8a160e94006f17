"""Batch norms that merge into the layer before them."""

from __future__ import annotations

from dataclasses import replace

from multiprof.ir import FOLDED, PREPARED, Graph, Layer, Mark

# Ops that are linear per output channel, so that a batch norm after them scales their weight and adds to their bias.
FOLD_HOSTS = frozenset(("conv", "conv_transpose", "deform_conv", "linear"))


def fold_batch_norm(graph: Graph) -> Graph:
    """Mark the batch norms that merge into the convolution, deconvolution or linear layer before them.

    The norm has given statistics, reads the host's output directly, and nothing else does; that output is no output
    of the graph. Its statistics and affine parameters, and the host's weight, are weights (declared, or prepared),
    both layers stand in the same region, and the norm runs over the channels that the host makes.
    """
    hosts: dict[str, Layer] = {}  # output -> the layer that makes it
    pairs: list[tuple[Layer, Layer]] = []
    for layer in graph.layers:
        if layer.op in FOLD_HOSTS:
            hosts[layer.y.name] = layer
        elif layer.op == "batch_norm" and layer.x.name in hosts and layer.name not in graph.marks:
            pairs.append((hosts[layer.x.name], layer))
    if not pairs:
        return graph
    uses = {host.y.name: 0 for host, _ in pairs}
    for layer in graph.layers:
        for spec in layer.inputs.values():
            if spec.name in uses:
                uses[spec.name] += 1
    for spec in graph.outputs:
        if spec.name in uses:
            uses[spec.name] += 1
    marks = dict(graph.marks)
    weights = _Weights(graph)
    for host, norm in pairs:
        if uses[host.y.name] == 1 and host.region == norm.region and _foldable(host, norm, weights):
            marks[norm.name] = Mark(FOLDED, f"merges into {host.name} at inference", host.name)
    return replace(graph, marks=marks)


class _Weights:
    """Which tensors are weights: declared ones, and what prepared layers make."""

    def __init__(self, graph: Graph) -> None:
        self.declared = graph.parameters
        self.made = {
            spec.name
            for layer in graph.layers
            if layer.name in graph.marks and graph.marks[layer.name].state == PREPARED
            for spec in layer.outputs.values()
        }

    def __contains__(self, name: str) -> bool:
        return name in self.declared or name in self.made


def _foldable(host: Layer, norm: Layer, weights: _Weights) -> bool:
    if norm.attrs.get("batch_stats") or host.inputs["weight"].name not in weights:
        return False
    if any(spec.name not in weights for role, spec in norm.inputs.items() if role != "x"):
        return False
    channels = norm.attrs["channels"]
    if host.op != "linear":
        return bool(host.attrs["out_channels"] == channels)
    # A linear layer makes the last dimension. With more than two, a norm over dimension 1 is another thing.
    shape = host.y.shape
    return "equation" not in host.attrs and shape[-1] == channels and (len(shape) == 2 or shape[1] != channels)
