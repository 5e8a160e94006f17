"""The layers of a program as a net: who makes a tensor, how often it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from multiprof.adapters._common.writer import GraphWriter
from multiprof.ir import PARAMETER, Layer, TensorSpec

_MOVES = ("reshape", "expand", "transpose", "cast")
_COMMUTE = frozenset(("add", "mul", "maximum", "minimum"))


class Net:
    """Layers by place; a merged one leaves ``None`` behind."""

    def __init__(self, writer: GraphWriter, outputs: Sequence[TensorSpec]) -> None:
        self.writer = writer
        self.layers: list[Layer | None] = list(writer.layers)
        self.maker: dict[str, int] = {}
        self.uses: dict[str, int] = {}
        for i, layer in enumerate(writer.layers):
            for spec in layer.outputs.values():
                self.maker[spec.name] = i
            self._read(layer, 1)
        for spec in outputs:
            self.uses[spec.name] = self.uses.get(spec.name, 0) + 1

    def _read(self, layer: Layer, times: int) -> None:
        for spec in layer.inputs.values():
            self.uses[spec.name] = self.uses.get(spec.name, 0) + times

    def made(self, spec: TensorSpec | None, by: Layer, *ops: str, uses: int = 1) -> Layer | None:
        """The layer of one of ``ops`` that makes ``spec``, read ``uses`` times, in the region of ``by``."""
        if spec is None or spec.name not in self.maker or self.uses.get(spec.name, 0) != uses:
            return None
        layer = self.layers[self.maker[spec.name]]
        return layer if layer is not None and layer.op in ops and layer.region == by.region else None

    def place(self, layer: Layer) -> int:
        return self.maker[next(iter(layer.outputs.values())).name]

    def behind(self, spec: TensorSpec, by: Layer, *ops: str) -> tuple[TensorSpec, list[Layer]]:
        """The tensor of which ``spec`` is another shape, and the views between; ``ops`` are taken for views too."""
        views: list[Layer] = []
        while True:
            layer = self.made(spec, by, "reshape", "expand", *ops)
            if layer is None:
                return spec, views
            views.append(layer)
            spec = layer.x

    def origin(self, spec: TensorSpec, *ops: str) -> TensorSpec:
        """The tensor that ``spec`` was made of by ``ops`` alone, whoever else reads what is between."""
        while spec.name in self.maker:
            layer = self.layers[self.maker[spec.name]]
            if layer is None or layer.op not in ops:
                break
            spec = layer.x
        return spec

    def declared(self, spec: TensorSpec) -> bool:
        return spec.name in self.writer.parameters

    def learned(self, spec: TensorSpec) -> bool:
        parameter = self.writer.parameters.get(spec.name)
        return parameter is not None and parameter.kind == PARAMETER

    def replace(
        self, last: Layer, gone: Iterable[Layer], op: str, inputs: Mapping[str, TensorSpec], attrs: Mapping[str, Any]
    ) -> None:
        """Put one layer in the place of ``last``, and take the layers that lead to it away."""
        short = last.scope + "/" + op if last.scope else op
        made = Layer(
            self.writer.unique(short), op, dict(inputs), dict(last.outputs), dict(attrs), last.scope, last.source,
            last.region,
        )  # fmt: skip
        self.put(last, made, gone)

    def put(self, last: Layer, made: Layer, gone: Iterable[Layer]) -> None:
        """As `replace`, with a layer already made; views and casts that nobody reads any more go too."""
        waiting = [*gone, last]
        removed: list[Layer] = []
        while waiting:
            layer = waiting.pop()
            place = self.place(layer)
            if self.layers[place] is None:
                continue
            self._read(layer, -1)
            self.layers[place] = None
            removed.append(layer)
            for spec in layer.inputs.values():
                makes = self.layers[self.maker[spec.name]] if spec.name in self.maker else None
                unread = makes is not None and makes.op in _MOVES and not self.uses[spec.name]
                if makes is not None and unread and all(used.name != spec.name for used in made.inputs.values()):
                    waiting.append(makes)
        place = self.place(last)
        self.layers[place] = made
        self._read(made, 1)


def scalar_of(layer: Layer) -> Any:
    """The constant operand of a layer that has one, as its second operand, or as either where that is the same."""
    turned = layer.attrs.get("reverse") and layer.op not in _COMMUTE
    return None if turned else layer.attrs.get("scalar")


__all__ = ["Net", "scalar_of"]
