"""Graph → .tflite: every layer written as TensorFlow Lite's operators, with random weights or given ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multiprof import Layer, Report, TensorSpec
from multiprof_benchmark.lower.arrays import drawn
from multiprof_benchmark.lower.layouts import UnknownLayoutError
from multiprof_benchmark.lower.plan import Loop, Plan, plan_of
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.share import LEAST, Share, share_of
from multiprof_benchmark.lower.tflite import precision as kinds
from multiprof_benchmark.lower.tflite.fuse import fused
from multiprof_benchmark.lower.tflite.half import halved
from multiprof_benchmark.lower.tflite.loops import layers_of, made_by, write_loop
from multiprof_benchmark.lower.tflite.quantize import Quantizer
from multiprof_benchmark.lower.tflite.rewrite import Named
from multiprof_benchmark.lower.tflite.table import RULES
from multiprof_benchmark.lower.tflite.values import Perm, Value, permuted, straight
from multiprof_benchmark.lower.tflite.writer import TYPES, Writer
from multiprof_benchmark.lower.values import STEP, Draw, Draws

NONE = 0  # no fused activation


@dataclass(frozen=True, slots=True)
class Flat:
    """A written model: the file's bytes, how much of the model it is, and sentences for the reader.

    ``integer`` is the share of the multiply-adds that is computed on 8-bit integers.
    """

    data: bytes
    share: Share
    notes: tuple[str, ...]
    integer: float = 0.0


class Builder:
    """What rules write with. Tensors of the file are `Value`s; layers find them by the names of the Graph."""

    def __init__(self, report: Report, values: Mapping[str, Any] | None, seed: int, unrolled: bool = False) -> None:
        self.report = report
        self.plan: Plan = plan_of(report)
        self.graph = self.plan.graph
        self.writer = Writer(self.graph.name)
        self.draws = Draws(self.graph.layers)
        self.given = values or {}
        self.unrolled = unrolled
        self.trip: Value | None = None  # the number of the trip, in a loop
        self.source = np.random.default_rng(seed)
        self.found: dict[str, Value] = {}
        self.arrays: dict[str, Any] = {}
        self.norms: dict[str, Layer] = {host: self._layer(name) for name, host in self.plan.merged.items()}
        self.activations, self.becomes = fused(self.graph, self.plan.layers(), self.plan.merged)
        self.missing: dict[str, str] = {}
        self.wanted = self._wanted()
        self.owners: list[str] = []  # the layer for which each operator was written

    def _layer(self, name: str) -> Layer:
        return next(layer for layer in self.graph.layers if layer.name == name)

    def _wanted(self) -> set[str]:
        """Tensors that some result of the model, or some multiply-add, follows from."""
        working = {row.name for row in self.report.layers if row.macs}
        wanted = {spec.name for spec in self.graph.outputs}
        layers = list(self.plan.layers())
        size = -1
        while size < len(wanted):  # what a loop carries is read before it is made
            size = len(wanted)
            for layer in reversed(layers):
                if layer.name in working or any(spec.name in wanted for spec in layer.outputs.values()):
                    wanted.update(spec.name for spec in layer.inputs.values())
        return wanted

    def is_asked_for(self, layer: Layer) -> bool:
        """Whether a result of the model, or a multiply-add, follows from a layer."""
        return self._works(layer) or any(spec.name in self.wanted for spec in layer.outputs.values())

    # the whole

    def build(self, least: float, precision: str = kinds.FULL, step: float = STEP) -> Flat:
        inputs = [(spec.name, self._input(spec)) for spec in self.graph.inputs]
        for layer in self.plan.prepared:
            self._prepare(layer)
        waiting: list[Loop] = []
        for item in self.plan.body:
            if isinstance(item, Loop):
                waiting.append(item)
            else:
                self._loops(waiting, {spec.name for spec in item.inputs.values()})
                self.write(item)
        while waiting:
            self._loops(waiting, made_by(waiting[0]))
        share = share_of(self.report, self.missing)
        share.refuse_below(least, "tflite")
        outputs = []
        makers = {spec.name: layer.name for layer in self.graph.layers for spec in layer.outputs.values()}
        for spec in self.graph.outputs:
            value = self.plain(self.value(spec))
            outputs.append((spec.name, value.number))
            self._owned(makers.get(spec.name, ""))
        notes = (*self.plan.notes, *(kinds.widened(self.graph) if precision == kinds.OWN else ()))
        if precision == kinds.HALF:
            if self.writer.parts:
                notes = (*notes, "the weights inside loops stay in 32 bits")
            writer, inputs, outputs = halved(self.writer, inputs, outputs)
            return Flat(writer.finish(inputs, outputs), share, notes)
        if precision == kinds.INTEGER or (precision == kinds.OWN and kinds.is_quantized(self.graph)):
            return self._quantized(inputs, outputs, share, step, own=precision == kinds.OWN)
        return Flat(self.writer.finish(inputs, outputs), share, notes)

    def _loops(self, waiting: list[Loop], names: set[str]) -> None:
        """Write the loops that make any of the tensors: those stand where their first layer does, which may be before
        what their others read."""
        for loop in list(waiting):
            if loop in waiting and made_by(loop) & names:
                waiting.remove(loop)
                self._loops(waiting, {spec.name for layer in layers_of(loop) for spec in layer.inputs.values()})
                write_loop(self, loop)
                self._owned(next(layers_of(loop)).name)

    def _quantized(self, inputs: Named, outputs: Named, share: Share, step: float, *, own: bool) -> Flat:
        """On 8-bit integers: whatever LiteRT can, or, in the model's ``own`` precision, the layers that do there."""
        integers = {layer.name for layer in self.graph.layers if not own or kinds.on_integers(layer)}
        known = kinds.scales_of(self.graph)
        scales = {self.found[name].number: scale for name, scale in reversed(known.items()) if name in self.found}
        kinds.handed_back(self.writer, scales)
        graph = Quantizer(self.writer, scales, step, lambda number: not own or self.owners[number] in integers)
        takes, gives = (
            {spec.name for spec in specs if kinds.stands_for_reals(spec)} if own else None
            for specs in (self.graph.inputs, self.graph.outputs)
        )
        read, made = graph.run(inputs, outputs, takes, gives)
        done = kinds.integer_share(self.report, self.owners, graph)
        notes = (*self.plan.notes, kinds.remark(done, graph), *(kinds.widened(self.graph) if own else ()))
        return Flat(graph.new.finish(read, made), share, notes, done)

    def _owned(self, name: str) -> None:
        """Say that the operators written since are a layer's."""
        self.owners += [name] * (len(self.writer.operators) - len(self.owners))

    def _works(self, layer: Layer) -> bool:
        return bool(self.report.layer(layer.name).macs)

    def _input(self, spec: TensorSpec) -> int:
        value = self.make(spec, straight(spec.rank))
        self.found[spec.name] = value
        return value.number

    def write(self, layer: Layer) -> None:
        """The operators of a layer, or why there are none."""
        made = [spec.name for spec in layer.outputs.values()]
        if layer.name in self.plan.merged or all(name in self.found for name in made):
            return
        if not self.is_asked_for(layer):
            return
        function = RULES.get(layer.op)
        try:
            if function is None:
                raise NotLoweredError("no lowering of this op onto TensorFlow Lite")
            for spec in (*layer.inputs.values(), *layer.outputs.values()):
                shape_of(spec)
            function(self, layer)
            self._check(layer)
        except (NotLoweredError, UnknownLayoutError, KeyError, ValueError, TypeError, IndexError) as error:
            text = f"attribute or role {error} is missing" if isinstance(error, KeyError) else str(error)
            self._refuse(layer, text)
        self._owned(layer.name)

    def _check(self, layer: Layer) -> None:
        """Refuse what was written in another shape than the Graph's."""
        for spec in layer.outputs.values():
            value = self.found.get(spec.name)
            if value is not None and value.logical != shape_of(spec):
                shapes = f"{value.logical} was written, not {shape_of(spec)}"
                for name in self._names(spec.name):
                    self.found.pop(name, None)
                raise NotLoweredError(shapes)

    def _names(self, name: str) -> list[str]:
        """A tensor and what it becomes under other names."""
        names = [name]
        while names[-1] in self.becomes:
            names.append(self.becomes[names[-1]])
        return names

    def _refuse(self, layer: Layer, reason: str) -> None:
        """Name a layer as not written; zeros stand in for its results, so that what follows can be."""
        self.missing[layer.name] = reason
        for spec in layer.outputs.values():
            if spec.name not in self.found and None not in spec.shape:
                kind = np.dtype(spec.dtype) if spec.dtype in TYPES and spec.quant is None else np.dtype(np.float32)
                self.found[spec.name] = self.constant(np.zeros(shape_of(spec), kind), spec.name)

    def _prepare(self, layer: Layer) -> None:
        """What only prepares weights: its result is drawn as its readers need it."""
        for spec in layer.outputs.values():
            self.arrays[spec.name] = self.draw(spec, self.draws.of(spec, weight=True))

    # tensors

    def value(self, spec: TensorSpec) -> Value:
        """The tensor of the file for one of the Graph; weights are written when they are first asked for."""
        if spec.name not in self.found:
            array = self.array(spec)
            self.found[spec.name] = self.constant(array, spec.name)
        return self.found[spec.name]

    def array(self, spec: TensorSpec) -> Any:
        """The values of a weight or constant: given ones by the framework's key, else drawn."""
        if spec.name not in self.arrays:
            owner = self.graph.parameters.get(spec.name)
            if owner is None:
                raise NotLoweredError(f"{spec.name} is not known beforehand")
            keys = (owner.source, owner.name, *owner.tied)
            key = next((key for key in keys if key in self.given), None)
            if key is not None:
                array = kinds.real_values(np.asarray(self.given[key]).reshape(shape_of(owner.spec)), owner.spec)
            else:
                drawn = owner.spec if owner.spec.quant is None else replace(owner.spec, dtype="float32", quant=None)
                array = self.draw(drawn, self.draws.of(drawn, weight=True))
            self.arrays[spec.name] = array.astype(kind_of(owner.spec))
        array = self.arrays[spec.name]
        shape = shape_of(spec)
        if array.shape != shape:
            if array.shape == shape[len(shape) - array.ndim :]:  # a stack of one and the same
                return array
            if array.ndim == 2 and array.shape[::-1] == shape[-2:] and array.size < np.prod(shape, dtype=int):
                return array.T
            if array.size < np.prod(shape, dtype=int):
                raise NotLoweredError(f"{spec.name} has {array.size} elements, not {shape}")
            array = array.reshape(-1)[: int(np.prod(shape, dtype=int))].reshape(shape)
        return array

    def is_weight(self, spec: TensorSpec) -> bool:
        return spec.name in self.graph.parameters or spec.name in self.arrays

    def draw(self, spec: TensorSpec, how: Draw) -> Any:
        return drawn(how, shape_of(spec), self.source).astype(kind_of(spec))

    def constant(self, array: Any, name: str = "constant") -> Value:
        array = np.asarray(array)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return Value(self.writer.constant(array, name), array.shape, array.dtype.name, straight(array.ndim))

    def integers(self, values: Sequence[int]) -> int:
        """The number of a constant of 32-bit integers: axes, shapes, paddings."""
        return self.writer.constant(np.array(values, dtype=np.int32), "integers")

    def dtype(self, spec: TensorSpec) -> str:
        return str(kind_of(spec).name)

    def writer_type(self, dtype: str) -> int:
        """The file's own number for a dtype."""
        return int(TYPES[dtype])

    def make(self, spec: TensorSpec, perm: Perm, suffix: str = "") -> Value:
        """A tensor for one of the Graph's, stored in that order."""
        shape = permuted(shape_of(spec), perm)
        return self.temporary(shape, self.dtype(spec), f"{spec.name}{suffix}", perm)

    def temporary(self, shape: Sequence[int], dtype: str, name: str, perm: Perm | None = None) -> Value:
        shape = tuple(int(n) for n in shape)
        number = self.writer.tensor(shape, dtype, name)
        return Value(number, shape, dtype, straight(len(shape)) if perm is None else perm)

    # operators

    def emit(
        self,
        kind: str,
        inputs: Sequence[Value | int],
        output: Value,
        options: str = "",
        version: int = 1,
        **settings: Any,
    ) -> Value:
        numbers = [item if isinstance(item, int) else item.number for item in inputs]
        self.writer.operator(kind, numbers, [output.number], options, version, **settings)
        return output

    def result(self, layer: Layer, value: Value, role: str = "y") -> None:
        """Take a value as a layer's result, and as that of the activation merged into it."""
        name: str | None = layer.outputs[role].name
        while name is not None and name not in self.found:
            self.found[name] = value
            name = self.becomes.get(name)

    def activation(self, layer: Layer) -> int:
        """The activation merged into a layer."""
        return self.activations.get(layer.name, NONE)

    def name(self, layer: Layer, role: str = "y") -> str:
        """The name of a layer's result: that of the last tensor that it becomes."""
        name = layer.outputs[role].name
        while name in self.becomes:
            name = self.becomes[name]
        return name

    def ordered(self, value: Value, perm: Perm, name: str = "") -> Value:
        """A value stored in another order: as it is where only dimensions of 1 move, else by a TRANSPOSE."""
        if value.perm == perm:
            return value
        moves = tuple(value.perm.index(axis) for axis in perm)
        shape = tuple(value.shape[at] for at in moves)
        label = name or self.label(value)
        if [n for n in value.shape if n != 1] == [n for n in shape if n != 1] and _kept(moves, value.shape):
            return self.reshaped(value, shape, perm, label)
        made = self.temporary(shape, value.dtype, f"{label}_turned", perm)
        return self.emit("TRANSPOSE", [value, self.integers(moves)], made, "TransposeOptions")

    def plain(self, value: Value, name: str = "") -> Value:
        """A value in the Graph's own order."""
        return self.ordered(value, straight(value.rank), name)

    def reshaped(self, value: Value, shape: Sequence[int], perm: Perm | None = None, name: str = "") -> Value:
        """The same elements in another shape."""
        shape = tuple(int(n) for n in shape)
        order = straight(len(shape)) if perm is None else perm
        if shape == value.shape and order == value.perm:
            return value
        made = self.temporary(shape, value.dtype, f"{name or self.label(value)}_shaped", order)
        return self.emit("RESHAPE", [value, self.integers(shape)], made, "ReshapeOptions", newShape=np.array(shape))

    def reshaped_anew(self, value: Value) -> Value:
        """The same elements as a tensor of its own."""
        made = self.temporary(value.shape, value.dtype, f"{self.label(value)}_kept", value.perm)
        return self.emit("RESHAPE", [value, self.integers(value.shape)], made, "ReshapeOptions")

    def is_constant(self, value: Value) -> bool:
        """Whether a tensor stands in the file."""
        return bool(self.writer.tensors[value.number].buffer)

    def label(self, value: Value) -> str:
        name: bytes = self.writer.tensors[value.number].name
        return name.decode()


def _kept(moves: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether the dimensions that are larger than 1 stay in their order."""
    order = [at for at in moves if shape[at] != 1]
    return order == sorted(order)


def kind_of(spec: TensorSpec) -> Any:
    """The type a tensor is computed in: floats of every width, and integers that stand for real numbers, as float32."""
    dtype = spec.dtype
    if spec.quant is not None or dtype in ("float16", "bfloat16", "float64") or dtype.startswith("float8"):
        return np.dtype(np.float32)
    if dtype not in TYPES:
        raise NotLoweredError(f"TensorFlow Lite has no tensors of {dtype or 'an unknown type'}")
    return np.dtype(dtype)


def lower(
    report: Report, *, values: Mapping[str, Any] | None = None, seed: int = 0, least: float = LEAST,
    precision: str = "", step: float = STEP, unrolled: bool = False,
) -> Flat:  # fmt: skip
    """The model of a report as a .tflite file.

    ``values`` are the real parameters by the key under which the framework has them (`Parameter.source`); what they
    lack is drawn, equal for equal ``seed``. ``precision`` is ``fp32``, ``fp16`` (weights alone) or ``int8`` (weights
    and activations, inputs and outputs included); empty, it is the model's own: 8-bit integers where its tensors are
    such, else 32-bit floats. ``step`` is what one step of an 8-bit activation stands for where the model does not say.
    ``unrolled`` writes an LSTM step by step, as litert-torch does, and not as one operator.
    Raises `UnsupportedOpError` where less than the share ``least`` of the multiply-adds can be written; what cannot be
    is named in ``share``, and zeros stand in for it. Raises `UsageError` on another precision.
    """
    from multiprof_benchmark.lower.tflite import rules

    assert rules.__all__  # importing the rules fills the table
    wanted = kinds.named(precision)
    return Builder(report, values, seed, unrolled).build(least, wanted, step)


__all__ = ["Builder", "Flat", "lower"]
