"""A bias that Keras adds after a convolution or a product belongs to that layer, as where a backend takes it along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiprof.ir import CONSTANT, Layer, Parameter, TensorSpec

_HOSTS = ("conv", "conv_transpose", "linear")
# What stands between a variable and its use without changing what it is.
_SAME = ("reshape", "expand", "identity")


def merged(layers: Sequence[Layer], parameters: Mapping[str, Parameter], outputs: Sequence[TensorSpec]) -> list[Layer]:
    """The layers with each such addition taken in: of a declared tensor, one number a channel, read by nobody else."""
    net = _Net(layers, parameters, outputs)
    for layer in layers:
        if layer.op == "add" and "x1" in layer.inputs and layer.attrs.get("alpha", 1) == 1:
            net.take(layer)
    return [net.moved.get(id(layer), layer) for layer in layers if id(layer) not in net.gone]


class _Net:
    """Who makes and who reads each tensor."""

    def __init__(
        self, layers: Sequence[Layer], parameters: Mapping[str, Parameter], outputs: Sequence[TensorSpec]
    ) -> None:
        self.parameters = parameters
        self.makers = {spec.name: layer for layer in layers for spec in layer.outputs.values()}
        self.uses: dict[str, int] = {}
        for spec in (*outputs, *(s for layer in layers for s in layer.inputs.values())):
            self.uses[spec.name] = self.uses.get(spec.name, 0) + 1
        self.place = {id(layer): number for number, layer in enumerate(layers)}
        self.gone: set[int] = set()
        self.moved: dict[int, Layer] = {}  # what stands in the place of an addition

    def take(self, addition: Layer) -> None:
        for product, other in (("x0", "x1"), ("x1", "x0")):
            made, given = addition.inputs[product], addition.inputs[other]
            host = self.makers.get(made.name)
            if host is None or host.op not in _HOSTS or "bias" in host.inputs or host.region != addition.region:
                continue
            bias, between = self._behind(given)
            if not self._declared(bias) or self.uses[made.name] != 1:
                continue
            if made.shape != addition.y.shape or not _by_channel(host, given):
                continue
            known = self.parameters.get(bias.name)  # of which PyTorch has other shapes without an operation
            host.inputs["bias"] = bias if known is None else TensorSpec(known.spec.shape, bias.dtype, bias.name)
            host.outputs["y"] = addition.outputs["y"]
            self.makers[addition.y.name] = host
            cast = self.makers.get(bias.name)
            if cast is not None and self.place[id(cast)] > self.place[id(host)]:
                # In mixed precision the bias is cast after the product; nothing but the addition reads the product.
                self.gone.add(id(host))
                self.moved[id(addition)] = host
                self.place[id(host)] = self.place[id(addition)]
            else:
                self.gone.add(id(addition))
            for layer in between:
                (used,) = layer.outputs.values()
                self.uses[used.name] -= 1
                if self.uses[used.name]:
                    break
                self.gone.add(id(layer))
            return

    def _declared(self, spec: TensorSpec) -> bool:
        """Whether it is a variable, or one in the type that the network computes in."""
        layer = self.makers.get(spec.name)
        name = layer.inputs["x"].name if layer is not None and layer.op == "cast" else spec.name
        parameter = self.parameters.get(name)
        return parameter is not None and parameter.kind != CONSTANT

    def _behind(self, spec: TensorSpec) -> tuple[TensorSpec, list[Layer]]:
        """The tensor of which ``spec`` is another shape, and the layers between, the nearest first."""
        between: list[Layer] = []
        while (layer := self.makers.get(spec.name)) is not None and layer.op in _SAME:
            between.append(layer)
            spec = layer.inputs["x"]
        return spec, between


def _by_channel(host: Layer, given: TensorSpec) -> bool:
    """Whether a tensor varies along the axes of the result that come from the weight, and along no others."""
    y = host.y.shape
    shape = (1,) * (len(y) - given.rank) + tuple(given.shape)
    if host.op == "linear":
        equation = host.attrs.get("equation")
        if equation is None:
            axes: tuple[int, ...] = (len(y) - 1,)
        else:
            operands, _, out = equation.partition("->")
            x = operands.partition(",")[0]
            axes = tuple(axis for axis, letter in enumerate(out) if letter not in x)
    else:
        axes = (str(host.attrs["data_format"]).index("C"),) if host.attrs.get("data_format") else ()
    return bool(axes) and len(shape) == len(y) and all(
        n == (y[axis] if axis in axes else 1) for axis, n in enumerate(shape)
    )  # fmt: skip


__all__ = ["merged"]
