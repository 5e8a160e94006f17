"""What is stored in branches that are not walked: it is in the file, so it is declared, used or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnx import GraphProto, NodeProto

from multiprof.adapters.onnx import constants
from multiprof.adapters.onnx.call import Call
from multiprof.adapters.onnx.frame import Frame, subgraphs
from multiprof.adapters.onnx.wire import MAX_NODES
from multiprof.errors import ModelError
from multiprof.ir import BUFFER, CONSTANT, PARAMETER

if TYPE_CHECKING:
    from multiprof.adapters.onnx.walk import Walker

# (operator, place of an operand) -> kind of what is stored there, where its type alone does not tell.
KINDS: Mapping[tuple[str, int], str] = {
    ("BatchNormalization", 3): BUFFER,
    ("BatchNormalization", 4): BUFFER,
    ("DequantizeLinear", 0): PARAMETER,
    **{(op, place): CONSTANT for op in ("QuantizeLinear", "DequantizeLinear", "Resize") for place in (1, 2)},
    ("Upsample", 1): CONSTANT,
}


def declare(walker: Walker, call: Call, body: GraphProto, label: str) -> None:
    """Declare the tensors stored in a branch of an If, and in the graphs inside it."""
    _graph(walker, body, call.frame.inside(path=f"{call.name}/{label}/", names={}))


def _graph(walker: Walker, graph: GraphProto, frame: Frame) -> None:
    for tensor in graph.initializer:
        constants.dense(walker, tensor, frame)
    for item in graph.sparse_initializer:
        constants.sparse(walker, item, frame)
    kinds: dict[str, str] = {}
    for number, node in enumerate(graph.node):
        walker.visits += 1
        if walker.visits > MAX_NODES:
            raise ModelError(f"{walker.source.name}: {frame.path} comes to more than {MAX_NODES} nodes")
        for place, name in enumerate(node.input):
            if (node.op_type, place) in KINDS:
                kinds[name] = KINDS[node.op_type, place]
        if node.op_type == "Constant":
            _constant(walker, node, frame)
        for place, inner in enumerate(subgraphs(node)):
            _graph(walker, inner, frame.inside(path=f"{frame.path}{node.name or number}/{place}/", names={}))
    for name, kind in kinds.items():
        parameter = walker.writer.parameters.get(frame.names.get(name, ""))
        if parameter is not None:
            parameter.kind = kind


def _constant(walker: Walker, node: NodeProto, frame: Frame) -> None:
    """A Constant node that nothing reads: a table of numbers is declared as an initializer would be."""
    for attribute in node.attribute:
        if attribute.HasField("t") and attribute.t.dims and len(node.output) == 1:
            constants.unread(walker, attribute.t, node.output[0], frame)


__all__ = ["declare"]
