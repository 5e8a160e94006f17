"""One operator as its rule sees it: operands with their shapes and small values, options, and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from multiprof.adapters.tflite.model import Operator, Tensor
from multiprof.errors import ModelError
from multiprof.ir import WRITE, Layer, Shape, TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.tflite.walk import Frame, Walker

# ActivationFunctionType, by number: the canonical op of an activation that an operator applies to its result
FUSED: Mapping[int, str] = {1: "relu", 2: "hard_tanh", 3: "relu6", 4: "tanh", 5: "sign"}

Values = tuple[Any, ...]


class Node:
    """An operator in a running subgraph. A rule reads operands, writes layers and thereby makes its outputs."""

    def __init__(self, walker: Walker, frame: Frame, operator: Operator) -> None:
        self.walker = walker
        self.frame = frame
        self.operator = operator
        self.code = operator.code
        self.scope, self.name = walker.place(frame, operator)
        self._exact: bool | None = None

    # -- reading -------------------------------------------------------------------------------------------------

    @cached_property
    def options(self) -> dict[str, Any]:
        return self.walker.model.options(self.operator)

    def fail(self, why: str) -> ModelError:
        return self.walker.model.file.fail(self.operator.where, why)

    def has(self, number: int) -> bool:
        """Whether the operator has an operand of that number; optional ones may be marked absent by −1."""
        inputs = self.operator.inputs
        return number < len(inputs) and inputs[number] >= 0

    def x(self, number: int = 0) -> TensorSpec:
        """An operand; `ModelError` when it is not there."""
        if not self.has(number):
            raise self.fail(f"its operand {number} is missing")
        return self.walker.spec(self.frame, self.operator.inputs[number], self.operator)

    def maybe(self, number: int) -> TensorSpec | None:
        return self.x(number) if self.has(number) else None

    def all(self) -> list[TensorSpec]:
        """Every operand that is there."""
        return [self.x(i) for i in range(len(self.operator.inputs)) if self.has(i)]

    def shape(self, number: int = 0, rank: int | None = None) -> Shape:
        """Shape of an operand, of the rank asked for."""
        shape = self.x(number).shape
        if rank is not None and len(shape) != rank:
            raise self.fail(f"its operand {number} has the shape {shape}, of rank {len(shape)} and not {rank}")
        return shape

    def values(self, number: int) -> Values | None:
        """The numbers in an operand, row by row, where they are known without running the model; some may be None."""
        if not self.has(number):
            return None
        return self.walker.values(self.frame, self.operator.inputs[number])

    def ints(self, number: int) -> tuple[int, ...] | None:
        """The same where all are known integers."""
        found = self.values(number)
        if found is None or not all(isinstance(v, int) for v in found):
            return None
        return found

    def need_ints(self, number: int, what: str) -> tuple[int, ...]:
        found = self.ints(number)
        if found is None:
            raise self.fail(f"its {what} (operand {number}) is not known before the model runs")
        return found

    def is_weight(self, number: int) -> bool:
        """Whether an operand is computed from parameters and constants alone."""
        return self.x(number).name in self.walker.weights

    def declared(self, number: int) -> Tensor:
        """An output as the file declares it."""
        outputs = self.operator.outputs
        if number >= len(outputs):
            raise self.fail(f"its output {number} is missing")
        return self.frame.subgraph.tensors[outputs[number]]

    @property
    def outputs(self) -> int:
        return len(self.operator.outputs)

    # -- writing -------------------------------------------------------------------------------------------------

    def result(self, shape: Sequence[int | None] | None, number: int = 0, *, dtype: str = "") -> TensorSpec:
        """Output ``number`` with the shape that follows from the operands, ``None`` where it does not.

        What does not follow is taken from the file, unless an operand has another shape than the file says, or the
        file marks the axis as free. The element type is the file's.
        """
        tensor = self.declared(number)
        found: Shape
        if shape is None:
            found = tensor.shape if self.exact else (None,) * len(tensor.shape)
        else:
            found = tuple(shape)
            if None in found and self.exact and len(found) == len(tensor.shape):
                pairs = zip(found, tensor.shape, tensor.signature, strict=True)
                found = tuple(None if d is None and free == -1 else s if d is None else d for d, s, free in pairs)
            if self.exact and not tensor.free and found != tensor.shape and None not in found:
                self.walker.note_difference(self, number, tensor.shape, found)
            if any(d is not None and d < 0 for d in found):
                raise self.fail(f"its output {number} would have the shape {found}")
        return TensorSpec(found, dtype or tensor.dtype, self.walker.name_of(tensor), tensor.quant)

    @property
    def exact(self) -> bool:
        """Whether every operand has the shape that the file declares for it."""
        if self._exact is None:
            frame = self.frame
            self._exact = all(
                index < 0 or self.walker.spec(frame, index, self.operator).shape == frame.subgraph.tensors[index].shape
                for index in self.operator.inputs
            )
        return self._exact

    def between(self, shape: Iterable[int | None], like: TensorSpec | str, quant: bool = False) -> TensorSpec:
        """A tensor between two layers of this operator."""
        dtype = like if isinstance(like, str) else like.dtype
        spec = self.walker.writer.between(shape, dtype, self.name)
        if quant and isinstance(like, TensorSpec):
            spec.quant = like.quant
        return spec

    def layer(
        self,
        op: str,
        inputs: Mapping[str, TensorSpec | None],
        outputs: Mapping[str, TensorSpec],
        attrs: Mapping[str, Any] | None = None,
        *,
        piece: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Write a layer; operands that are ``None`` are absent. ``piece`` names it within its operator."""
        given = {role: spec for role, spec in inputs.items() if spec is not None}
        return self.walker.write(
            self, op, given, outputs, attrs, f"{self.name}/{piece}" if piece else self.name, aliases
        )

    def emit(
        self,
        op: str,
        inputs: Mapping[str, TensorSpec | None],
        shape: Sequence[int | None] | None,
        attrs: Mapping[str, Any] | None = None,
        *,
        fused: int = 0,
        aliases: tuple[tuple[str, str, str], ...] = (),
        number: int = 0,
    ) -> TensorSpec:
        """Write the layer that makes output ``number`` of that shape, and after it the fused activation if any."""
        y = self.result(shape, number)
        if not fused:
            self.layer(op, inputs, {"y": y}, attrs, aliases=aliases)
        else:
            before = self.between(y.shape, y, True)
            self.layer(op, inputs, {"y": before}, attrs)
            self.activation(fused, before, y)
        self.bind(number, y)
        return y

    def activation(self, fused: int, x: TensorSpec, y: TensorSpec) -> None:
        """The layer of an activation function that an operator applies to its own result, in place."""
        op = FUSED.get(fused)
        if op is None:
            raise self.fail(f"its activation function {fused} is unknown")
        attrs = {"min": -1, "max": 1} if op == "hard_tanh" else None
        self.layer(op, {"x": x}, {"y": y}, attrs, piece=op, aliases=(("y", "x", WRITE),))

    def bind(self, number: int, spec: TensorSpec) -> None:
        """Let output ``number`` be that tensor."""
        self.declared(number)
        self.walker.bind(self.frame, self.operator.outputs[number], spec)

    def know(self, values: Values, number: int = 0) -> None:
        """The numbers in output ``number``, for the arithmetic of shapes that follows."""
        self.walker.know(self.frame, self.operator.outputs[number], values)

    def foreign(self, name: str, attrs: Mapping[str, Any] | None = None) -> None:
        """A layer of no canonical meaning: every operand and output, and plain options."""
        inputs = {f"x{i}": spec for i, spec in enumerate(self.all())}
        outputs: dict[str, TensorSpec] = {}
        for number in range(self.outputs):
            spec = self.result(None, number)
            outputs[f"y{number}"] = spec
        self.layer(name, inputs, outputs, self.options if attrs is None else attrs)
        for number in range(self.outputs):
            self.bind(number, outputs[f"y{number}"])


__all__ = ["FUSED", "Node", "Values"]
