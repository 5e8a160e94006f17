"""Walks the nodes of a program, function bodies in place of their calls, and writes the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import tensor_util

from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.tensorflow import fold
from multiprof.adapters.tensorflow.body import Body, Ref, of_function, parse, that_write
from multiprof.adapters.tensorflow.dtypes import dtype_name, is_quantised
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.program import Variable
from multiprof.adapters.tensorflow.scratch import Scratch, op_def
from multiprof.adapters.tensorflow.table import RULES, STRUCTURE
from multiprof.adapters.tensorflow.values import Elements, Value, shape_of
from multiprof.errors import ModelError
from multiprof.ir import BITS, BUFFER, CONSTANT, INTEGER_DTYPES, PARAMETER, Layer, Quant, TensorSpec

MAX_DEPTH = 48  # calls inside calls; each takes several of Python's own
MAX_NODES = 500_000  # nodes walked, a function's at every call of it
MAX_CALLS = 8_000  # functions that call others twice make a billion calls of thirty functions


@dataclass(slots=True)
class Frame:
    """A body as it runs: what its arguments stand for, and what its nodes have made.

    ``regions`` are those of nodes under control flow of TensorFlow 1, where they are not simply the open one.
    """

    body: Body
    prefix: str
    arguments: dict[str, list[Value]]
    made: dict[str, list[Value]] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)
    merges: Mapping[str, str] = field(default_factory=dict)  # NextIteration -> the Merge it goes back to
    carried: dict[str, Value] = field(default_factory=dict)  # Merge -> what a loop carries
    loops: Mapping[str, str] = field(default_factory=dict)  # LoopCond -> the region of its loop


# Finds the regions of a body under control flow of TensorFlow 1, and what else of it must be walked.
Prepare = Callable[["Walker", Frame, list[str]], list[str]]


class Walker:
    """One walk: the writer, the scratch graph, the functions there are, and what the variables hold."""

    def __init__(
        self, writer: GraphWriter, library: Any, leaves: frozenset[str], frozen: bool, prepare: Prepare
    ) -> None:
        self.writer = writer
        self.scratch = Scratch()
        self.leaves = leaves
        self.frozen = frozen
        self.prepare = prepare
        self.functions = {function.signature.name: function for function in library.function}
        self.effects = that_write(self.functions)
        self.known: Mapping[str, Variable] = {}  # variables by the name of their node
        self.weights: set[str] = set()
        self.state: dict[str, TensorSpec] = {}  # variable -> the tensor that it holds now
        self.biases: list[Layer] = []  # additions of a bias that may join the layer before
        self.region: str | None = None  # of the node that is being walked, where it is not the open one
        self._bodies: dict[str, Body] = {}
        self._depth = 0
        self._steps = 0
        self._calls = 0
        self._groups: dict[str, int] = {}
        self._unknown: set[str] = set()

    # -- tensors -------------------------------------------------------------------------------------------------

    def tensor(self, value: Value, where: str) -> TensorSpec:
        """The value as a tensor of the Graph: a constant that a layer reads is declared."""
        if value.spec is not None:
            return value.spec
        if value.variable:
            return self.state[value.variable]
        if value.elements is not None and value.elements.spec is not None:
            return value.elements.spec
        name = self.writer.taken(value.name or "constant")
        spec = TensorSpec(shape_of(value.flat), dtype_name(value.flat.dtype), name)
        if is_quantised(value.flat.dtype):
            spec.quant = Quant((), ())
        self.writer.declare(spec, None if self.frozen and spec.dtype in BITS else CONSTANT, source=value.name)
        self.weights.add(name)
        value.spec = spec
        return spec

    def is_weight(self, value: Value) -> bool:
        if value.spec is not None:
            return value.spec.name in self.weights
        if value.variable:
            return self.state[value.variable].name in self.weights
        return value.elements is None

    def declare(self, variable: Variable) -> Value:
        """A variable of the model, and its handle."""
        name = self.writer.taken(variable.name)
        spec = TensorSpec((None,) if variable.shape is None else variable.shape, variable.dtype, name)
        if variable.trainable or (variable.trainable is None and spec.rank and spec.dtype not in INTEGER_DTYPES):
            kind = PARAMETER
        else:
            kind = CONSTANT if _is_seed(variable.name) or spec.dtype not in BITS else BUFFER
        self.writer.declare(spec, kind, source=variable.source or variable.name, trainable=variable.trainable)
        self.weights.add(name)
        self.state[name] = spec
        return Value(lambda: self.scratch.variable(variable.dtype, variable.shape), variable=name)

    # -- layers --------------------------------------------------------------------------------------------------

    def emit(
        self,
        node: Node,
        op: str,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        attrs: Mapping[str, Any] | None,
        name: str,
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        layer = self.writer.layer(
            name, op, inputs, outputs, attrs, scope=node.scope, source=node.op, aliases=aliases
        )  # fmt: skip
        if self.region is not None:
            layer.region = self.region
        if inputs and all(spec.name in self.weights for spec in inputs.values()):
            self.weights.update(spec.name for spec in outputs.values())
        return layer

    def group(self, name: str) -> str:
        """A name for a choice between branches that no other choice has."""
        number = self._groups[name] = self._groups.get(name, 0) + 1
        return name if number == 1 else f"{name}_{number - 1}"

    # -- bodies --------------------------------------------------------------------------------------------------

    def function(self, name: str, where: str) -> Body:
        """A function of the program, its nodes linked."""
        known = self._bodies.get(name)
        if known is None:
            if name not in self.functions:
                raise ModelError(f"{where} calls the function {name!r}, which there is not")
            known = self._bodies[name] = of_function(self.functions[name], self.writer.name)
            known.effects = self.effects
        return known

    def call(
        self,
        body: Body,
        prefix: str,
        arguments: Sequence[Value],
        where: str,
        made: dict[str, Mapping[str, list[Value]]] | None = None,
    ) -> list[Value]:
        """Walk a function with these arguments; returns what its results stand for, ``made`` gets what its nodes do."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ModelError(f"{self.writer.name} calls functions more than {MAX_CALLS} times: no network does")
        signature = self.functions[body.name].signature
        given: dict[str, list[Value]] = {}
        rest = list(arguments)
        for argument in signature.input_arg:
            count = _count(argument, self.functions[body.name].attr)
            given[argument.name], rest = rest[:count], rest[count:]
            if len(given[argument.name]) < count:
                raise ModelError(f"{where} gives the function {body.name} too few arguments")
        frame = Frame(body, prefix, given)
        refs = [parse(text) for text in body.results]
        self.run(frame, [ref.node for ref in refs])
        if made is not None:
            made[body.name] = frame.made
        return [self.read(frame, ref) for ref in refs]

    def run(self, frame: Frame, wanted: Sequence[str]) -> None:
        """Walk the nodes that ``wanted`` ones need."""
        if self._depth >= MAX_DEPTH:
            raise ModelError(f"{self.writer.name}: calls are nested more than {MAX_DEPTH} deep")
        self._depth += 1
        outer = self.region
        try:
            for name in frame.body.order(self.prepare(self, frame, list(wanted)), self.writer.name):
                self._steps += 1
                if self._steps > MAX_NODES:
                    raise ModelError(f"{self.writer.name} has more than {MAX_NODES} nodes: no network is that large")
                self.region = frame.regions.get(name, outer)
                if name not in frame.made:
                    self._node(frame, name)
        finally:
            self.region = outer
            self._depth -= 1

    def read(self, frame: Frame, ref: Ref) -> Value:
        """What a reference stands for."""
        values = frame.arguments.get(ref.node)
        number = ref.number
        if values is None:
            values = frame.made.get(ref.node)
            if values is None:
                raise ModelError(f"{self.writer.name}: {ref.node!r} is read before it is made")
            if ref.output:
                number += self._offset(frame.body.nodes[ref.node], ref.output)
        if number >= len(values):
            raise ModelError(f"{self.writer.name}: {ref.node!r} has no result number {number}")
        return values[number]

    def path(self, frame: Frame, name: str) -> str:
        """The full name of a node; the bodies of loops and branches repeat the name of what they stand in."""
        prefix = frame.prefix
        return name if not prefix or name == prefix or name.startswith(prefix + "/") else f"{prefix}/{name}"

    def _node(self, frame: Frame, name: str) -> None:
        proto = frame.body.nodes[name]
        path = self.path(frame, name)
        special = STRUCTURE.get(proto.op)
        if special is None and proto.op in self.functions:
            special = STRUCTURE["PartitionedCall"]
        if special is not None and f"tensorflow.{proto.op}" not in self.leaves:
            node = Node(self, proto, path, [])
            frame.made[name] = list(special(self, frame, node))
            return
        node = Node(self, proto, path, [self.read(frame, ref) for ref in frame.body.inputs[name]])
        frame.made[name] = self._operation(frame, node)

    def _operation(self, frame: Frame, node: Node) -> list[Value]:
        folded = fold.sizes(node)
        if folded is None and node.op in fold.FOLDERS:
            folded = self._folded(node)
        if folded is not None:
            return [Value(self.scratch.constant(array), const=array, name=node.name) for array in folded]
        if op_def(node.op) is None:
            return self._custom(frame, node)
        try:
            node.outputs = list(self.scratch.operation(node.proto, [value.flat for value in node.inputs]).outputs)
        except (ValueError, TypeError, IndexError, KeyError, AssertionError, tf.errors.OpError) as error:
            raise node.fail(short(error)) from None
        if not node.outputs:
            return []
        rule = RULES.get(node.op)
        if rule is None or f"tensorflow.{node.op}" in self.leaves or rule(node) is NotImplemented:
            node.bound.clear()
            node.foreign()
        for number, flat in enumerate(node.outputs):
            if number not in node.bound:  # nothing that a layer makes
                node.bound[number] = Value(flat, name=node.name)
        return [node.bound[number] for number in range(len(node.outputs))]

    def _folded(self, node: Node) -> list[Any] | None:
        operands = []
        for value in node.inputs:
            if value.const is None or (value.const.size > 1 and value.const.dtype.kind not in "iub"):
                return None
            operands.append(value.const)
        return fold.fold(node, operands) if operands else None

    def _custom(self, frame: Frame, node: Node) -> list[Value]:
        """An operation that TensorFlow does not know: its results have the shapes that the file says, if any."""
        said = node.proto.attr["_output_shapes"].list.shape if "_output_shapes" in node.proto.attr else []
        read = {
            ref.number
            for refs in frame.body.inputs.values()
            for ref in refs
            if ref.node == node.proto.name
        }  # fmt: skip
        dtype = node.attr("T") or node.attr("dtype") or "float32"
        for number in range(max([*read, len(said) - 1, 0]) + 1):
            shape = said[number] if number < len(said) and not said[number].unknown_rank else None
            node.outputs.append(self.scratch.placeholder(dtype, shape and tf.TensorShape(shape)))
        if node.op not in self._unknown:
            self._unknown.add(node.op)
            self.writer.warnings.append(
                f"{node.op} is no operation of TensorFlow: what it makes, and costs, is unknown"
            )
        node.foreign()
        return [node.bound[number] for number in range(len(node.outputs))]

    def _offset(self, proto: Any, output: str) -> int:
        """Where the results of that name begin among all results of a node."""
        if proto.op in self.functions:
            arguments = self.functions[proto.op].signature.output_arg
        else:
            definition = op_def(proto.op)
            if definition is None:
                return 0
            arguments = definition.output_arg
        start = 0
        for argument in arguments:
            if argument.name == output:
                return start
            start += _count(argument, proto.attr)
        raise ModelError(f"{self.writer.name}: node {proto.name} ({proto.op}) has no result {output!r}")

    # -- regions -------------------------------------------------------------------------------------------------

    @contextmanager
    def inside(self, id: str, kind: str, trips: int | None = 1, **more: Any) -> Iterator[str]:
        """Everything written inside stands in a new region, itself in the one of the node that is being walked."""
        outer, self.region = self.region, None
        with self.writer.region(id, kind, trips, **more) as region:
            if outer is not None:
                region.parent = outer
            try:
                yield region.id
            finally:
                self.region = outer

    def constant(self, node: Node) -> Value:
        """A Const node: its contents are looked at only where they are few."""
        tensor = node.proto.attr["value"].tensor
        dims = [d.size for d in tensor.tensor_shape.dim]
        size = prod(dims) if all(d >= 0 for d in dims) else 0
        dtype = tf.as_dtype(tensor.dtype or node.proto.attr["dtype"].type)
        small = size <= (fold.MAX_ELEMENTS if dtype.is_integer or dtype.is_bool else 1)
        if small and dtype not in (tf.string, tf.variant, tf.resource):
            try:
                array = tensor_util.MakeNdarray(tensor)
                return Value(self.scratch.constant(array, dtype), const=array, name=node.name)
            except (ValueError, TypeError) as error:
                raise node.fail(short(error)) from None
        return Value(self.scratch.placeholder(dtype, dims), name=node.name)

    def elements(self, node: Node, flat: Any, made: Elements) -> Value:
        """A list of tensors; its own tensor is made where there is none yet."""
        return Value(flat, elements=made, name=node.name)


def _is_seed(name: str) -> bool:
    """Whether a variable is the state of a generator of random numbers: Keras's, or TensorFlow's."""
    return name.rpartition("/")[2].startswith(("seed_generator_state", "StateVar"))


def _count(argument: Any, attrs: Any) -> int:
    """How many tensors an argument of an operation stands for."""
    if argument.number_attr:
        return int(attrs[argument.number_attr].i)
    if argument.type_list_attr:
        return len(attrs[argument.type_list_attr].list.type)
    return 1


def short(error: Exception) -> str:
    """TensorFlow's message without the part that repeats the whole operation."""
    text = str(getattr(error, "message", None) or error).split(" for '{{node")[0]
    return " ".join(text.split())[:300] or "its operands are not those that it takes"


__all__ = ["MAX_DEPTH", "Frame", "Walker", "short"]
