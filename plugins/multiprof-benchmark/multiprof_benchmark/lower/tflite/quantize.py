"""A written graph of 32-bit floats on 8-bit integers, as TensorFlow's converter writes one after calibration.

The scales are invented: how long an integer kernel takes depends on shapes, not on them. One step serves all
activations, with zero at 0, so that what moves elements along needs no rescaling; a kernel that dictates its scale gets
it, a graph that states its own scales keeps them. What LiteRT cannot compute on integers stays in floats, between a
DEQUANTIZE and a QUANTIZE where integers come before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from multiprof_benchmark.lower.tflite.kernels import COMPARING, FIXED, SAME, VERSIONS, WEIGHTED, Scale
from multiprof_benchmark.lower.tflite.rewrite import Named, Rewriter
from multiprof_benchmark.lower.tflite.writer import ABSENT, Writer

LOWEST, HIGHEST = -128, 127
# How far a constant operand's scale may lie below the result's: XNNPACK takes a ratio from 2⁻¹⁰ on in a sum and one
# from 2⁻¹⁴ on in a product.
FINEST = {"ADD": 2.0**-9, "SUB": 2.0**-9, "MUL": 2.0**-13}
BIAS_LIMIT = 2**30  # leaves the accumulator, which starts at the bias, as much room as it takes up


class Quantizer(Rewriter):
    """One graph. ``scales`` are those of tensors that have one, ``step`` is that of all others; ``integer`` says of an
    operator, by its number, whether it may compute on integers."""

    def __init__(
        self, old: Writer, scales: Mapping[int, Scale], step: float, integer: Callable[[int], bool] = lambda _: True
    ) -> None:
        super().__init__(old)
        self.scales = scales
        self.default = Scale(step, 0)
        self.integer = integer
        self.held: dict[int, Scale] = {}  # tensors that are integers in the new graph, and what they stand for
        self.stored: dict[tuple[int, Scale], int] = {}  # integers by tensor and scale
        self.done: list[bool] = []  # of each old operator: whether it computes on integers (moving others counts too)
        self.left: dict[str, int] = {}  # kinds of operators that stay in floats: how many

    # the whole

    def run(self, inputs: Named, outputs: Named, takes: set[str] | None, gives: set[str] | None) -> tuple[Named, Named]:
        """Write the new graph. ``takes`` and ``gives`` name the inputs and outputs that are integers; ``None``: all."""
        read = [(name, self._input(number, takes is None or name in takes)) for name, number in inputs]
        for number, operator in enumerate(self.old.operators):
            self.done.append(self._operator(number, operator))
        made = []
        for name, number in outputs:
            integers = self._is_real(number) and (gives is None or name in gives)
            made.append((name, self.integers(number) if integers else self.floats(number)))
        return read, made

    def _input(self, number: int, integers: bool) -> int:
        return self._made(number, self.scale(number)) if integers and self._is_real(number) else self.copy(number)

    def _operator(self, number: int, operator: Any) -> bool:
        kind = self.kind(operator)
        inputs, outputs = [int(at) for at in operator.inputs], [int(at) for at in operator.outputs]
        if not any(self._is_real(at) for at in (*inputs, *outputs)):
            self.again(operator, [self.copy(at) for at in inputs], [self.copy(at) for at in outputs])
            return True
        if kind in VERSIONS and self.integer(number) and self._fits(kind, inputs):
            self._on_integers(kind, operator, inputs, outputs)
            return True
        self.left[kind] = self.left.get(kind, 0) + 1
        self.again(operator, [self.floats(at) for at in inputs], [self.copy(at) for at in outputs])
        return False

    def _fits(self, kind: str, inputs: list[int]) -> bool:
        """Whether the kernel takes such operands: weights that are constants, and comparisons of scales below 1."""
        if kind in COMPARING:
            return all(self._now(at).step < 1 for at in inputs if not self.is_constant(at))
        return kind not in WEIGHTED or all(
            at == ABSENT or self.is_constant(at) for at in (inputs[1], *inputs[WEIGHTED[kind][2] :])
        )

    # operators on integers

    def _on_integers(self, kind: str, operator: Any, inputs: list[int], outputs: list[int]) -> None:
        version = VERSIONS[kind]
        common = self._common(inputs, outputs[0]) if kind in SAME else None
        made = []
        for at in outputs:
            scale = common or (FIXED[kind][1] if kind in FIXED else self.scale(at))
            made.append((at, scale))
        if kind in WEIGHTED:
            read = self._weighted(kind, inputs)
        else:
            target = made[0][1]
            read = [self._operand(kind, at, inputs, common, target) for at in inputs]
        written = [self._made(at, scale) if self._is_real(at) else self.copy(at) for at, scale in made]
        self.again(operator, read, written, version)

    def _operand(self, kind: str, at: int, inputs: list[int], common: Scale | None, target: Scale) -> int:
        if not self._is_real(at):
            return self.copy(at)
        if common is not None or not self.is_constant(at):
            return self.integers(at, common)
        scale = self._now(at)
        other = next((self._now(i) for i in inputs if self._is_real(i) and not self.is_constant(i)), self.default)
        if kind in ("ADD", "SUB"):  # beyond this the result is at its bound, whatever the other operand is
            bound = 256 * (target.step + other.step) / HIGHEST
            scale = Scale(min(max(scale.step, FINEST[kind] * target.step), bound), 0)
        elif kind in COMPARING:
            scale = other
        elif kind == "MUL":
            scale = Scale(max(scale.step, FINEST[kind] * target.step / other.step), 0)
        return self.integers(at, scale)

    def _common(self, inputs: list[int], made: int) -> Scale:
        """The scale of operands that must share one: the first that a tensor computed has, if the others do too."""
        real = [at for at in inputs if self._is_real(at)]
        found = [self._now(at) for at in real if not self.is_constant(at)]
        if not found:
            return self._now(real[0]) if real else self.default
        return found[0] if len(set(found)) == 1 else self.scale(made)

    def _weighted(self, kind: str, inputs: list[int]) -> list[int]:
        _, weight, bias, axis = WEIGHTED[kind]
        x = next(at for place, at in enumerate(inputs) if self._is_real(at) and place not in (weight, bias))
        array = self.array(inputs[weight])
        others = tuple(at for at in range(array.ndim) if at != axis)
        largest = np.abs(array).max(axis=others)
        steps = np.where(largest > 0, largest / HIGHEST, 1.0).astype(np.float32)
        shape = [-1 if at == axis else 1 for at in range(array.ndim)]
        stored = np.clip(np.round(array / steps.reshape(shape)), -HIGHEST, HIGHEST).astype(np.int8)
        read = []
        for place, at in enumerate(inputs):
            if place == weight:
                made = self.new.constant(stored, self.name(at), scale=steps.tolist(), axis=axis)
            elif place == bias and at != ABSENT:
                made = self._bias(at, np.float32(self._now(x).step) * steps)
            else:
                made = self.integers(at) if at != ABSENT and self._is_real(at) else self.copy(at)
            read.append(made)
        return read

    def _bias(self, at: int, steps: Any) -> int:
        values = np.clip(np.round(self.array(at).astype(np.float64) / steps), -BIAS_LIMIT, BIAS_LIMIT)
        return self.new.constant(values.astype(np.int32), self.name(at), scale=steps.tolist())

    # tensors

    def _is_real(self, number: int) -> bool:
        return number != ABSENT and self.dtype(number) == "float32"

    def scale(self, number: int) -> Scale:
        """What a tensor's integers stand for: its own scale, else the one of all."""
        return self.scales.get(number, self.default)

    def _now(self, number: int) -> Scale:
        """The scale that a tensor has, or gets when it is quantised."""
        if self.is_constant(number):
            return symmetric(self.array(number))
        return self.held.get(number) or self.scale(number)

    def _made(self, number: int, scale: Scale) -> int:
        """A tensor of integers that an operator writes."""
        made = self.new.tensor(
            self.shape(number), "int8", self.name(number), scale=[scale.step], zero_point=[scale.zero]
        )
        self.held[number] = scale
        self.stored[number, scale] = made
        return made

    def integers(self, number: int, scale: Scale | None = None) -> int:
        """A tensor as integers, in its own scale or another; where it is none yet, by a QUANTIZE."""
        own = self._now(number)
        wanted = scale or own
        if (number, wanted) not in self.stored:
            name, shape = self.name(number), self.shape(number)
            quantized: dict[str, Any] = {"scale": [wanted.step], "zero_point": [wanted.zero]}
            if self.is_constant(number):
                values = np.round(self.array(number).astype(np.float64) / wanted.step) + wanted.zero
                array = np.clip(values, LOWEST, HIGHEST).astype(np.int8)
                made = self.new.constant(array, name, **quantized)
            else:
                made = self.new.tensor(shape, "int8", f"{name}_quantized", **quantized)
                source = self.stored[number, own] if number in self.held else self.copy(number)
                self.new.operator("QUANTIZE", [source], [made], "QuantizeOptions", 2 if number in self.held else 1)
            self.stored[number, wanted] = made
        return self.stored[number, wanted]

    def floats(self, number: int) -> int:
        """A tensor as it was; where it is integers, by a DEQUANTIZE."""
        if number in self.held and number not in self.copies:
            made = self.new.tensor(self.shape(number), "float32", f"{self.name(number)}_dequantized")
            source = self.stored[number, self.held[number]]
            self.new.operator("DEQUANTIZE", [source], [made], "DequantizeOptions", 2)
            self.copies[number] = made
        return self.copy(number)


def symmetric(array: Any) -> Scale:
    """One scale for a constant, around zero."""
    largest = float(np.abs(array).max()) if array.size else 0.0
    return Scale(float(np.float32(largest / HIGHEST)) or 1 / HIGHEST, 0)


__all__ = ["Quantizer", "symmetric"]
