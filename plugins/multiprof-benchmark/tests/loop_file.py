"""A .tflite file with a loop between two additions, written by hand: y = ((x + 1) · 2³) + 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

BUILTIN, TYPE = schema.BuiltinOperator, schema.TensorType
CODES = (BUILTIN.ADD, BUILTIN.MUL, BUILTIN.LESS, BUILTIN.WHILE)
COND, BODY = 1, 2
SHAPE = (4, 8)
TRIPS = 3


def _tensor(name: str, kind: int, shape: tuple[int, ...], buffer: int = 0) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.buffer = name.encode(), kind, buffer
    tensor.shape = np.array(shape, np.int32)
    return tensor


def _operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = CODES.index(code)
    made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    if code == BUILTIN.WHILE:
        made.builtinOptionsType = schema.BuiltinOptions.WhileOptions
        made.builtinOptions = schema.WhileOptionsT()
        made.builtinOptions.condSubgraphIndex, made.builtinOptions.bodySubgraphIndex = COND, BODY
    return made


def _graph(name: str, tensors: list[Any], inputs: list[int], outputs: list[int], operators: list[Any]) -> Any:
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = name.encode(), tensors, operators
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    return graph


def write(path: Path, counted_by_input: bool = False) -> str:
    """The file; ``counted_by_input`` makes the first trip's number an input of the model, not a constant."""
    contents = [None, np.float32(1), np.float32(2), np.int32(0), np.int32(1), np.int32(TRIPS)]
    one, two, zero, step, trips = range(1, 6)  # numbers of buffers

    def number(name: str, buffer: int = 0) -> Any:
        return _tensor(name, TYPE.INT32, (), buffer)

    def real(name: str, buffer: int = 0) -> Any:
        return _tensor(name, TYPE.FLOAT32, () if buffer else SHAPE, buffer)

    main = _graph(
        "main",
        [real("x"), real("one", one), real("before"), number("first", 0 if counted_by_input else zero),
         number("count"), real("looped"), real("after")],
        [0, 3] if counted_by_input else [0], [6],
        [_operator(BUILTIN.ADD, [0, 1], [2]), _operator(BUILTIN.WHILE, [3, 2], [4, 5]),
         _operator(BUILTIN.ADD, [5, 1], [6])],
    )  # fmt: skip
    cond = _graph(
        "cond", [number("at"), real("held"), number("trips", trips), _tensor("more", TYPE.BOOL, ())], [0, 1], [3],
        [_operator(BUILTIN.LESS, [0, 2], [3])],
    )  # fmt: skip
    body = _graph(
        "body",
        [number("at"), real("held"), number("step", step), number("next"), real("two", two), real("doubled")],
        [0, 1], [3, 5],
        [_operator(BUILTIN.ADD, [0, 2], [3]), _operator(BUILTIN.MUL, [1, 4], [5])],
    )  # fmt: skip
    model = schema.ModelT()
    model.version = 3
    model.subgraphs, model.buffers, model.operatorCodes = [main, cond, body], [], []
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = None if content is None else np.frombuffer(content.tobytes(), np.uint8)
        model.buffers.append(buffer)
    for code in CODES:
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, code, 1
        model.operatorCodes.append(entry)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return str(path)
