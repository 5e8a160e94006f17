"""What an ONNX file costs, found by running it: an oracle for the ONNX adapter that knows nothing of multiprof.

The file is read whole by the onnx package and executed by ONNX Runtime on random inputs, with every optimisation off
and every tensor between the nodes handed out. Multiply-adds are counted node by node from the shapes that came out and
the shapes of the weights. Ifs run the branch their condition asks for, Loops and Scans as often as they really go.

An operator that is in none of the tables below raises `LookupError`: nothing is 0 by accident.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, inliner

Shape = tuple[int, ...]
# A tensor at run time: its value, where it is small enough to be kept, or its shape alone.
KEPT = 100_000  # elements


@dataclass(slots=True)
class Tensor:
    shape: Shape
    dtype: str
    value: np.ndarray | None
    # whether it is computed from the inputs of the model; what is not can be computed before any input is there
    live: bool


@dataclass(slots=True)
class Count:
    """Multiply-adds by the name of a node (its first output's where it has none), of those that form products; and
    what the file stores, as (kind, shape)."""

    macs: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    stored: Counter[tuple[str, Shape]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.macs.values())


def count(path: Path, inputs: Mapping[str, Shape | np.ndarray], seed: int = 0) -> Count:
    """Execute the file with ``inputs``: an array, or a shape to be filled with random numbers (integers: 0 and 1)."""
    model = inliner.inline_local_functions(onnx.load(path))
    result = Count()
    _Weights(model, result)
    stored = {tensor.name for tensor in model.graph.initializer}
    values: dict[str, Tensor] = {}
    rng = np.random.default_rng(seed)
    for declared in model.graph.input:
        if declared.name in inputs:
            value = _filled(inputs[declared.name], declared.type.tensor_type.elem_type, rng)
            values[declared.name] = Tensor(value.shape, str(value.dtype), value, live=True)
        elif declared.name not in stored:
            raise LookupError(f"{path.name}: no value for the input {declared.name}")
    _Run(model, result).graph(model.graph, values)
    return result


def _filled(given: Shape | np.ndarray, elem_type: int, rng: np.random.Generator) -> np.ndarray:
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    if isinstance(given, np.ndarray):
        return given.astype(dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2, given).astype(dtype)
    return rng.uniform(-1, 1, given).astype(dtype)


# ---------------------------------------------------------------------------------------------------- multiply-adds


def _conv(node: NodeProto, x: Sequence[Shape], y: Shape) -> int:
    """Every output element is the sum over one filter: w is (C_o, C_i/G, k, …)."""
    return prod(y) * prod(x[1][1:])


def _conv_transpose(node: NodeProto, x: Sequence[Shape], y: Shape) -> int:
    """Every input element meets all filters of its group: w is (C_i, C_o/G, k, …)."""
    return prod(x[0]) * prod(x[1][1:])


def _matmul(node: NodeProto, x: Sequence[Shape], y: Shape) -> int:
    """A row of the first operand, its last dimension long, for every output element."""
    return prod(y) * x[0][-1]


def _gemm(node: NodeProto, x: Sequence[Shape], y: Shape) -> int:
    return prod(y) * x[0][0 if _attributes(node).get("transA") else 1]


def _qlinear_conv(node: NodeProto, x: Sequence[Shape], y: Shape) -> int:
    """The weight is the fourth operand, after x, its scale and its zero point."""
    return prod(y) * prod(x[3][1:])


# name of the operator -> macs of (node, shapes of its inputs, shape of its first output)
PRODUCTS: dict[str, Callable[[NodeProto, Sequence[Shape], Shape], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": _qlinear_conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Gemm": _gemm,
}
# W is (directions, gates·H, C_i) and R (directions, gates·H, H); the quantised ones are transposed
RECURRENT = frozenset(("LSTM", "GRU", "RNN", "com.microsoft.DynamicQuantizeLSTM"))
# No sums of products in these, whatever else they compute.
_OTHERS = """
    Abs Add ArgMax AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape DequantizeLinear Div
    Dropout DynamicQuantizeLinear Equal Exp Expand Flatten Floor Gather GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual HardSigmoid HardSwish Identity LRN LayerNormalization LeakyRelu Less Log LogSoftmax Max MaxPool
    Min Mul Neg Not Pad Pow QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape
    Resize ScatterND Shape Sigmoid Size Slice Softmax Split Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze Where
    ai.onnx.ml.Scaler ai.onnx.ml.TreeEnsembleClassifier
"""
OTHERS = frozenset(_OTHERS.split())
CONTROL = frozenset(("If", "Loop", "Scan"))


def macs(node: NodeProto, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor | None]) -> int:
    """Multiply-adds of sums of products in one execution of a node."""
    name = operator(node)
    if name in RECURRENT:
        x, w, r = (_there(tensor) for tensor in inputs[:3])
        batch_first = _attributes(node).get("layout", 0)
        sequences = x.shape[0] if batch_first else x.shape[1]
        steps = x.shape[0] * x.shape[1]
        lengths = inputs[4] if len(inputs) > 4 else None
        if lengths is not None:
            assert lengths.value is not None
            assert lengths.shape == (sequences,)
            steps = int(lengths.value.sum())
        return steps * (prod(w.shape) + prod(r.shape))
    if name in PRODUCTS:
        shapes = [() if tensor is None else tensor.shape for tensor in inputs]
        return PRODUCTS[name](node, shapes, _there(outputs[0]).shape)
    if name in OTHERS:
        return 0
    raise LookupError(f"{name} ({node.name}) is in no table of the oracle")


def _there(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def operator(node: NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


# -------------------------------------------------------------------------------------------------------- execution


class _Run:
    """Executes a graph in pieces: what stands between two control-flow nodes goes to ONNX Runtime as one model."""

    def __init__(self, model: ModelProto, result: Count) -> None:
        self.model = model
        self.result = result

    def graph(self, graph: GraphProto, values: dict[str, Tensor], times: int = 1) -> list[Tensor]:
        """Run all nodes; ``values`` holds what is known around the graph, and is added to."""
        for tensor in graph.initializer:
            if tensor.name not in values:  # an input given by the caller goes before its default
                array = onnx.numpy_helper.to_array(tensor)
                values[tensor.name] = Tensor(array.shape, str(array.dtype), array, live=False)
        piece: list[NodeProto] = []
        for place, node in enumerate(graph.node):
            if node.op_type not in CONTROL:
                piece.append(node)
                continue
            later = _read(graph.node[place:]) | {o.name for o in graph.output}
            self._piece(piece, values, later)
            piece = []
            self._control(node, values)
        self._piece(piece, values, {o.name for o in graph.output})
        return [values[o.name] for o in graph.output]

    def _piece(self, nodes: Sequence[NodeProto], values: dict[str, Tensor], later: set[str]) -> None:
        """Execute ``nodes`` and count them; of their results the values needed ``later`` are kept."""
        if not nodes:
            return
        made = [name for node in nodes for name in node.output if name]
        lengths = {node.input[4] for node in nodes if operator(node) in RECURRENT and len(node.input) > 4}
        read = _read(nodes)
        used = [name for name in values if name in read - set(made)]
        feeds, stored = {}, []
        for name in used:
            value = values[name].value
            assert value is not None, f"{name} was not kept"
            if values[name].live:
                feeds[name] = value
            else:  # some operators want their constants as constants
                stored.append(onnx.numpy_helper.from_array(value, name))
        graph = helper.make_graph(
            list(nodes),
            "piece",
            [_declared(name, value) for name, value in feeds.items()],
            [onnx.ValueInfoProto(name=name) for name in made],
            stored,
        )
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        held = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feeds.items()}
        results = session.run_with_ort_values(made, held)
        for name, result in zip(made, results, strict=True):
            shape = tuple(result.shape()) if result.is_tensor() else ()
            keep = result.is_tensor() and (name in later or name in lengths or prod(shape) <= KEPT)
            values[name] = Tensor(shape, result.data_type(), result.numpy() if keep else None, live=False)
        for node in nodes:
            inputs = [values[name] if name else None for name in node.input]
            outputs = [values[name] if name else None for name in node.output]
            alive = any(tensor is not None and tensor.live for tensor in inputs)
            for tensor in outputs:
                if tensor is not None:
                    tensor.live = alive
            self._count(node, macs(node, inputs, outputs), alive)

    def _count(self, node: NodeProto, number: int, alive: bool) -> None:
        self.result.operators[operator(node)] += 1
        if number and alive:  # what needs no input is prepared once, not at every run
            self.result.macs[node.name or node.output[0]] += number

    def _control(self, node: NodeProto, values: dict[str, Tensor]) -> None:
        self.result.operators[operator(node)] += 1
        attributes = _attributes(node)
        if node.op_type == "If":
            condition = values[node.input[0]].value
            assert condition is not None
            branch = attributes["then_branch" if condition.item() else "else_branch"]
            outputs = self.graph(branch, dict(values))
        elif node.op_type == "Loop":
            outputs = self._loop(node, attributes["body"], values)
        else:
            raise LookupError("no file here has a Scan")
        for name, tensor in zip(node.output, outputs, strict=True):
            values[name] = tensor

    def _loop(self, node: NodeProto, body: GraphProto, values: dict[str, Tensor]) -> list[Tensor]:
        limit = values[node.input[0]].value if node.input[0] else None
        going = values[node.input[1]].value if node.input[1] else None
        state = [values[name] for name in node.input[2:]]
        scanned: list[list[np.ndarray]] = []
        trip = 0
        while (limit is None or trip < limit.item()) and (going is None or going.item()):
            number = Tensor((), "int64", np.array(trip), live=True)
            again = Tensor((), "bool", np.array(True), live=True)
            inner = dict(values)
            inner.update(zip((i.name for i in body.input), [number, again, *state], strict=True))
            outputs = self.graph(body, inner)
            going = outputs[0].value
            state = outputs[1 : 1 + len(state)]
            scanned.append([_there(t).value for t in outputs[1 + len(state) :]])  # type: ignore[misc]
            trip += 1
        stacks = [np.stack(slices) for slices in zip(*scanned, strict=True)]
        return [*state, *(Tensor(s.shape, str(s.dtype), s, live=True) for s in stacks)]


def _declared(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _read(nodes: Iterable[NodeProto]) -> set[str]:
    """Every name that the nodes, or the graphs inside them, read."""
    found: set[str] = set()
    for node in nodes:
        found.update(name for name in node.input if name)
        for graph in _subgraphs(node):
            found |= _read(graph.node) | {o.name for o in graph.output}
    return found


def _subgraphs(node: NodeProto) -> list[GraphProto]:
    single = [a.g for a in node.attribute if a.type == AttributeProto.GRAPH]
    return single + [g for a in node.attribute if a.type == AttributeProto.GRAPHS for g in a.graphs]


# ---------------------------------------------------------------------------------------------------------- weights

FLOATS = frozenset((TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE))
# (operator, place of an input): running statistics; scales and zero points; weights kept as integers
STATISTICS = frozenset((("BatchNormalization", 3), ("BatchNormalization", 4)))
SCALES = frozenset(
    [(op, place) for op in ("QuantizeLinear", "DequantizeLinear") for place in (1, 2)]
    + [("QLinearConv", place) for place in (1, 2, 4, 5, 6, 7)]
    + [(op, place) for op in ("ConvInteger", "MatMulInteger") for place in (2, 3)]
    + [("com.microsoft.DynamicQuantizeLSTM", place) for place in (8, 9, 10, 11)]
    + [("Resize", 1), ("Resize", 2)]  # region and scales: how, not what
)
INTEGER_WEIGHTS = frozenset(
    (
        ("DequantizeLinear", 0),
        ("ConvInteger", 1),
        ("MatMulInteger", 1),
        ("QLinearConv", 3),
        ("QLinearConv", 8),
        ("com.microsoft.DynamicQuantizeLSTM", 1),
        ("com.microsoft.DynamicQuantizeLSTM", 2),
    )
)


# An integer table whose rows are picked first and made real afterwards is a weight all the same.
MOVES = frozenset((op, 0) for op in ("Gather", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))


class _Weights:
    """Sorts every stored tensor, in subgraphs too, into learned weights, statistics and constants.

    Constants that a node holds are left out: they are its arguments rather than the model's data.
    """

    def __init__(self, model: ModelProto, result: Count) -> None:
        self.uses: dict[str, set[tuple[str, int]]] = {}
        self.moved: dict[str, list[str]] = {}
        self.stored: list[tuple[str, int, Shape, bool]] = []
        self.graph(model.graph)
        for name, elem_type, shape, inline in self.stored:
            kind = self.kind(elem_type, shape, self.ends(name))
            if kind != "constant" or not inline:
                result.stored[kind, shape] += 1

    def graph(self, graph: GraphProto) -> None:
        values = {tensor.name: tensor for tensor in graph.initializer}
        for tensor in graph.initializer:
            self.stored.append((tensor.name, tensor.data_type, tuple(tensor.dims), False))
        for node in graph.node:
            for number, name in enumerate(node.input):
                self.uses.setdefault(name, set()).add((operator(node), number))
                if (operator(node), number) in MOVES:
                    self.moved.setdefault(name, []).append(node.output[0])
            attributes = _attributes(node)
            if node.op_type == "Constant" and "value" in attributes:
                tensor = attributes["value"]
                self.stored.append((node.output[0], tensor.data_type, tuple(tensor.dims), True))
            elif node.op_type == "ConstantOfShape" and node.input[0] in values:  # a tensor stored without its values
                elem_type = attributes["value"].data_type if "value" in attributes else TensorProto.FLOAT
                shape = tuple(onnx.numpy_helper.to_array(values[node.input[0]]).tolist())
                self.stored.append((node.output[0], elem_type, shape, True))
            for inner in _subgraphs(node):
                self.graph(inner)

    def ends(self, name: str) -> set[tuple[str, int]]:
        """Where a tensor is used, itself or moved about."""
        found = self.uses.get(name, set()) - MOVES
        for made in self.moved.get(name, ()):
            found |= self.ends(made)
        return found

    def kind(self, elem_type: int, shape: Shape, uses: set[tuple[str, int]]) -> str:
        if uses & INTEGER_WEIGHTS and shape:
            return "parameter"
        if elem_type not in FLOATS or not shape or (uses and uses <= SCALES):
            return "constant"
        return "buffer" if uses and uses <= STATISTICS else "parameter"
