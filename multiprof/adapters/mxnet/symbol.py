"""A ``-symbol.json`` as a list of nodes in the order they run, whatever age the file has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multiprof.errors import ModelError

MAX_BYTES = 16 << 20  # the largest symbol files of real networks have a few megabytes
MAX_NODES = 100_000
MAX_INPUTS = 300_000  # of all nodes together
MAX_NESTING = 16  # subgraphs in subgraphs
OLD_OPS = {"argmax", "argmin"}  # before 0.9.5 an axis of −1 meant all axes
VARIABLE = "null"


@dataclass(slots=True)
class Node:
    """``inputs`` are pairs (index of a node, number of its output)."""

    op: str
    name: str
    attrs: dict[str, str]
    inputs: list[tuple[int, int]]
    subgraphs: list[Symbol] = field(default_factory=list)


@dataclass(slots=True)
class Symbol:
    """The nodes that the heads need, each after its inputs; ``version`` is MXNet's, 10901 for 1.9.1, 0 if unsaid."""

    nodes: list[Node]
    heads: list[tuple[int, int]]
    version: int = 0

    @property
    def version_text(self) -> str:
        """10901 → 1.9.1; nothing is said before 0.9."""
        if not self.version:
            return "of unknown version"
        return f"{self.version // 10000}.{self.version // 100 % 100}.{self.version % 100}"


def load(path: Path) -> Symbol:
    """Read a symbol file; raises `ModelError` naming file and place for anything that is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: {path.stat().st_size} bytes are more than any symbol file has ({MAX_BYTES})")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    return loads(data, str(path))


def loads(data: bytes | str, where: str) -> Symbol:
    """The symbol in a text of JSON; ``where`` names it in errors."""
    try:
        found = json.loads(data, parse_int=_whole)
    except RecursionError:
        raise ModelError(f"{where}: nested too deeply for a symbol file") from None
    except ValueError as error:
        raise ModelError(f"{where} is no MXNet symbol file: not JSON: {error}") from None
    return parse(found, where, [0, 0], 0)


def parse(found: Any, where: str, count: list[int], depth: int) -> Symbol:
    """The symbol in a parsed JSON object; ``count`` sums the nodes and inputs of all subgraphs."""
    rows = found.get("nodes") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not isinstance(found.get("heads"), list):
        raise ModelError(f"{where} is no MXNet symbol file: a JSON object with the lists nodes and heads is expected")
    count[0] += len(rows)
    if count[0] > MAX_NODES:
        raise ModelError(f"{where} has more than {MAX_NODES} nodes: no network is that large")
    count[1] += sum(len(row["inputs"]) for row in rows if isinstance(row, dict) and isinstance(row.get("inputs"), list))
    if count[1] > MAX_INPUTS:
        raise ModelError(f"{where}: the nodes have more than {MAX_INPUTS} inputs: no network is that large")
    version = _version(found)
    nodes = [_node(row, i, len(rows), version, where, count, depth) for i, row in enumerate(rows)]
    heads = [_entry(head, len(rows), f"{where}: head {i}") for i, head in enumerate(found["heads"])]
    if not heads:
        raise ModelError(f"{where}: the symbol has no heads, so it computes nothing")
    return _in_order(nodes, heads, version, where)


def _version(found: dict[str, Any]) -> int:
    """``"attrs": {"mxnet_version": ["int", 10901]}``."""
    attrs = found.get("attrs")
    value = attrs.get("mxnet_version") if isinstance(attrs, dict) else None
    if isinstance(value, list) and len(value) == 2:
        value = value[1]
    return value if type(value) is int and value >= 0 else 0


def _node(row: Any, index: int, total: int, version: int, where: str, count: list[int], depth: int) -> Node:
    if not isinstance(row, dict) or not isinstance(row.get("op"), str) or not isinstance(row.get("name"), str):
        raise ModelError(f"{where}: node {index} is no object with the texts op and name")
    here = f"{where}: node {index} ({row['name'][:80]})"
    # 2015: param holds the operator's attributes and attr the user's; until 0.12 attr holds both; then attrs does
    attrs: dict[str, str] = {}
    for key in ("attr", "param", "attrs"):
        part = row.get(key)
        if part is None:
            continue
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise ModelError(f"{here}: {key} is no object of texts")
        attrs.update(part)
    op = row["op"]
    if op in OLD_OPS and 0 < version < 905 and attrs.get("axis") == "-1":
        del attrs["axis"]
    inputs = row.get("inputs", [])
    if not isinstance(inputs, list):
        raise ModelError(f"{here}: inputs is no list")
    entries = [_entry(item, total, f"{here}: input {i}") for i, item in enumerate(inputs)]
    parts = row.get("subgraphs", [])
    if not isinstance(parts, list) or (parts and depth >= MAX_NESTING):
        raise ModelError(f"{here}: subgraphs is no list, or nested more than {MAX_NESTING} deep")
    subgraphs = [parse(part, f"{here}: subgraph {i}", count, depth + 1) for i, part in enumerate(parts)]
    return Node(op, row["name"], attrs, entries, subgraphs)


def _entry(item: Any, total: int, where: str) -> tuple[int, int]:
    """[node, output] or [node, output, version]."""
    if not isinstance(item, list) or len(item) not in (2, 3) or not all(type(n) is int for n in item):
        raise ModelError(f"{where} is no pair of numbers")
    node, output = item[0], item[1]
    if not 0 <= node < total or not 0 <= output < 1 << 20:
        raise ModelError(f"{where} names output {output} of node {node}; there are {total} nodes")
    return node, output


def _in_order(nodes: list[Node], heads: list[tuple[int, int]], version: int, where: str) -> Symbol:
    """Drop what no head needs and put every node after its inputs; raises `ModelError` for a cycle."""
    order: list[int] = []
    state = bytearray(len(nodes))  # 1: its inputs are being looked at, 2: placed
    for head, _ in heads:
        if state[head]:
            continue
        state[head] = 1
        stack: list[tuple[int, Iterator[tuple[int, int]]]] = [(head, iter(nodes[head].inputs))]
        while stack:
            index, rest = stack[-1]
            for above, _ in rest:
                if state[above] == 1:
                    raise ModelError(f"{where}: node {above} ({nodes[above].name[:80]}) depends on itself")
                if not state[above]:
                    state[above] = 1
                    stack.append((above, iter(nodes[above].inputs)))
                    break
            else:
                state[index] = 2
                order.append(index)
                stack.pop()
    order = _as_in_file(order, nodes)
    place = {index: at for at, index in enumerate(order)}
    kept = [nodes[index] for index in order]
    for node in kept:
        node.inputs = [(place[index], output) for index, output in node.inputs]
    return Symbol(kept, [(place[index], output) for index, output in heads], version)


def _as_in_file(order: list[int], nodes: Sequence[Node]) -> list[int]:
    """The file's own order where every node stands after its inputs there, as in all that MXNet writes."""
    if all(above < index for index in order for above, _ in nodes[index].inputs):
        return sorted(order)
    return order


def _whole(text: str) -> int:
    """An integer of the JSON; one of thousands of digits would take long to read."""
    if len(text) > 19:
        raise ValueError(f"the number {text[:19]}… is too large")
    return int(text)


__all__ = ["VARIABLE", "Node", "Symbol", "load", "loads"]
