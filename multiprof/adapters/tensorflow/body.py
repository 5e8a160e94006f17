"""The nodes of a graph or of a function: who reads whom, and in which order they run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from multiprof.errors import ModelError

# Edges that go back to the beginning of a loop: control flow of TensorFlow 1.
NEXT = frozenset(("NextIteration", "RefNextIteration"))
MERGES = frozenset(("Merge", "RefMerge"))
EXITS = frozenset(("Exit", "RefExit"))
# What changes something beside its results: it runs though nobody reads its result.
_WRITES = (
    "AssignVariable", "AssignAddVariable", "AssignSubVariable", "ResourceScatter", "ResourceStridedSliceAssign",
    "ResourceApply", "ResourceSparseApply", "Assign", "Scatter", "Apply", "SparseApply",
)  # fmt: skip


class Ref(NamedTuple):
    """One tensor: the node that makes it (or the argument), the name of its output and the number under that name."""

    node: str
    output: str
    number: int


@dataclass(slots=True)
class Body:
    """A graph, or a function with ``arguments`` and ``results`` (in the order of its signature)."""

    name: str
    nodes: dict[str, Any]  # name -> NodeDef, as the file has them
    arguments: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    attrs: dict[str, str] = field(default_factory=dict)  # marks of the function that are strings
    inputs: dict[str, list[Ref]] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)  # control edges
    effects: frozenset[str] = frozenset()  # functions that write something

    def link(self, where: str) -> None:
        """Parse every node's inputs."""
        for name, node in self.nodes.items():
            refs: list[Ref] = []
            before: list[str] = []
            for text in node.input:
                if text.startswith("^"):
                    before.append(text[1:])
                else:
                    refs.append(parse(text))
            for ref in refs:
                if ref.node not in self.nodes and ref.node not in self.arguments:
                    raise ModelError(f"{where}: node {name} reads {ref.node!r}, which there is not")
            self.inputs[name] = refs
            self.before[name] = before

    def order(self, wanted: Iterable[str], where: str) -> list[str]:
        """The nodes that ``wanted`` ones need, and those that write something, in an order in which they can run.

        Among those that could run the one that stands first in the file goes first. Edges back to the beginning of a
        loop do not count; a loop's result comes after what goes back. Raises `ModelError` for any other cycle.
        """
        needed = self._needed(wanted)
        place = {name: number for number, name in enumerate(self.nodes) if name in needed}
        waiting: dict[str, int] = {}
        readers: dict[str, list[str]] = {}
        for name in place:
            sources = {source for source in self._before(name) if source in place}
            waiting[name] = len(sources)
            for source in sources:
                readers.setdefault(source, []).append(name)
        ready = [number for name, number in place.items() if not waiting[name]]
        names = list(self.nodes)
        heapq.heapify(ready)
        ordered: list[str] = []
        while ready:
            name = names[heapq.heappop(ready)]
            ordered.append(name)
            for reader in readers.get(name, ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    heapq.heappush(ready, place[reader])
        if len(ordered) < len(place):
            stuck = next(name for name in place if waiting[name])
            raise ModelError(f"{where}: node {stuck} needs its own result: the graph has a cycle")
        return ordered

    def _before(self, name: str) -> list[str]:
        refs = self.inputs[name]
        if self.nodes[name].op in MERGES:
            found = [r.node for r in refs if r.node not in self.nodes or self.nodes[r.node].op not in NEXT]
        else:
            found = [r.node for r in refs]
        if self.nodes[name].op in EXITS:
            found += self._back(refs)
        return found + self.before[name]

    def _back(self, refs: Iterable[Ref]) -> list[str]:
        """What goes back to the Merge whose Switch these are of: it makes what leaves the loop."""
        merges = [m.node for ref in refs if ref.node in self.nodes for m in self.inputs[ref.node][:1]]
        loops = [m for m in merges if m in self.nodes and self.nodes[m].op in MERGES]
        return [r.node for m in loops for r in self.inputs[m] if r.node in self.nodes and self.nodes[r.node].op in NEXT]

    def _needed(self, wanted: Iterable[str]) -> set[str]:
        """All that data edges lead to, from what is wanted and from what writes and may not be left out."""
        seen: set[str] = set()
        waiting = [name for name in wanted if name in self.nodes]
        waiting += [
            name for name in self._reached([*waiting, *self.controls]) if writes(self.nodes[name], self.effects)
        ]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(ref.node for ref in self.inputs[name] if ref.node in self.nodes)
        return seen

    def _reached(self, wanted: Iterable[str]) -> list[str]:
        """All that data or control edges lead to."""
        seen: dict[str, None] = {}
        waiting = [name for name in wanted if name in self.nodes]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen[name] = None
                waiting.extend(ref.node for ref in self.inputs[name] if ref.node in self.nodes)
                waiting.extend(source for source in self.before[name] if source in self.nodes)
        return list(seen)


def writes(node: Any, effects: frozenset[str]) -> bool:
    """Whether a node writes to a variable, itself or in a function that it calls. Checks and prints do not."""
    return (node.op.startswith(_WRITES) and node.op != "Assert") or not effects.isdisjoint(called(node))


def called(node: Any) -> list[str]:
    """The functions that a node calls."""
    names = [node.op]
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            names.append(value.func.name)
        elif kind == "list" and value.list.func:
            names.extend(function.name for function in value.list.func)
    return names


def that_write(functions: Mapping[str, Any]) -> frozenset[str]:
    """The functions that write something, or call one that does."""
    found = {
        name
        for name, function in functions.items()
        if any(writes(node, frozenset()) for node in function.node_def)
    }  # fmt: skip
    callers: dict[str, list[str]] = {}
    for name, function in functions.items():
        for node in function.node_def:
            for callee in called(node):
                if callee in functions:
                    callers.setdefault(callee, []).append(name)
    waiting = list(found)
    while waiting:
        for caller in callers.get(waiting.pop(), ()):
            if caller not in found:
                found.add(caller)
                waiting.append(caller)
    return frozenset(found)


def parse(text: str) -> Ref:
    """``node``, ``node:1`` (of a graph) or ``node:output:1`` (of a function)."""
    parts = text.split(":")
    if len(parts) == 1:
        return Ref(text, "", 0)
    number = int(parts[-1]) if parts[-1].isdecimal() and len(parts[-1]) < 7 else 0
    return Ref(parts[0], parts[1] if len(parts) == 3 else "", number)


def of_graph(graph: Any, name: str) -> Body:
    """The nodes of a GraphDef."""
    body = Body(name, _by_name(graph.node, name))
    body.link(name)
    return body


def of_function(function: Any, where: str) -> Body:
    """The nodes of a FunctionDef."""
    signature = function.signature
    name = signature.name
    results = []
    for argument in signature.output_arg:
        if argument.name not in function.ret:
            raise ModelError(f"{where}: the function {name} does not make its result {argument.name}")
        results.append(function.ret[argument.name])
    attrs = {key: value.s.decode("utf-8", "replace") for key, value in function.attr.items() if value.s}
    body = Body(
        name, _by_name(function.node_def, f"{where}: function {name}"), tuple(a.name for a in signature.input_arg),
        tuple(results), tuple(function.control_ret.values()), attrs,
    )  # fmt: skip
    body.link(f"{where}: function {name}")
    return body


def _by_name(nodes: Any, where: str) -> dict[str, Any]:
    found = {node.name: node for node in nodes}
    for name, node in found.items():
        if not name.isprintable() or not node.op.isprintable():  # they stand in messages and reports
            raise ModelError(f"{where}: a node called {name[:100]!r} of the operation {node.op[:100]!r}")
    if len(found) < len(nodes):
        raise ModelError(f"{where}: two nodes have the same name")
    return found


__all__ = ["MERGES", "NEXT", "Body", "Ref", "of_function", "of_graph", "parse", "that_write", "writes"]
