"""Through the nodes in order: from what is known of the operands, the layers and what is known of the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import FunctionProto, GraphProto, NodeProto

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.onnx import constants, control, evaluate, functions, sequences
from multiprof.adapters.onnx import partial as part
from multiprof.adapters.onnx.attributes import decode, plain
from multiprof.adapters.onnx.call import Call, Deferred
from multiprof.adapters.onnx.corrections import correct
from multiprof.adapters.onnx.frame import Frame, in_order, initial_states
from multiprof.adapters.onnx.infer import infer
from multiprof.adapters.onnx.late import LateWriter
from multiprof.adapters.onnx.node import Node, Tensor
from multiprof.adapters.onnx.rules._table import table
from multiprof.adapters.onnx.scopes import joined, node_name, node_scope
from multiprof.adapters.onnx.source import Array, Source
from multiprof.adapters.onnx.types import UNRANKED, Type, Value, from_proto
from multiprof.adapters.onnx.types import Sequence as SequenceValue
from multiprof.adapters.onnx.wire import MAX_NODES
from multiprof.errors import ModelError, MultiprofError
from multiprof.ir import BITS, CONSTANT, STRING, TensorSpec

MAX_KNOWN = 8_000_000  # elements of all known contents together
STANDARD = ("", "ai.onnx")
# Operators whose result depends on shapes alone.
SHAPES = frozenset(("Shape", "Size"))
# Operators whose first output may be left out.
MULTIPLE = frozenset(
    ("GRU", "If", "LSTM", "Loop", "MaxPool", "RNN", "Scan", "Split", "TopK", "Unique", "SequenceMap", "Attention")
)
# Operators whose result holds elements of the first operand; the others say which.
MOVES = frozenset(
    (
        "Cast",
        "Expand",
        "Gather",
        "GatherND",
        "Reshape",
        "ScatterND",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "TopK",
        "Transpose",
        "Unsqueeze",
    )
)
FACTORS = 16  # numbers that may be a scale of sizes; more than these are a weight
# Operators whose result may be much larger than their operands.
GROWING = frozenset(("ConstantOfShape", "Expand", "Range", "Tile"))
# Types in which shape arithmetic is done. Small integers are weights or images.
COUNTING = frozenset(("int64", "int32", "bool"))


class Walker(LateWriter):
    """Writes the layers of a graph. `writer` collects them; `source` has the contents of small tensors."""

    def __init__(
        self, source: Source, writer: GraphWriter, leaves: frozenset[str], sizes: Mapping[str, int],
        trips: Mapping[str, int],
    ) -> None:  # fmt: skip
        self.source = source
        super().__init__(writer)
        self.leaves = leaves
        self.sizes = sizes
        self.trips = trips
        self.ir_version = source.model.ir_version
        self.functions: dict[tuple[str, str, str], FunctionProto] = {
            (f.domain, f.name, f.overload): f for f in source.model.functions
        }
        self.visits = 0
        self.known = 0
        self.table = table()

    # ------------------------------------------------------------------------------------------------ graphs
    def graph(self, graph: GraphProto, frame: Frame) -> list[Value]:
        """Walk a graph whose inputs stand in the frame already; the values of its outputs."""
        where = f"{self.source.name}: {frame.path or 'the graph'}"
        for tensor in graph.initializer:
            constants.dense(self, tensor, frame)
        for sparse in graph.sparse_initializer:
            constants.sparse(self, sparse, frame)
        for info in (*graph.value_info, *graph.output):
            frame.declared[info.name] = info.type
        frame.states = initial_states(graph)
        self.nodes(graph.node, frame, where)
        return [self.value(output.name, frame, f"{where}: the output") for output in graph.output]

    def nodes(self, nodes: Sequence[NodeProto], frame: Frame, where: str) -> None:
        for node in in_order(nodes, where):
            self.visits += 1
            if self.visits > MAX_NODES:
                raise ModelError(f"{where} comes to more than {MAX_NODES} nodes when functions are expanded")
            try:
                self.node(node, frame)
            except MultiprofError:
                raise
            except RecursionError:
                raise ModelError(f"{where}: node {node_name(node)!r} is nested too deep") from None
            except Exception as error:
                what = f"node {node_name(node)!r} ({node.op_type}) cannot be read: {type(error).__name__}: {error}"
                raise ModelError(f"{where}: {what}") from error

    def value(self, name: str, frame: Frame, what: str) -> Value:
        found = frame.find(name)
        if found is None:
            raise ModelError(
                f"{what} reads the tensor {name!r}, which is no input, no initializer, and no node makes it"
            )
        return found

    # ------------------------------------------------------------------------------------------------- nodes
    def node(self, proto: NodeProto, frame: Frame) -> None:
        """One node: shape arithmetic, control flow, a function, a rule, or a foreign layer."""
        op_type, outputs, domain = proto.op_type, tuple(proto.output), proto.domain
        if not (type(op_type) is type(domain) is type(proto.name) is str and all(type(o) is str for o in outputs)):
            raise ModelError(f"{self.source.name}: the node {proto.name!r} ({op_type!r}) has a name that is no text")
        name = frame.path + node_name(proto).lstrip("/") if frame.path else node_name(proto)
        where = f"{self.source.name}: node {name!r} ({op_type})"
        inputs = tuple([self.value(i, frame, where) if i else None for i in proto.input])
        for value in inputs:
            if isinstance(value, Tensor) and value.weight:
                self.looked_up.add(value.spec.name)
        if not op_type:
            raise ModelError(f"{self.source.name}: the node {name!r} has no operator")
        if domain in STANDARD:
            domain = ""
            if not (outputs and outputs[0]) and op_type not in MULTIPLE:
                raise ModelError(f"{where} makes nothing: it has no first output")
        attrs = decode(proto, self.source, frame.given, where) if proto.attribute else {}
        version = frame.opsets.get(domain, 1)
        call = Call(proto, op_type, outputs, name, where, domain, frame, inputs, attrs, version)
        if not domain:
            if op_type == "Constant":
                constants.node(self, call)
                return
            if self.arithmetic(call):
                return
            special = control.OPERATORS.get(op_type) or sequences.OPERATORS.get(op_type)
            if special is not None and special(self, call) is not NotImplemented:
                return
        if self.functions:
            function = self.functions.get((proto.domain, op_type, proto.overload))
            if function is not None and call.foreign_name not in self.leaves:
                functions.call(self, call, function)
                return
        self.translate(call)

    def translate(self, call: Call) -> None:
        """The layers of a node by its rule; without one by the operator's own body, or as a foreign layer."""
        key = (call.domain, call.op_type)
        claimed = bool(self.leaves) and call.foreign_name in self.leaves
        rule = None if claimed else self.table.rules.get(key)
        tensors = all(value is None or isinstance(value, Tensor) for value in call.inputs)
        if rule is None and not claimed and functions.expand(self, call):
            return
        types = self.types(call)
        specs = tuple(self.output(call, number, types) for number in range(len(call.outputs)))
        start = len(self.writer.layers)
        if rule is None or not tensors or not self.apply(rule, call, specs, start):
            self.foreign(call, specs)
        self.adopt(start)
        weight = bool(call.inputs) and all(isinstance(v, Tensor) and v.weight for v in call.inputs if v is not None)
        for number, output in enumerate(call.outputs):
            spec = specs[number]
            if spec is None:
                continue
            found = types.get(output)
            if found is not None and found.kind in ("sequence", "optional"):
                call.frame.values[output] = SequenceValue(spec, None, found.item, found.kind == "optional")
            else:
                ranked = found is not None and found.shape is not None
                made = Tensor(spec, None, weight, ranked=ranked or spec.shape != UNRANKED)
                made.guessed = found is None or not found.dtype
                call.frame.values[output] = made

    def apply(self, rule: Callable[[Node], Any], call: Call, specs: tuple[TensorSpec | None, ...], start: int) -> bool:
        """Let a rule write its layers; False where it declines, or where it needs shapes that are not known."""
        node = self.seen(call, specs)
        try:
            if rule(node) is not NotImplemented:
                return True
        except Exception:
            operands = [value for value in call.inputs if isinstance(value, Tensor)]
            if all(t.ranked and None not in t.shape for t in (*operands, *(Tensor(s) for s in specs if s is not None))):
                raise
        del self.writer.layers[start:]
        return False

    def seen(self, call: Call, specs: tuple[TensorSpec | None, ...]) -> Node:
        """The node as rules see it."""
        frame = call.frame
        inputs = tuple(value if isinstance(value, Tensor) else None for value in call.inputs)
        scope = joined(frame.scope, node_scope(call.proto))
        version = call.version
        return Node(
            call.name, call.op_type, call.domain, version, scope, inputs, specs, call.attrs, self.writer
        )  # fmt: skip

    def foreign(self, call: Call, specs: Sequence[TensorSpec | None]) -> None:
        """A layer of an operator nobody here knows, with all its operands."""
        inputs: dict[str, TensorSpec] = {}
        for value in call.inputs:
            for tensor in _parts(value):
                inputs[f"x{len(inputs)}"] = tensor.spec
        outputs = {f"y{number}": spec for number, spec in enumerate(specs) if spec is not None}
        scope = joined(call.frame.scope, node_scope(call.proto))
        self.writer.layer(
            call.name, call.foreign_name, inputs, outputs, plain(call.attrs), scope=scope, source=call.source
        )

    # ------------------------------------------------------------------------------------------------ shapes
    def types(self, call: Call) -> dict[str, Type]:
        """What is known of the outputs: inferred, and where that leaves a gap, as the file declares it."""
        rule = self.table.infer.get((call.domain, call.op_type))
        found: dict[str, Type]
        if rule is not None:
            made = rule(self.seen(call, tuple(None for _ in call.outputs)))
            found = {
                name: Type("tensor", pair[1], tuple(pair[0]))
                for name, pair in zip(call.outputs, made, strict=False)
                if name and pair is not None
            }
        else:
            found = infer(
                functions.resolved(call.proto, call.frame.given), call.inputs, call.version, call.frame.opsets,
                self.ir_version, call.where,
            )  # fmt: skip
        part.refined(call, found)
        correct(call, found)
        for output in call.outputs:
            inferred = found.get(output)
            if output and (inferred is None or not inferred.kind or inferred.shape is None or None in inferred.shape):
                found[output] = self.completed(inferred, output, call)
        return found

    def completed(self, inferred: Type | None, output: str, call: Call) -> Type:
        """An inferred type with the gaps filled from the declared one, whose free axes may have got their sizes."""
        stated = call.frame.declared.get(output)
        if stated is None:
            return inferred or Type("")
        declared = from_proto(stated, f"{call.where}: the output {output!r}")
        if inferred is None or not inferred.kind:
            return Type(declared.kind, declared.dtype, self.sized(declared), item=declared.item)
        if inferred.kind != "tensor" or declared.kind != "tensor" or declared.shape is None:
            return inferred
        shape = self.sized(declared)
        if inferred.shape is None:
            return Type("tensor", inferred.dtype or declared.dtype, shape)
        if shape is None or len(shape) != len(inferred.shape):
            return inferred
        merged = tuple(b if a is None else a for a, b in zip(inferred.shape, shape, strict=True))
        return Type("tensor", inferred.dtype, merged)

    def sized(self, declared: Type) -> tuple[int | None, ...] | None:
        if declared.shape is None:
            return None
        names = declared.names or ("",) * len(declared.shape)
        return tuple(
            self.sizes.get(name) if size is None else size for size, name in zip(declared.shape, names, strict=True)
        )

    def output(self, call: Call, number: int, types: Mapping[str, Type]) -> TensorSpec | None:
        """The spec of an output under its name in the result; ``None`` for one that is left out."""
        output = call.outputs[number]
        if not output:
            return None
        found = types.get(output, Type(""))
        dtype = found.dtype if found.dtype in BITS or found.dtype == STRING else ""
        if found.kind not in ("", "tensor") or not dtype:
            shape = found.shape if found.shape is not None and found.kind == "tensor" else UNRANKED
            return TensorSpec(shape, dtype or self.guess(call), self.named(output, call.frame))
        shape = UNRANKED if found.shape is None else found.shape
        for size in shape:
            if size is not None and size < 0:
                raise ModelError(f"{call.where}: its output {output!r} would have the shape {shape}")
        return TensorSpec(shape, dtype, self.named(output, call.frame))

    def guess(self, call: Call) -> str:
        """The type of an output of which nothing is known: that of the first operand."""
        for value in call.inputs:
            if isinstance(value, Tensor) and value.spec.dtype:
                return value.spec.dtype
        return "float32"

    def named(self, name: str, frame: Frame) -> str:
        """The name of a tensor in the result: its own in the main graph, a unique one elsewhere."""
        settled = frame.names.get(name)
        if settled is not None:
            return settled
        made = name if frame.own else self.writer.taken(frame.path + name)
        frame.names[name] = made
        return made

    # ------------------------------------------------------------------------------------- shape arithmetic
    def arithmetic(self, call: Call) -> bool:
        """Compute the contents of the outputs where all operands' are known; True when that makes a layer needless.

        What is computed from shapes, and integers computed from integers, is no layer of the network. Numbers computed
        from weights stay layers, which a pass calls prepared; their contents go on beside.
        """
        op_type = call.op_type
        if op_type in SHAPES:
            return constants.measured(self, call)
        if op_type not in evaluate.EVALUATORS:
            return False
        operands: list[Array | None] = []
        partial = False
        for value in call.inputs:
            if value is None:
                operands.append(None)
            elif not isinstance(value, Tensor):
                return False
            elif value.weight:
                contents = value.value
                if contents is None:
                    return False
                operands.append(contents)
            elif value.partial is not None:
                partial = True
            else:
                return False
        if partial:
            contents = part.evaluated(call)
            return contents is not None and self.partly(call, contents)
        attrs = call.attrs
        if op_type == "Split" and "num_outputs" not in attrs:
            attrs = {**attrs, "num_outputs": len(call.outputs)}
        made = evaluate.evaluate(op_type, operands, attrs, call.version)
        if op_type == "ConstantOfShape":
            return constants.filled(self, call, made[0] if made else None, _from_shapes(call))
        if made is None or len(made) < len([o for o in call.outputs if o]):
            return False
        self.known += sum(one.size for one in made)
        shaped = _from_shapes(call)
        if made[0].dtype.name not in COUNTING and not shaped:
            self.translate(call)
            for output, contents in zip(call.outputs, made, strict=False):
                value = call.frame.values.get(output) if output else None
                if isinstance(value, Tensor) and value.shape == contents.shape and value.dtype == contents.dtype.name:
                    value.value = contents
            return True
        for output, contents in zip(call.outputs, made, strict=False):
            if output:
                self.constant(output, contents, call, shaped)
        return True

    def constant(self, output: str, contents: Array, call: Call, shaped: bool) -> Tensor:
        """A tensor whose contents are known and which no layer makes; it is declared once a layer reads it."""
        spec = TensorSpec(contents.shape, contents.dtype.name, self.named(output, call.frame))
        self.deferred[spec.name] = Deferred(spec, CONSTANT, call.name, region=self.writer.open_region)
        tensor = Tensor(spec, contents, True, shaped)
        call.frame.values[output] = tensor
        return tensor

    def partly(self, call: Call, contents: Array) -> bool:
        """A result of which some elements are known; its layer is written once a layer reads it."""
        output = call.outputs[0]
        if all(size is not None for size in contents.ravel()):
            try:
                self.constant(output, contents.astype(np.int64), call, True)
            except OverflowError:
                return False
            return True
        x = call.tensor(0)
        dtype = "int64" if x is None or call.op_type in ("Shape", "Cast") else x.dtype
        tensor = constants.defer(
            self, call, TensorSpec(contents.shape, dtype, self.named(output, call.frame)), learned=False
        )
        tensor.partial = contents
        return True


def _from_shapes(call: Call) -> bool:
    """Whether a result comes from the shapes of tensors, and from nothing in the file but a few factors beside."""
    tensors = [value for value in call.inputs if isinstance(value, Tensor)]
    if call.op_type in MOVES:
        return bool(tensors) and tensors[0].shaped
    return any(t.shaped for t in tensors) and all(
        t.shaped or t.dtype in COUNTING or (t.value is not None and t.value.size <= FACTORS) for t in tensors
    )


def _parts(value: Value | None) -> Sequence[Tensor | SequenceValue]:
    """The tensors a foreign layer reads: of a sequence its items, or the sequence itself where they are not known."""
    if value is None:
        return ()
    return (value,) if isinstance(value, Tensor) or value.items is None else value.items


__all__ = ["Walker"]
