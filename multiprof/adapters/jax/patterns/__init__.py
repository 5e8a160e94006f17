"""What several equations spell out and the vocabulary has one name for: means, pooling, softmax, biases, norms.

A pattern is put together only where its steps stand in one region, each read by the next step alone, and where it
computes exactly what the one layer does; anything else stays as the equations have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from multiprof.adapters._common.patterns.gelu import merge_gelu
from multiprof.adapters._common.patterns.net import Net
from multiprof.adapters._common.patterns.norms import merge_norm
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.jax.patterns.affine import merge_bias
from multiprof.adapters.jax.patterns.sums import merge_mean, merge_pool, merge_softmax
from multiprof.adapters.jax.rules.window import WINDOW_SUM
from multiprof.ir import VIEW, Layer, TensorSpec

# Last op of a pattern -> what may be merged there, tried in this order.
_PATTERNS: dict[str, tuple[Callable[[Net, int], bool], ...]] = {
    "div": (merge_mean, merge_pool, merge_softmax, merge_gelu),
    "mul": (merge_norm, merge_gelu),
    "add": (merge_bias, merge_norm),
}


def simplify(writer: GraphWriter, outputs: Sequence[TensorSpec]) -> list[Layer]:
    """The layers with every pattern merged, and every tensor named after the layer that makes it."""
    net = Net(writer, outputs)
    for i in range(len(net.layers)):
        layer = net.layers[i]
        if layer is not None:
            for merge in _PATTERNS.get(layer.op, ()):
                if merge(net, i):
                    break
    found: list[Layer] = []
    for layer in net.layers:
        if layer is not None:
            found += _window_sum(writer, layer) if layer.op == WINDOW_SUM else (layer,)
    _name_tensors(writer, found)
    return found


def _window_sum(writer: GraphWriter, layer: Layer) -> tuple[Layer, ...]:
    """A sum over windows that became no average: the windows as a view, and their sum."""
    attrs = dict(layer.attrs)
    value = attrs.pop("value", None)
    y = layer.y
    if value is not None:  # the sum of a constant, padding left out: the same in every run
        return (Layer(layer.name, "constant", {}, {"y": y}, {}, layer.scope, layer.source, layer.region),)
    columns = writer.between((*y.shape, prod(attrs["kernel_size"])), layer.x.dtype, "t")
    view = (("y", "x", VIEW),)
    place = (layer.scope, layer.source, layer.region)
    unfold = Layer(writer.unique(f"{layer.name}/unfold"), "unfold", {"x": layer.x}, {"y": columns}, attrs, *place, view)
    axes = {"axis": (len(y.shape),), "keepdim": False}
    return unfold, Layer(layer.name, "sum", {"x": columns}, {"y": y}, axes, *place)


def _name_tensors(writer: GraphWriter, layers: Sequence[Layer]) -> None:
    names: dict[str, str] = {}
    for layer in layers:
        for role, spec in layer.outputs.items():
            if "#" in spec.name:
                names[spec.name] = writer.taken(layer.name if len(layer.outputs) == 1 else f"{layer.name}:{role}")
    for layer in layers:
        for spec in (*layer.inputs.values(), *layer.outputs.values()):
            # one object may stand in several layers: after the first time its name is no key any more
            spec.name = names.get(spec.name, spec.name)


__all__ = ["simplify"]
