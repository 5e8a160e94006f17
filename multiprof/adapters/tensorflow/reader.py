"""Entry of the adapter: whatever the model is, it becomes a `Program`, which is walked into a Graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

import multiprof.adapters.tensorflow.control_v1 as control_v1
import multiprof.adapters.tensorflow.lists
import multiprof.adapters.tensorflow.rules
import multiprof.adapters.tensorflow.variables  # noqa: F401  # fills the table
from multiprof.adapters._common.binding import Bound, Declared, bind
from multiprof.adapters._common.writer import GraphWriter
from multiprof.adapters.tensorflow.body import of_graph, parse
from multiprof.adapters.tensorflow.files import read_file
from multiprof.adapters.tensorflow.live import read_live
from multiprof.adapters.tensorflow.merge import merge
from multiprof.adapters.tensorflow.patterns import put_together, without_views
from multiprof.adapters.tensorflow.program import Program, Variable
from multiprof.adapters.tensorflow.values import Value
from multiprof.adapters.tensorflow.walker import Frame, Walker
from multiprof.errors import ModelError
from multiprof.extensions import Trace
from multiprof.inputs import Inputs, ReadOptions
from multiprof.ir import CONSTANT, Graph, TensorSpec


def read(
    model: Any,
    inputs: Inputs | None,
    *,
    leaves: frozenset[str],
    trace: Trace,
    options: ReadOptions,
) -> Graph:
    """Read a SavedModel folder, a frozen graph, or a live function, module or graph of TensorFlow."""
    if isinstance(model, Path):
        program, given = read_file(model, options), inputs
    else:
        program, given = read_live(model, inputs, options)
    declared = [Declared(f.name, f.shape, f.dtype, optional=f.optional) for f in program.feeds]
    bound = bind(declared, given, options.dims, what=program.name)
    return _Reading(program, bound, leaves).graph()


class _Reading:
    """One program with its inputs bound."""

    def __init__(self, program: Program, bound: Bound, leaves: frozenset[str]) -> None:
        self.program = program
        self.bound = bound
        self.writer = GraphWriter(program.name, "tensorflow")
        self.writer.warnings.extend(program.warnings)
        self.walker = Walker(self.writer, program.graph.library, leaves, program.frozen, control_v1.prepare)
        self.walker.known = program.variables

    def graph(self) -> Graph:
        program, walker, writer = self.program, self.walker, self.writer
        body = of_graph(program.graph, program.name)
        body.effects = walker.effects
        frame = Frame(body, "", {})
        inputs = self._feed(frame)
        self._captured(frame)
        for variable in program.declared:
            walker.declare(variable)
        refs = {name: parse(ref) for name, ref in program.fetches.items()}
        for name, ref in refs.items():
            if ref.node not in body.nodes:
                raise ModelError(f"{program.name}: its result {name} is made by {ref.node!r}, which there is not")
        walker.run(frame, [ref.node for ref in refs.values()])
        outputs = []
        for name, ref in refs.items():
            value = walker.read(frame, ref)
            outputs.append(walker.tensor(value, f"{program.name}: result {name}"))
        writer.layers = without_views(writer, outputs)
        writer.layers = merge(writer.layers, walker.biases, outputs, walker.weights, writer.parameters)
        writer.layers = put_together(writer, outputs)
        metadata: dict[str, Any] = {
            "rung": "graph", "framework_version": tf.__version__, **program.metadata
        }  # fmt: skip
        if self.bound.dims:
            metadata["dims"] = self.bound.dims
        graph = writer.graph(inputs, outputs, **metadata)
        if program.stateful:
            self._keep_constants(graph)
        return graph

    def _feed(self, frame: Frame) -> list[TensorSpec]:
        specs = []
        for feed in self.program.feeds:
            ref = parse(feed.ref)
            spec = self.bound.inputs.get(feed.name)
            if spec is None:
                continue
            spec.name = self.writer.taken(spec.name)
            node = frame.body.nodes.get(ref.node)
            if node is None:
                raise ModelError(f"{self.program.name}: its input {feed.name} is {ref.node!r}, which there is not")
            dtype = node.attr["dtype"].type or spec.dtype
            value = Value(self.walker.scratch.placeholder(dtype, spec.shape), spec)
            frame.made.setdefault(ref.node, [])
            made = frame.made[ref.node]
            made.extend([value] * (ref.number + 1 - len(made)))
            made[ref.number] = value
            specs.append(spec)
        return specs

    def _captured(self, frame: Frame) -> None:
        """Variables and constant tensors of a live function, whether its body reads them or not."""
        seen: dict[int, Value] = {}
        for name, what in self.program.captured.items():
            if isinstance(what, Variable):
                value = seen.get(id(what)) or self.walker.declare(what)
                seen[id(what)] = value
            else:
                node = frame.body.nodes[name]
                value = Value(self.walker.scratch.placeholder(node.attr["dtype"].type, what.shape), name=what.name)
            frame.made[name] = [value]

    def _keep_constants(self, graph: Graph) -> None:
        """Beside variables, what is written into the program is no learned weight, whatever reads it."""
        variables = set(self.walker.state)
        for name, parameter in graph.parameters.items():
            if name not in variables:
                parameter.kind = CONSTANT


__all__ = ["read"]
