"""A written graph again, tensor by tensor and operator by operator: what changes its types begins here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from multiprof_benchmark.lower.tflite.writer import ABSENT, TYPES, Writer

Named = list[tuple[str, int]]
DTYPES = {number: name for name, number in TYPES.items()}
KINDS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


class Rewriter:
    """Copies a graph into a new writer; a tensor that nothing asks for is left out."""

    def __init__(self, old: Writer) -> None:
        self.old = old
        self.new = Writer(old.name)
        self.codes = list(old.codes)
        self.copies: dict[int, int] = {ABSENT: ABSENT}
        for part in old.parts:
            self._taken(part)

    def _taken(self, part: Any) -> None:
        """Take a graph that operators call as it is."""
        for tensor in part.tensors:
            if tensor.buffer:
                self.new.buffers.append(self.old.buffers[tensor.buffer])
                tensor.buffer = len(self.new.buffers) - 1
        for operator in part.operators:
            operator.opcodeIndex = self.new.codes.setdefault(self.codes[operator.opcodeIndex], len(self.new.codes))
        self.new.parts.append(part)

    def kind(self, operator: Any) -> str:
        """The name of an operator's kind."""
        return str(KINDS[self.codes[operator.opcodeIndex][0]])

    def dtype(self, number: int) -> str:
        return DTYPES[self.old.tensors[number].type]

    def shape(self, number: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.old.tensors[number].shape)

    def name(self, number: int) -> str:
        name: bytes = self.old.tensors[number].name
        return name.decode()

    def is_constant(self, number: int) -> bool:
        return bool(self.old.tensors[number].buffer)

    def array(self, number: int) -> Any:
        """The values of a constant."""
        stored = self.old.buffers[self.old.tensors[number].buffer].data
        return np.frombuffer(stored.tobytes(), np.dtype(self.dtype(number))).reshape(self.shape(number))

    def copy(self, number: int) -> int:
        """A tensor as it was."""
        if number not in self.copies:
            if self.is_constant(number):
                self.copies[number] = self.new.constant(self.array(number), self.name(number))
            else:
                tensor = self.old.tensors[number]
                self.copies[number] = self.new.tensor(
                    self.shape(number), self.dtype(number), self.name(number), variable=bool(tensor.isVariable)
                )
        return self.copies[number]

    def again(self, operator: Any, inputs: Sequence[int], outputs: Sequence[int], version: int = 1) -> None:
        """An operator on other tensors, of its own version or a later one."""
        code, own = self.codes[operator.opcodeIndex]
        made = schema.OperatorT()
        made.opcodeIndex = self.new.codes.setdefault((code, max(own, version)), len(self.new.codes))
        made.inputs, made.outputs = np.array(inputs, dtype=np.int32), np.array(outputs, dtype=np.int32)
        made.builtinOptionsType, made.builtinOptions = operator.builtinOptionsType, operator.builtinOptions
        self.new.operators.append(made)


__all__ = ["DTYPES", "KINDS", "Named", "Rewriter"]
