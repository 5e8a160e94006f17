"""Networks quantised by pairs of layers: what stands between a dequantisation and a quantisation runs on integers.

Such a graph (ONNX calls the format QDQ) says in real numbers what a runtime does on integers: ONNX Runtime and TensorRT
take ``dequantize → conv → relu → quantize`` for one integer convolution. This pass does the same, so that the figures
are those of the network written with integer operators in the first place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from multiprof.ir import BITS, FOLDED, VIEW, Graph, Layer, Mark, Quant, TensorSpec
from multiprof.ops import OPS

_DOTS = frozenset(("conv", "conv_transpose", "linear", "matmul"))
# Integer kernels whose result may stay real: ONNX Runtime's MatMulIntegerToFloat and QGemm.
_MAY_STAY_REAL = frozenset(("linear", "matmul"))
# Functions of one element: part of the kernel before them, or a table of all integers.
_ACTIVATIONS = frozenset(op.name for op in OPS.values() if op.family == "activation") | {"clip"}
_HOSTS = (
    _DOTS
    | _ACTIVATIONS
    | {"add", "sub", "mul", "maximum", "minimum", "concat", "stack", "softmax", "log_softmax", "mean", "max", "min"}
    | {"max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "resize"}
)
# What carries elements along unchanged, whatever they are; their data are in role x.
_MOVES = frozenset(
    (
        *("reshape", "transpose", "slice", "split", "expand", "repeat", "flip", "roll", "pad", "gather", "unfold"),
        *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "copy", "dropout", "identity"),
    )
)
_NOT_DATA = frozenset(("bias", "indices", "repeats", "dest"))
_VIEW_OF_X = (("y", "x", VIEW),)


def fold_quantization(graph: Graph) -> Graph:
    """Fold ``dequantize`` and ``quantize`` into the layers between them that run on the integers themselves.

    A layer does so when its operands, but for the bias, come from ``dequantize`` (of activations, or of weights, which
    is prepared), and its result, through activations and what only moves data, goes to one ``quantize`` and nowhere
    else; a product with a matrix may also leave a real result. Such a layer reads and writes integer tensors, so that
    its dot products, traffic and memory are those of integers; its arithmetic is what it is on real numbers, the
    rescaling included. The ``quantize`` is folded into it; a ``dequantize`` is folded when all its readers are such.
    Folded ones cost nothing and move nothing. All of them stand in the same region.
    """
    if not any(layer.op == "dequantize" for layer in graph.layers):
        return graph
    return _Folding(graph).run()


class _Folding:
    """One application of the pass: what is known of tensors, by name, and of layers, by number."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers = graph.layers
        self.marks: dict[str, Mark] = dict(graph.marks)
        self.returned = {spec.name for spec in graph.outputs}
        self.readers: dict[str, list[int]] = {}
        for number, layer in enumerate(graph.layers):
            for spec in layer.inputs.values():
                self.readers.setdefault(spec.name, []).append(number)
        self.integers: dict[str, TensorSpec] = {}  # real tensor -> a tensor of the integers it stands for
        self.made: dict[str, TensorSpec] = {}  # real tensor that is integers after the pass -> what it is then
        self.on_integers: set[int] = set()  # layers that run on integers

    def run(self) -> Graph:
        self._look_back()
        for number, layer in enumerate(self.layers):
            if layer.op in _HOSTS and self._operands_are_integers(layer):
                self._close(number)
        self._moves()
        self._dequantizations()
        if not self.on_integers:
            return self.graph
        layers = tuple(self._changed(number, layer) for number, layer in enumerate(self.layers))
        return replace(self.graph, layers=layers, marks=self.marks)

    def _state(self, layer: Layer) -> str:
        mark = self.marks.get(layer.name)
        return "" if mark is None else mark.state

    def _look_back(self) -> None:
        """Which tensors stand for integers: dequantised ones, and parts and copies of them."""
        for layer in self.layers:
            if layer.op == "dequantize" and _narrow(layer.x.dtype):
                self.integers[layer.y.name] = _quantised(layer.x)
            elif layer.op in _MOVES and layer.x.name in self.integers:
                for spec in layer.outputs.values():
                    self.integers[spec.name] = self.integers[layer.x.name]

    def _operands_are_integers(self, layer: Layer) -> bool:
        """Whether all are: dequantised ones, one of them at least, and others that are integers as they stand."""
        data = _data(layer).values()
        dequantized = [spec.name in self.integers for spec in data]
        return any(dequantized) and all(
            known or (spec.quant is not None and _narrow(spec.dtype))
            for known, spec in zip(dequantized, data, strict=True)
        )

    def _close(self, number: int) -> None:
        """Let a layer run on integers if its result is quantised, and with it what lies between."""
        layer = self.layers[number]
        if self._state(layer):
            return
        chain: list[int] = [number]
        quantized = []
        tensors: list[tuple[str, TensorSpec]] = []
        for spec in layer.outputs.values():
            if spec.name not in self.readers and spec.name not in self.returned:
                continue
            found = self._towards_quantize(spec.name, number)
            if found is None:
                if layer.op in _MAY_STAY_REAL:
                    self.on_integers.add(number)
                return
            between, end = found
            chain += between
            quantized.append(end)
            target = _quantised(self.layers[end].y)
            tensors += [(name, target) for name in (spec.name, *(self.layers[i].y.name for i in between))]
        if not quantized:
            return
        self.on_integers.update(chain)
        self.made.update(tensors)
        for end in quantized:
            self._fold(end, layer, f"{layer.name} writes integers itself")

    def _towards_quantize(self, name: str, number: int) -> tuple[list[int], int] | None:
        """The layers between a tensor and the one ``quantize`` it goes to, and that one's number."""
        region = self.layers[number].region
        between: list[int] = []
        while True:
            readers = self.readers.get(name, ())
            if len(readers) != 1 or name in self.returned:
                return None
            before, (number,) = number, readers
            layer = self.layers[number]
            if number <= before or layer.region != region or layer.inputs.get("x", layer.y).name != name:
                return None
            if layer.op == "quantize":
                real = "float" in layer.x.dtype and not self._state(layer)
                return (between, number) if real and _narrow(layer.y.dtype) else None
            passes_on = layer.op in _ACTIVATIONS or layer.op in _MOVES or self._state(layer) == FOLDED
            if not passes_on or list(layer.outputs) != ["y"]:
                return None
            between.append(number)
            name = layer.y.name

    def _moves(self) -> None:
        """What moves integers along to layers that run on them, or straight to a ``quantize``, moves integers."""
        for number in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[number]
            if layer.op not in _MOVES or layer.x.name not in self.integers or self._state(layer):
                continue
            read = [i for spec in layer.outputs.values() for i in self.readers.get(spec.name, ())]
            ends = [i for i in read if self.layers[i].op == "quantize" and not self._state(self.layers[i])]
            if not read or not self._all_on_integers(layer, (i for i in read if i not in ends)):
                continue
            if any(self.layers[i].region != layer.region for i in ends):
                continue
            self.on_integers.add(number)
            for spec in layer.outputs.values():
                self.made[spec.name] = self.integers[layer.x.name]
            for end in ends:
                self._fold(end, layer, f"{layer.name} writes integers itself")

    def _dequantizations(self) -> None:
        for number, layer in enumerate(self.layers):
            if layer.op != "dequantize" or layer.y.name not in self.integers or self._state(layer):
                continue
            readers = self.readers.get(layer.y.name, [])
            if readers and self._all_on_integers(layer, iter(readers)):
                first = self.layers[readers[0]]
                self.made[layer.y.name] = self.integers[layer.y.name]
                self._fold(number, first, f"{first.name} reads the integers themselves")

    def _all_on_integers(self, layer: Layer, readers: Iterator[int]) -> bool:
        """Whether every reader runs on integers, beside the layer, and nothing is returned by the model."""
        return not any(spec.name in self.returned for spec in layer.outputs.values()) and all(
            number in self.on_integers and self.layers[number].region == layer.region for number in readers
        )

    def _fold(self, number: int, host: Layer, reason: str) -> None:
        self.marks[self.layers[number].name] = Mark(FOLDED, reason, host.name)

    def _changed(self, number: int, layer: Layer) -> Layer:
        """The layer with integer tensors where it has them after the pass, else the layer itself."""
        folded = layer.op in ("quantize", "dequantize") and self._state(layer) == FOLDED
        if number not in self.on_integers and not folded:
            return layer
        inputs = {role: self._after(spec) for role, spec in layer.inputs.items()}
        if number in self.on_integers:
            for role, spec in _data(layer).items():
                if spec.name in self.integers:
                    inputs[role] = _as(spec, self.integers[spec.name])
        outputs = {role: self._after(spec) for role, spec in layer.outputs.items()}
        return replace(layer, inputs=inputs, outputs=outputs, aliases=_VIEW_OF_X if folded else layer.aliases)

    def _after(self, spec: TensorSpec) -> TensorSpec:
        return _as(spec, self.made[spec.name]) if spec.name in self.made else spec


def _data(layer: Layer) -> Mapping[str, TensorSpec]:
    """The operands that must be integers for the layer to run on integers."""
    return {role: spec for role, spec in layer.inputs.items() if role not in _NOT_DATA}


def _narrow(dtype: str) -> bool:
    """Types of which a runtime has kernels: 8 bits and less, and 16-bit integers; 32 bits hold a bias."""
    return dtype in ("int16", "uint16") or (dtype != "bool" and BITS.get(dtype, 32) <= 8)


def _quantised(spec: TensorSpec) -> TensorSpec:
    """The tensor, said to stand for real numbers; a scale that is a tensor of its own is not known here."""
    return spec if spec.quant is not None else replace(spec, quant=Quant((), ()))


def _as(spec: TensorSpec, stored: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.shape, stored.dtype, spec.name, stored.quant)
