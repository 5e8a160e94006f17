"""TFLite files written operator by operator, and the LiteRT interpreter's own shapes to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import multiprof
from multiprof.adapters.tflite import read
from multiprof.inputs import Inputs, ReadOptions, as_inputs
from multiprof.ir import Graph
from multiprof.ops import OPS
from multiprof.report import Report
from multiprof.structure import check

TYPES = {
    "float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "complex64": 8, "int8": 9,
    "float64": 10, "uint32": 15,
}  # fmt: skip


class GraphBuilder:
    """A subgraph in the making; tensors and operators are numbered as they come."""

    def __init__(self, model: ModelBuilder) -> None:
        self.model = model
        self.made = schema.SubGraphT()
        self.made.tensors, self.made.operators, self.made.inputs, self.made.outputs = [], [], [], []
        self.made.name = b"main"

    def tensor(
        self, shape: Sequence[int], dtype: str = "float32", *, name: str = "", data: Any = None,
        signature: Sequence[int] | None = None, scale: Sequence[float] = (), zero: Sequence[int] = (), axis: int = 0,
        variable: bool = False, buffer: int = 0, kind: int | None = None,
    ) -> int:  # fmt: skip
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = TYPES[dtype] if kind is None else kind
        tensor.name = (name or f"t{len(self.made.tensors)}").encode()
        tensor.buffer = buffer
        tensor.isVariable = variable
        if signature is not None:
            tensor.shapeSignature = list(signature)
        if len(scale):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = list(scale), list(zero) or [0] * len(scale)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            tensor.buffer = self.model.buffer(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes())
        self.made.tensors.append(tensor)
        return len(self.made.tensors) - 1

    def constant(self, array: Any, **options: Any) -> int:
        array = np.asarray(array)
        return self.tensor(array.shape, str(array.dtype), data=array, **options)

    def input(self, shape: Sequence[int], dtype: str = "float32", **options: Any) -> int:
        self.made.inputs.append(self.tensor(shape, dtype, **options))
        return self.made.inputs[-1]

    def output(self, *tensors: int) -> None:
        self.made.outputs.extend(tensors)

    def op(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, *, custom: str = "",
        custom_options: bytes = b"", version: int = 1,
    ) -> None:  # fmt: skip
        operator = schema.OperatorT()
        operator.opcodeIndex = self.model.code(code, custom, version)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            kind = type(options).__name__[:-1]
            if hasattr(schema.BuiltinOptions, kind):
                operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, kind), options
            else:
                operator.builtinOptions2Type, operator.builtinOptions2 = getattr(schema.BuiltinOptions2, kind), options
        if custom_options:
            operator.customOptions = list(custom_options)
        self.made.operators.append(operator)


class ModelBuilder:
    """A file in the making; the first subgraph asked for is the main one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = b"test"
        self.model.operatorCodes, self.model.subgraphs, self.model.signatureDefs = [], [], []
        self.model.buffers = [schema.BufferT()]
        self.codes: dict[tuple[str, str, int], int] = {}
        self.graphs: list[GraphBuilder] = []

    def graph(self) -> GraphBuilder:
        made = GraphBuilder(self)
        self.graphs.append(made)
        self.model.subgraphs.append(made.made)
        return made

    def buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def code(self, name: str, custom: str, version: int) -> int:
        key = (name, custom, version)
        if key not in self.codes:
            made = schema.OperatorCodeT()
            made.builtinCode = int(name) if name.isdigit() else getattr(schema.BuiltinOperator, name)
            made.deprecatedBuiltinCode = min(made.builtinCode, 127)
            made.version = version
            made.customCode = custom.encode() or None
            self.model.operatorCodes.append(made)
            self.codes[key] = len(self.codes)
        return self.codes[key]

    def signature(self, key: str, inputs: Mapping[str, int], outputs: Mapping[str, int], subgraph: int = 0) -> None:
        def names(given: Mapping[str, int]) -> list[Any]:
            found = []
            for name, index in given.items():
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = name.encode(), index
                found.append(entry)
            return found

        made = schema.SignatureDefT()
        made.signatureKey, made.inputs, made.outputs, made.subgraphIndex = (
            key.encode(), names(inputs), names(outputs), subgraph,
        )  # fmt: skip
        self.model.signatureDefs.append(made)

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def save(self, name: str = "net.tflite") -> Path:
        path = self.folder / name
        path.write_bytes(self.bytes())
        return path


class Case:
    """A file, what LiteRT makes of it, and what multiprof reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def executed(
        self, shapes: Mapping[str, Sequence[int]] | None = None, *, invoke: bool = True
    ) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors of the main subgraph by name, after the interpreter ran on ones."""
        interpreter = Interpreter(
            model_path=str(self.path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        for detail in interpreter.get_input_details():
            if shapes and detail["name"] in shapes:
                interpreter.resize_tensor_input(detail["index"], list(shapes[detail["name"]]))
        interpreter.allocate_tensors()
        if invoke:
            for detail in interpreter.get_input_details():
                interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
            interpreter.invoke()
        found = {}
        for detail in interpreter.get_tensor_details():
            found[detail["name"]] = tuple(int(d) for d in detail["shape"])
        for detail in interpreter.get_output_details():  # what depends on values has its shape only here
            if invoke:
                found[detail["name"]] = interpreter.get_tensor(detail["index"]).shape
        return found

    def graph(self, inputs: Any = None, **options: Any) -> Graph:
        given = inputs if isinstance(inputs, Inputs) else as_inputs(inputs)
        graph = read(self.path, given, leaves=frozenset(), trace=no_trace, options=ReadOptions(**options))
        check(graph)
        for layer in graph.layers:
            known = OPS.get(layer.op)
            if known is not None:
                fits(layer.inputs, known.inputs, layer.op)
                fits(layer.outputs, known.outputs, layer.op)
        return graph

    def report(self, inputs: Any = None, **options: Any) -> Report:
        return multiprof.analyze(self.path, inputs, **options)


def no_trace(framework: str, function: Any, inputs: Inputs) -> Graph:
    raise AssertionError("a file holds no code of another framework")


def fits(roles: Mapping[str, Any], known: Sequence[str], op: str) -> None:
    """Roles are those of the vocabulary, and none that it requires is missing."""
    for role in roles:
        stem = role.rstrip("0123456789")
        names = {name.rstrip("?") for name in known}
        assert role in names or f"{stem}*" in names or role.startswith("alias"), f"{op} has no role {role}"
    for name in known:
        if not name.endswith(("?", "*")):
            assert name in roles, f"{op} needs the role {name}"


@pytest.fixture
def build(tmp_path: Path) -> ModelBuilder:
    return ModelBuilder(tmp_path)


@pytest.fixture
def options() -> Callable[..., Any]:
    """An options table by name, with fields set: ``options("Conv2D", strideW=1)``."""

    def make(table: str, **fields: Any) -> Any:
        made = getattr(schema, f"{table}OptionsT")()
        for field, value in fields.items():
            assert hasattr(made, field), f"{table}Options has no {field}"
            setattr(made, field, value)
        return made

    return make


@pytest.fixture
def case() -> Callable[[ModelBuilder | Path], Case]:
    return lambda built: Case(built.save() if isinstance(built, ModelBuilder) else built)


@pytest.fixture
def one(build: ModelBuilder, case: Callable[..., Case], options: Callable[..., Any]) -> Callable[..., Case]:
    """A file of one operator. An operand is a shape (an input), ``(dtype, shape)``, ``("state", shape)``, an array or
    None; outputs are element types, declared as scalars: their shapes have to follow from the operands."""

    def make(
        code: str, operands: Sequence[Any], outputs: Sequence[str] = ("float32",), opts: str = "", **fields: Any
    ) -> Case:
        custom, custom_options = fields.pop("custom", ""), fields.pop("custom_options", b"")
        version, keep = fields.pop("version", 1), fields.pop("keep", len(outputs))
        graph = build.graph()
        inputs = []
        for number, operand in enumerate(operands):
            if operand is None:
                inputs.append(-1)
            elif isinstance(operand, np.ndarray):
                inputs.append(graph.constant(operand, name=f"c{number}"))
            elif operand and operand[0] == "state":
                inputs.append(graph.tensor(operand[1], variable=True, name=f"s{number}"))
            elif operand and isinstance(operand[0], str):
                inputs.append(graph.input(operand[1], operand[0], name=f"x{number}"))
            else:
                inputs.append(graph.input(operand, name=f"x{number}"))
        made = [graph.tensor((), dtype, name=f"y{number}") for number, dtype in enumerate(outputs)]
        table = options(opts, **fields) if opts else None
        graph.op(code, inputs, made, table, custom=custom, custom_options=custom_options, version=version)
        graph.output(*made[:keep])
        return case(build)

    return make
