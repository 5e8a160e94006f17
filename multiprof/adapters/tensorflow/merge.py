"""Layers that TensorFlow spells out as several operations, put together again.

A bias (BiasAdd) that is added directly after a convolution or a product is that layer's bias, and so is a declared row
of one number a channel, as Keras's layers and most people add it. A batch norm written as
x·(γ/√(var + ε)) + (β − mean·γ/√(var + ε)), as `tf.nn.batch_normalization` and Keras write it, is one layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multiprof.ir import PARAMETER, Layer, Parameter, TensorSpec

_HOSTS = frozenset(("conv", "conv_transpose", "linear"))
# What stands between a variable and its use without changing what it is.
_SAME = frozenset(("reshape", "expand", "cast", "identity"))


def merge(
    layers: list[Layer],
    biases: Iterable[Layer],
    outputs: Iterable[TensorSpec],
    weights: set[str],
    parameters: Mapping[str, Parameter],
) -> list[Layer]:
    """The layers with biases and norms put together; ``weights`` names what is computed from ``parameters`` alone."""
    net = _Net(layers, {spec.name for spec in outputs}, weights, parameters)
    for layer in biases:
        net.bias(layer)
    for layer in layers:
        if layer.op == "add" and id(layer) not in net.gone and not net.channel_bias(layer):
            net.norm(layer)
    net.sweep()
    return [layer for layer in layers if id(layer) not in net.gone]


class _Net:
    """Who makes and who reads each tensor."""

    def __init__(
        self, layers: list[Layer], returned: set[str], weights: set[str], parameters: Mapping[str, Parameter]
    ) -> None:
        self.layers = layers
        self.returned = returned
        self.weights = weights
        self.parameters = parameters
        self.place = {id(layer): number for number, layer in enumerate(layers)}
        self.makers = {spec.name: layer for layer in layers for spec in layer.outputs.values()}
        self.uses: dict[str, int] = {}
        for layer in layers:
            for spec in layer.inputs.values():
                self.uses[spec.name] = self.uses.get(spec.name, 0) + 1
        self.gone: set[int] = set()
        self.candidates: list[Layer] = []

    def alone(self, name: str) -> bool:
        return self.uses.get(name) == 1 and name not in self.returned

    def bias(self, addition: Layer, product: str = "x0", bias: TensorSpec | None = None) -> bool:
        """Let an addition join the layer that makes one of its operands; ``bias`` in place of the other operand."""
        x, bias = addition.inputs[product], bias or addition.inputs["x1"]
        host = self.makers.get(x.name)
        if host is None or host.op not in _HOSTS or "bias" in host.inputs or host.region != addition.region:
            return False
        maker = self.makers.get(bias.name)
        early = maker is None or self.place[id(maker)] < self.place[id(host)]
        if not self.alone(x.name) or not early or bias.name not in self.weights:
            return False
        host.inputs["bias"] = bias
        host.outputs["y"] = addition.outputs["y"]
        self.makers[addition.y.name] = host
        self.gone.add(id(addition))
        return True

    def channel_bias(self, addition: Layer) -> bool:
        """An ordinary addition: of a declared row, one number a channel; a learned one to what a product makes."""
        if "x1" not in addition.inputs:
            return False
        for product, other in (("x0", "x1"), ("x1", "x0")):
            host = self.makers.get(addition.inputs[product].name)
            if host is None or host.op not in _HOSTS or host.y.shape != addition.y.shape:
                continue
            given = addition.inputs[other]
            row = self._source(given)
            along = _features(host)
            known = self.parameters.get(row.name)
            if along is None or (host.op == "linear" and (known is None or known.kind != PARAMETER)):
                continue
            channels = host.y.shape[along]
            shape = (1,) * (host.y.rank - given.rank) + given.shape
            wanted = tuple(channels if i == along else 1 for i in range(host.y.rank))
            if row.name not in self.makers and row.shape == (channels,) and shape == wanted:
                return self.bias(addition, product, row)
        return False

    def norm(self, last: Layer) -> None:
        """Let the layers of a spelled-out batch norm become one, in the place of its last."""
        if "x1" not in last.inputs:
            return
        for product, offset in (("x0", "x1"), ("x1", "x0")):
            found = self._parts(last, last.inputs[product], last.inputs[offset])
            if found is not None:
                operands, eps, core = found
                channels = operands["var"].shape
                last.op = "batch_norm"
                last.inputs.clear()
                last.inputs.update(operands)
                last.attrs.clear()
                last.attrs.update({"eps": eps, "channels": _channels(channels), "batch_stats": False})
                self.gone.add(id(core))
                self.makers.pop(core.y.name, None)
                return

    def _parts(
        self, last: Layer, product: TensorSpec, offset: TensorSpec
    ) -> tuple[dict[str, TensorSpec], Any, Layer] | None:
        core = self._made(product, "mul")
        shift = self._behind(offset)
        if core is None or shift is None or "x1" not in core.inputs or not self.alone(product.name):
            return None
        if offset.name not in self.weights or core.region != last.region:
            return None
        for x, scale in ((core.inputs["x0"], core.inputs["x1"]), (core.inputs["x1"], core.inputs["x0"])):
            root = self._scale(scale)
            if root is None or x.name in self.weights:
                continue
            variance, weight, eps = root
            beta, product_of_mean = self._shift(shift)
            mean = None if product_of_mean is None else self._mean(product_of_mean, scale, beta is None)
            if mean is None:
                continue
            operands = {"x": x, "weight": weight, "bias": beta, "mean": mean, "var": variance}
            return {role: spec for role, spec in operands.items() if spec is not None}, eps, core
        return None

    def _scale(self, spec: TensorSpec) -> tuple[TensorSpec, TensorSpec | None, Any] | None:
        """γ/√(var + ε): var, γ if any, and ε."""
        if spec.name not in self.weights:
            return None
        layer = self._behind(spec)
        weight = None
        if layer is not None and layer.op == "mul" and "x1" in layer.inputs:
            for a, b in (("x0", "x1"), ("x1", "x0")):
                root = self._made(layer.inputs[a], "rsqrt")
                if root is not None:
                    weight = self._source(layer.inputs[b])
                    layer = root
                    break
        if layer is None or layer.op != "rsqrt":
            return None
        raised = self._made(layer.inputs["x"], "add")
        if raised is None or "scalar" not in raised.attrs:
            return None
        return self._source(raised.inputs["x0"]), weight, raised.attrs["scalar"]

    def _shift(self, layer: Layer) -> tuple[TensorSpec | None, TensorSpec | None]:
        """β − product: β and the product; without β (−mean)·scale, a product itself."""
        if layer.op == "sub" and "x1" in layer.inputs:
            return self._source(layer.inputs["x0"]), layer.inputs["x1"]
        return None, layer.outputs["y"] if layer.op == "mul" else None

    def _mean(self, spec: TensorSpec, scale: TensorSpec, negated: bool) -> TensorSpec | None:
        """The mean in mean·scale, or in (−mean)·scale."""
        layer = self._made(spec, "mul")
        wanted = self._source(scale).name
        if layer is None or "x1" not in layer.inputs:
            return None
        for a, b in (("x0", "x1"), ("x1", "x0")):
            if self._source(layer.inputs[b]).name != wanted:
                continue
            mean = self._source(layer.inputs[a])
            if not negated:
                return mean
            negation = self._made(mean, "neg")
            return None if negation is None else self._source(negation.inputs["x"])
        return None

    def _behind(self, spec: TensorSpec) -> Layer | None:
        return self.makers.get(self._source(spec).name)

    def _made(self, spec: TensorSpec, op: str) -> Layer | None:
        layer = self._behind(spec)
        return layer if layer is not None and layer.op == op and id(layer) not in self.gone else None

    def _source(self, spec: TensorSpec) -> TensorSpec:
        """The tensor itself, behind what only gives a weight another shape or type."""
        while spec.name in self.weights:
            layer = self.makers.get(spec.name)
            if layer is None or layer.op not in _SAME or "x" not in layer.inputs:
                break
            spec = layer.inputs["x"]
        return spec

    def sweep(self) -> None:
        """Drop what nobody reads any more of what was computed of weights alone."""
        uses: dict[str, int] = {}
        for layer in self.layers:
            if id(layer) not in self.gone:
                for spec in layer.inputs.values():
                    uses[spec.name] = uses.get(spec.name, 0) + 1
        touched = bool(self.gone)
        for layer in reversed(self.layers):
            if not touched or id(layer) in self.gone or not layer.inputs:
                continue
            names = [spec.name for spec in layer.outputs.values()]
            if all(n in self.weights and n not in self.returned and not uses.get(n) for n in names) and any(
                self.uses.get(n) for n in names
            ):
                self.gone.add(id(layer))
                for spec in layer.inputs.values():
                    uses[spec.name] -= 1


def _features(host: Layer) -> int | None:
    """The axis of the result along which every filter has its own number."""
    if host.op != "linear":
        return host.y.rank - 1 if host.attrs.get("data_format", "C").endswith("C") else 1
    equation = host.attrs.get("equation")
    if equation is None:
        return host.y.rank - 1
    operands, _, out = equation.partition("->")
    made = [axis for axis, letter in enumerate(out) if letter not in operands.partition(",")[0]]
    return made[0] if len(made) == 1 else None


def _channels(shape: tuple[int | None, ...]) -> int | None:
    known = [n for n in shape if n != 1]
    return (known[0] if known else 1) if len(known) <= 1 else None


__all__ = ["merge"]
