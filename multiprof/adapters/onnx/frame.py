"""Where names mean something: one graph, subgraph or function body, with what encloses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import AttributeProto, GraphProto, NodeProto, TypeProto

from multiprof.adapters.onnx.types import Value
from multiprof.errors import ModelError

MAX_DEPTH = 24  # of subgraphs and function calls inside one another


@dataclass(slots=True)
class Frame:
    """One graph being walked. ``names`` are tensors whose name in the result is already settled.

    ``given`` are the attributes of the function call, ``calls`` the functions being expanded, ``path`` begins the
    names of layers inside, ``scope`` is the module path around. ``declared`` are the types the file states.
    """

    opsets: Mapping[str, int]
    outer: Frame | None = None
    values: dict[str, Value] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    given: Mapping[str, AttributeProto] = field(default_factory=dict)
    calls: tuple[Any, ...] = ()
    path: str = ""
    scope: str = ""
    depth: int = 0
    declared: dict[str, TypeProto] = field(default_factory=dict)
    own: bool = False  # the main graph, whose tensors keep their names
    states: frozenset[str] = frozenset()  # names read as what a recurrent layer or a loop begins with

    def find(self, name: str) -> Value | None:
        """The value of a name here or in what encloses this graph."""
        frame: Frame | None = self
        while frame is not None:
            found = frame.values.get(name)
            if found is not None:
                return found
            frame = frame.outer
        return None

    def inside(self, **changes: Any) -> Frame:
        """A frame for a subgraph of this one."""
        if self.depth >= MAX_DEPTH:
            raise ModelError(
                f"graphs and functions are nested more than {MAX_DEPTH} deep, in {self.path or 'the graph'}"
            )
        made = Frame(self.opsets, self, given=self.given, calls=self.calls, path=self.path, scope=self.scope)
        made.depth = self.depth + 1
        for key, value in changes.items():
            setattr(made, key, value)
        return made


# Operator -> where the operands begin that it starts from.
_STATES = {"LSTM": 5, "GRU": 5, "RNN": 5, "Loop": 2, "Scan": 0, "Expand": 0}


def initial_states(graph: GraphProto) -> frozenset[str]:
    """The names that recurrent layers and loops begin with, or that are spread out to begin with."""
    return frozenset(
        name for node in graph.node if node.op_type in _STATES for name in node.input[_STATES[node.op_type] :]
    )


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The graphs in a node's attributes."""
    found: list[GraphProto] = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found.extend(attribute.graphs)
    return found


def read_names(node: NodeProto) -> list[str]:
    """Every name the node reads, what its subgraphs read of the graphs around them included."""
    names = [name for name in node.input if name]
    waiting = [(graph, frozenset[str]()) for graph in subgraphs(node)]
    while waiting:
        graph, around = waiting.pop()
        inside = around.union(
            (info.name for info in graph.input),
            (tensor.name for tensor in graph.initializer),
            (name for inner in graph.node for name in inner.output),
        )
        names.extend(output.name for output in graph.output if output.name not in inside)
        for inner in graph.node:
            names.extend(name for name in inner.input if name and name not in inside)
            waiting.extend((deeper, inside) for deeper in subgraphs(inner))
    return names


def in_order(nodes: Sequence[NodeProto], where: str) -> Sequence[NodeProto]:
    """The nodes so that each comes after those whose outputs it reads; as they are where that holds already.

    Raises `ModelError` for a tensor that two nodes make, and for a cycle, naming one of its nodes.
    """
    makers: dict[str, int] = {}
    for number, node in enumerate(nodes):
        for name in node.output:
            if name and makers.setdefault(name, number) != number:
                raise ModelError(
                    f"{where}: two nodes make the tensor {name!r}, the second is {node.name or node.op_type!r}"
                )
    needs = []
    ordered = True
    for number, node in enumerate(nodes):
        before = [makers[name] for name in read_names(node) if name in makers]
        needs.append(before)
        if ordered and before and max(before) >= number:
            ordered = False
    if ordered:
        return nodes
    waiting = [len(set(before)) for before in needs]
    readers: dict[int, list[int]] = {}
    for number, before in enumerate(needs):
        for maker in set(before):
            readers.setdefault(maker, []).append(number)
    ready = [number for number, count in enumerate(waiting) if not count]
    ready.reverse()
    done: list[NodeProto] = []
    while ready:
        number = ready.pop()
        done.append(nodes[number])
        for reader in reversed(readers.get(number, ())):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(done) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise ModelError(f"{where}: the node {stuck.name or stuck.op_type!r} waits for its own result: a cycle")
    return done


__all__ = ["MAX_DEPTH", "Frame", "in_order", "read_names", "subgraphs"]
