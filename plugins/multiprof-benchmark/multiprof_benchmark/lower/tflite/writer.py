"""Writes a .tflite flatbuffer: tensors, constants and operators in order.

What LiteRT asks of a file: version 3, an empty buffer 0, both fields of an operator's code, the identifier TFL3, and a
signature that names what goes in and comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FILE_ID = b"TFL3"
ABSENT = -1
TYPES = {
    "float32": schema.TensorType.FLOAT32, "float16": schema.TensorType.FLOAT16, "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64, "uint8": schema.TensorType.UINT8, "int8": schema.TensorType.INT8,
    "bool": schema.TensorType.BOOL, "int16": schema.TensorType.INT16, "float64": schema.TensorType.FLOAT64,
}  # fmt: skip


class Writer:
    """One graph. Every method that makes a tensor returns its number.

    A graph that an operator of ``whole`` calls, such as a loop's body, shares buffers and codes with it and becomes one
    of its ``parts``.
    """

    def __init__(self, name: str, whole: Writer | None = None) -> None:
        self.name = name
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [schema.BufferT()] if whole is None else whole.buffers
        self.operators: list[Any] = []
        self.codes: dict[tuple[int, int], int] = {} if whole is None else whole.codes
        self.parts: list[Any] = [] if whole is None else whole.parts  # subgraphs but the first
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._constants: dict[tuple[Any, ...], int] = {}

    def tensor(
        self, shape: Sequence[int], dtype: str, name: str, *, variable: bool = False,
        scale: Sequence[float] = (), zero_point: Sequence[int] = (), axis: int = 0,
    ) -> int:  # fmt: skip
        """A tensor without values; ``scale`` and ``zero_point`` where it is quantised (one, or one along ``axis``)."""
        made = schema.TensorT()
        made.shape = np.array(shape, dtype=np.int32)
        made.type = TYPES[dtype]
        made.name = name.encode()
        made.isVariable = variable
        if scale:
            quantized = schema.QuantizationParametersT()
            quantized.scale = np.array(scale, dtype=np.float32)
            quantized.zeroPoint = np.array(zero_point or [0] * len(scale), dtype=np.int64)
            quantized.quantizedDimension = axis
            made.quantization = quantized
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, array: Any, name: str, **quantized: Any) -> int:
        """A tensor of values that stand in the file; small equal ones are written once."""
        array = np.ascontiguousarray(array)
        data = array.tobytes()
        key = (array.dtype.str, array.shape, data, repr(quantized))
        if len(data) <= 64 and key in self._constants:
            return self._constants[key]
        number = self.tensor(array.shape, array.dtype.name, name, **quantized)
        stored = schema.BufferT()
        stored.data = np.frombuffer(data, dtype=np.uint8)
        self.tensors[number].buffer = len(self.buffers)
        self.buffers.append(stored)
        self._constants[key] = number
        return number

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: str = "", version: int = 1,
        **settings: Any,
    ) -> None:  # fmt: skip
        """An operator such as ``CONV_2D`` with its options' class (``Conv2DOptions``) and their fields."""
        code = getattr(schema.BuiltinOperator, kind)
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.setdefault((code, version), len(self.codes))
        made.inputs = np.array(inputs, dtype=np.int32)
        made.outputs = np.array(outputs, dtype=np.int32)
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in settings.items():
                setattr(made.builtinOptions, name, value)
        self.operators.append(made)

    def ends(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Say what goes in and comes out."""
        self.inputs, self.outputs = list(inputs), list(outputs)

    def part(self, called: Writer) -> int:
        """Take a graph that operators call; its number."""
        self.parts.append(called.packed())
        return len(self.parts)

    def packed(self) -> Any:
        """The graph as the file has it."""
        graph = schema.SubGraphT()
        graph.name = self.name.encode()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs = np.array(self.inputs, dtype=np.int32)
        graph.outputs = np.array(self.outputs, dtype=np.int32)
        return graph

    def finish(self, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]]) -> bytes:
        """The file, with the named inputs and outputs as its signature."""
        self.ends([number for _, number in inputs], [number for _, number in outputs])
        model = schema.ModelT()
        model.version = 3
        model.description = b"written by multiprof"
        model.operatorCodes = [_code(code, version) for code, version in self.codes]
        model.subgraphs, model.buffers = [self.packed(), *self.parts], self.buffers
        signature = schema.SignatureDefT()
        signature.signatureKey = b"serving_default"
        signature.inputs = [_named(name, number) for name, number in inputs]
        signature.outputs = [_named(name, number) for name, number in outputs]
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), FILE_ID)
        return bytes(builder.Output())


def _code(code: int, version: int) -> Any:
    made = schema.OperatorCodeT()
    made.deprecatedBuiltinCode = min(code, 127)
    made.builtinCode = code
    made.version = version
    return made


def _named(name: str, number: int) -> Any:
    made = schema.TensorMapT()
    made.name = name.encode()
    made.tensorIndex = number
    return made


__all__ = ["ABSENT", "TYPES", "Writer"]
