"""What a .tflite costs, found by running it: an oracle for the TFLite adapter that knows nothing of multiprof.

The file is read whole through the schema that comes with the LiteRT interpreter and executed by it on random inputs,
without delegates and with every tensor kept. Multiply-adds are counted operator by operator from the shapes that came
out. A custom operator, which the interpreter does not have, is cut out: what it makes becomes an input of the model.
The body of a WHILE is a model of its own, run as often as its condition says.

An operator that is in none of the tables below raises `LookupError`: nothing is 0 by accident.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

Shape = tuple[int, ...]


@dataclass(slots=True)
class Count:
    """Multiply-adds by (subgraph, operator), in the order in which they run, of the operators that form products; and
    what the file stores, as (kind, shape)."""

    macs: Counter[tuple[int, int]] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    stored: Counter[tuple[str, Shape]] = field(default_factory=Counter)


def count(path: Path, inputs: Mapping[str, Shape], seed: int = 0) -> Count:
    """Execute the file on random numbers; ``inputs`` gives other shapes than those it was written with, by the
    names its signature has for them, or else those of the tensors."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    result = Count()
    _sort_weights(model, result)
    operators = list(model.subgraphs[0].operators)
    _take_custom_out(model)
    rng = np.random.default_rng(seed)
    interpreter = _interpreter(model, inputs)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], _filled(detail, rng))
    _Run(model, result).counted(interpreter, 0, operators)
    return result


def _interpreter(model: Any, inputs: Mapping[str, Shape]) -> Interpreter:
    interpreter = Interpreter(
        model_content=_packed(model),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    names = {entry.tensorIndex: entry.name.decode() for one in model.signatureDefs or () for entry in one.inputs}
    for detail in interpreter.get_input_details():
        name = names.get(detail["index"], detail["name"])
        if name in inputs:
            interpreter.resize_tensor_input(detail["index"], inputs[name])
    interpreter.allocate_tensors()
    return interpreter


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _filled(detail: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    shape, dtype = tuple(detail["shape"]), np.dtype(detail["dtype"])
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.uniform(-1, 1, shape).astype(dtype)


# ---------------------------------------------------------------------------------------------------- multiply-adds


def _conv(x: Sequence[Shape], y: Shape, options: Any) -> int:
    """Every output element is the sum over one filter: w is (C_o, k, …, C_i/G)."""
    return prod(y) * prod(x[1][1:])


def _depthwise(x: Sequence[Shape], y: Shape, options: Any) -> int:
    """One channel meets one filter: w is (1, k, k, C)."""
    return prod(y) * prod(x[1][1:3])


def _transpose_conv(x: Sequence[Shape], y: Shape, options: Any) -> int:
    """Every input element meets all filters: operands are the output's shape, w (C_o, k, k, C_i), and x."""
    return prod(x[2]) * prod(x[1][:3])


def _mediapipe_transpose_conv(x: Sequence[Shape], y: Shape, options: Any) -> int:
    """MediaPipe's, with the operands in the usual order: x, w (C_o, k, k, C_i), and a bias."""
    return prod(x[0]) * prod(x[1][:3])


def _fully_connected(x: Sequence[Shape], y: Shape, options: Any) -> int:
    """w is (outputs, inputs)."""
    return prod(y) * x[1][1]


# name of the operator -> macs of (shapes of its inputs, shape of its first output, options)
PRODUCTS: dict[str, Callable[[Sequence[Shape], Shape, Any], int]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_conv,
    "FULLY_CONNECTED": _fully_connected,
    "CUSTOM.Convolution2DTransposeBias": _mediapipe_transpose_conv,
}
# No sums of products in these, whatever else they compute.
_OTHERS = """
    ADD ASSIGN_VARIABLE AVERAGE_POOL_2D CALL_ONCE CAST CONCATENATION DENSIFY DEPTH_TO_SPACE DEQUANTIZE DIV EQUAL
    EXPAND_DIMS FILL FLOOR_DIV GATHER GREATER HARD_SWISH LESS LOG LOGICAL_AND LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG PACK PAD PADV2 POW PRELU QUANTIZE RANGE READ_VARIABLE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU
    RESHAPE RESIZE_BILINEAR REVERSE_V2 RFFT2D SELECT_V2 SHAPE SIN SLICE SOFTMAX SPLIT SPLIT_V SQRT SQUARE SQUEEZE
    STRIDED_SLICE SUB SUM TANH TRANSPOSE VAR_HANDLE
    CUSTOM.Landmarks2TransformMatrix CUSTOM.TransformLandmarks CUSTOM.TransformTensorBilinear
"""
OTHERS = frozenset(_OTHERS.split())
_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def operator(model: Any, op: Any) -> str:
    """``CONV_2D``, or ``CUSTOM.Name``; old files have the code in the older of two fields, the other one is 0."""
    code = model.operatorCodes[op.opcodeIndex]
    name = _NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return f"CUSTOM.{code.customCode.decode()}" if name == "CUSTOM" else name


# -------------------------------------------------------------------------------------------------------- execution


class _Run:
    def __init__(self, model: Any, result: Count) -> None:
        self.model = model
        self.result = result

    def counted(self, interpreter: Interpreter, graph: int, operators: Sequence[Any]) -> None:
        """Invoke, and count every operator of a graph from the shapes its tensors then have."""
        interpreter.invoke()
        details = interpreter.get_tensor_details()
        shapes = {detail["index"]: tuple(int(d) for d in detail["shape"]) for detail in details}
        for place, op in enumerate(operators):
            name = operator(self.model, op)
            self.result.operators[name] += 1
            if name == "WHILE":
                self.loop(op.builtinOptions, [interpreter.get_tensor(index) for index in op.inputs])
            elif name in PRODUCTS:
                inputs = [shapes[index] if index >= 0 else () for index in op.inputs]
                number = PRODUCTS[name](inputs, shapes[op.outputs[0]], op.builtinOptions)
                self.result.macs[graph, place] += number
            elif name not in OTHERS:
                raise LookupError(f"{name} is in no table of the oracle")

    def loop(self, options: Any, state: Sequence[np.ndarray]) -> None:
        """Condition and body in turn, each as a model of its own, from the values that enter the loop."""
        cond, body = (self.alone(index) for index in (options.condSubgraphIndex, options.bodySubgraphIndex))
        operators = self.model.subgraphs[options.bodySubgraphIndex].operators
        while _results(_fed(cond, state))[0].item():
            self.counted(_fed(body, state, invoke=False), options.bodySubgraphIndex, operators)
            state = _results(body)

    def alone(self, index: int) -> Interpreter:
        """One subgraph as a model; what it calls itself is not looked for."""
        model = copy.copy(self.model)
        model.subgraphs = [self.model.subgraphs[index]]
        model.signatureDefs = model.metadata = model.metadataBuffer = None
        return _interpreter(model, {})


def _fed(interpreter: Interpreter, values: Sequence[np.ndarray], invoke: bool = True) -> Interpreter:
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    if invoke:
        interpreter.invoke()
    return interpreter


def _results(interpreter: Interpreter) -> list[np.ndarray]:
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _take_custom_out(model: Any) -> None:
    """Take the custom operators out of the main graph: their outputs become inputs, of the shapes in the file."""
    graph = model.subgraphs[0]
    custom = [op for op in graph.operators if operator(model, op).startswith("CUSTOM.")]
    made = [index for op in custom for index in op.outputs]
    graph.operators = [op for op in graph.operators if op not in custom]
    read = {index for op in graph.operators for index in op.inputs}
    graph.inputs = [*graph.inputs, *(index for index in made if index in read)]
    graph.outputs = [index for index in graph.outputs if index not in made]
    if not graph.outputs:  # some output there must be
        graph.outputs = [graph.operators[-1].outputs[0]]


# ---------------------------------------------------------------------------------------------------------- weights

FLOATS = frozenset((schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64))


def _sort_weights(model: Any, result: Count) -> None:
    """Sort what is stored: floats and quantised integers are learned, the rest and all scalars are constants.

    What a variable starts from is state, so a buffer. Tensors that share their bytes are one; where a weight shares
    them with a constant (a bias of zero with a zero), it is the weight.
    """
    found: dict[int, dict[str, Shape]] = {}
    for graph in model.subgraphs:
        starts = {op.inputs[1] for op in graph.operators or () if operator(model, op) == "ASSIGN_VARIABLE"}
        for index, tensor in enumerate(graph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is None or len(data) == 0:
                continue
            shape = () if tensor.shape is None else tuple(int(d) for d in tensor.shape)
            quantised = tensor.quantization is not None and tensor.quantization.scale is not None
            learned = shape and (tensor.type in FLOATS or quantised)
            kind = "buffer" if index in starts else "parameter" if learned else "constant"
            found.setdefault(tensor.buffer, {}).setdefault(kind, shape)
    for kinds in found.values():
        kind = next(kind for kind in ("parameter", "buffer", "constant") if kind in kinds)
        result.stored[kind, kinds[kind]] += 1
