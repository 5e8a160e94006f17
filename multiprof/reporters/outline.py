"""The layers of a Report as an outline of modules, in the order they ran; a module called again stands there again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiprof.ir import PARAMETER, PREPARED, Layer, Shape
from multiprof.layer_report import FREE, UNSUPPORTED, LayerReport, Total
from multiprof.reporters import text

if TYPE_CHECKING:
    from multiprof.report import Report

DEPTH = 3  # levels of modules shown unless told otherwise
ROWS = 300  # and rows: whoever wants more says how deep, or takes the CSV
SORT_KEYS = ("macs", "params", "flops", "bytes", "name")


@dataclass(slots=True)
class Node:
    """A module, or a layer of an opened one: its layers, their sum, and its parts where it is opened.

    ``path`` is the module's path or the layer's name, ``name`` the last part of it. ``hidden`` are the layers of an
    opened module that only move data: they are summed but get no node.
    """

    name: str
    path: str
    layers: list[LayerReport]
    total: Total
    parts: list[Node] = field(default_factory=list)
    hidden: list[LayerReport] = field(default_factory=list)


def outline(report: Report, depth: int | None = None, sort: str | None = None, default: int = DEPTH) -> Node:
    """The model as nested nodes down to ``depth`` (0: the model alone); a module without child modules is one node.

    Without ``depth`` it is ``default``, or less where that keeps the outline within `ROWS`.
    """
    levels = range(default, 0, -1) if depth is None else [depth]
    for level in levels:
        root = Node(report.name, "", list(report.layers), report.total)  # unused weights too, which no part has
        if _open(report, root, level, ROWS if level > levels[-1] else None) is not None:
            break
    if sort is not None:
        _sort(root, sort)
    return root


def single(report: Report, row: LayerReport) -> Node:
    """One layer under its full name."""
    return _node(report, row.name, row.name, [row])


def order(nodes: list[Node], key: str) -> list[Node]:
    """Nodes by a key of `SORT_KEYS`: names upwards, numbers downwards."""
    if key == "name":
        return sorted(nodes, key=lambda node: node.name)
    amount: Callable[[Node], int] = lambda node: getattr(node.total, key)  # noqa: E731
    return sorted(nodes, key=amount, reverse=True)


def walk(node: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Every node under ``node``, itself first, with how deep it lies."""
    yield depth, node
    for part in node.parts:
        yield from walk(part, depth + 1)


def _open(report: Report, node: Node, depth: int, most: int | None) -> int | None:
    """Give a node its parts: runs of layers under one child module, and layers of the module's own.

    Returns how many nodes that makes, the node itself included; ``None`` as soon as they are more than ``most``.
    """
    made = 1
    if depth < 1:
        return made
    for child, run in _runs(node.layers, node.path):
        if child:
            part = _node(report, child, f"{node.path}.{child}" if node.path else child, run)
            inside: int | None = 1
            if any(row.scope != part.path for row in run):
                inside = _open(report, part, depth - 1, None if most is None else most - made)
            node.parts.append(part)
            if inside is None:
                return None
            made += inside
        else:
            for row in run:
                if row.state == FREE:
                    node.hidden.append(row)
                    continue
                node.parts.append(_node(report, row.name.rpartition("/")[2] or row.name, row.name, [row]))
                made += 1
                if most is not None and made > most:
                    return None
        if most is not None and made > most:
            return None
    return made


def _runs(layers: Sequence[LayerReport], path: str) -> list[tuple[str, list[LayerReport]]]:
    """Neighbouring layers under one child module of ``path`` (``""`` for layers of the module itself)."""
    start = len(path) + 1 if path else 0
    runs: list[tuple[str, list[LayerReport]]] = []
    for row in layers:
        child = "" if row.scope == path else row.scope[start:].partition(".")[0]
        if runs and runs[-1][0] == child:
            runs[-1][1].append(row)
        else:
            runs.append((child, [row]))
    return runs


def _node(report: Report, name: str, path: str, layers: Sequence[LayerReport]) -> Node:
    total = Total()
    for row in layers:
        total.add(row, sum(p.spec.numel for p in report.layer_params(row.name)))
    return Node(name, path, list(layers), total)


def _sort(node: Node, key: str) -> None:
    node.parts = order(node.parts, key)
    for part in node.parts:
        _sort(part, key)


# What the columns of a row say.


def classes(report: Report) -> dict[str, str]:
    """Class of each module by its path, where the reader of the model knows (``graph.metadata["modules"]``)."""
    known = report.graph.metadata.get("modules")
    return known if isinstance(known, dict) else {}


def class_of(report: Report, path: str, name: str) -> str:
    """The class of a module, unless ``name``, under which it is shown, says that already."""
    found = str(classes(report).get(path, ""))
    return "" if found == name else found


def kind_title(report: Report) -> str:
    """The title above what `kind` says."""
    return "Type" if classes(report) else "Op"


def kind(report: Report, node: Node) -> str:
    """The class of a module, the op of a layer or of a module that is a single one: ``Bottleneck``, ``conv``.

    Where a module is not opened, its class and what is in it: ``Bottleneck, 10 layers``, ``RMSNorm, mul +4``.
    """
    found = class_of(report, node.path, node.name)
    if node.parts or not node.layers:
        return found
    working = [row for row in node.layers if row.state not in (FREE, PREPARED)] or node.layers
    if len({row.scope for row in node.layers}) > 1:
        inside = f"{len(node.layers)} layers"
    else:
        inside = _op(working)
        if len(working) == 1:
            return inside
    return f"{found}, {inside}" if found else inside


def _op(working: Sequence[LayerReport]) -> str:
    """The dearest op and how many others there are: ``relu ×3``, ``linear +2``, ``conv, 8 runs``."""
    main = max(working, key=lambda row: (row.macs or 0, row.flops or 0))
    same = sum(row.op == main.op for row in working)
    said = main.op + (f" ×{same}" if same > 1 else "")
    if len(working) > same:
        said += f" +{len(working) - same}"
    return said if main.trips == 1 else f"{said}, {'?' if main.trips is None else main.trips} runs"


def input_shape(report: Report, node: Node) -> str:
    """Shape of the first tensor the first layer computes on, weights apart."""
    for row in node.layers:
        for spec in row.layer.inputs.values():
            if spec.name not in report.graph.parameters:
                return text.shape(spec.shape)
    return ""


def output_shape(node: Node) -> str:
    """Shape of the first output of the last layer."""
    if not node.layers:
        return ""
    outputs = list(node.layers[-1].layer.outputs.values())
    return text.shape(outputs[0].shape) if outputs else ""


def kernel(node: Node) -> str:
    """``7×7 /2``: window, stride, dilation and groups of the node's only windowed layer."""
    if node.parts:
        return ""
    windows = {_window(row.layer) for row in node.layers} - {""}
    return windows.pop() if len(windows) == 1 else ""


def _window(layer: Layer) -> str:
    size = layer.attrs.get("kernel_size")
    if not size:
        return ""
    said = text.shape(size)
    for mark, key in (("/", "stride"), ("d", "dilation")):
        values: Shape = tuple(layer.attrs.get(key) or ())
        if any(v != 1 for v in values):
            said += f" {mark}{values[0] if len(set(values)) == 1 else text.shape(values)}"
    groups = layer.attrs.get("groups", 1)
    return f"{said} g{groups}" if groups != 1 else said


def params(report: Report, node: Node) -> str:
    """Learned weights counted where they are first used; ``shared`` where all of a node's were used before."""
    if node.total.params:
        return text.count(node.total.params)
    declared = report.graph.parameters
    for row in node.layers:
        for spec in row.layer.inputs.values():
            if spec.name in declared and declared[spec.name].kind == PARAMETER and declared[spec.name].spec.numel:
                return "shared"
    return "–"


def amount(node: Node, key: str) -> str:
    """``macs``, ``flops`` or ``bytes`` of a node; a state where that says more, ``≥`` where a layer has no cost."""
    states = {row.state for row in node.layers}
    if states == {UNSUPPORTED}:
        return "?"
    value: int = getattr(node.total, key)
    known = text.count(value) if value else "–"
    if UNSUPPORTED in states:
        return f"≥{value:,}"
    if len(states) == 1 and states <= {"folded", "prepared"} and not value:
        return next(iter(states))
    return known


def share(value: int, whole: int) -> str:
    """``2.9%`` of the whole; nothing for nothing."""
    if not value or not whole:
        return ""
    percent = 100 * value / whole
    return "<0.1%" if percent < 0.05 else f"{percent:.1f}%"
