"""Constants, placeholders, variables: what they hold, and what is written to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from multiprof.adapters.tensorflow.control import operands
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.program import Variable
from multiprof.adapters.tensorflow.table import structure
from multiprof.adapters.tensorflow.values import Value, shape_of
from multiprof.adapters.tensorflow.walker import Frame, Walker
from multiprof.ir import WRITE, TensorSpec

_IN_PLACE = (("y", "x", WRITE),)


@structure("Const")
def const(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    return [walker.constant(node)]


@structure("Placeholder", "PlaceholderV2")
def placeholder(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """One that nobody feeds: whatever reads it cannot run."""
    raise node.fail("it is an input that is not among those of this entry; name the entry that feeds it")


@structure("PlaceholderWithDefault")
def placeholder_with_default(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    return operands(walker, frame, node)[:1]


@structure("VarHandleOp", "VariableV2", "Variable", "TemporaryVariable")
def variable(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    known = walker.known.get(node.proto.name)
    if known is None:
        known = Variable(node.name, node.attr("shape"), node.attr("dtype", "float32"))
    value = walker.declare(known)
    if node.op != "VarHandleOp":  # the variable's own tensor, not a handle of it
        value.flat = walker.scratch.placeholder(node.proto.attr["dtype"].type, known.shape)
    return [value]


@structure("ReadVariableOp")
def read(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """What the variable holds now; no work of its own."""
    (handle,) = operands(walker, frame, node)
    if not handle.variable:  # a handle from somewhere else
        node.inputs = [handle]
        node.outputs = list(walker.scratch.operation(node.proto, [handle.flat]).outputs)
        node.foreign()
        return [node.bound[0]]
    spec = walker.state[handle.variable]
    dtype = node.proto.attr["dtype"].type
    shape = None if spec.shape == (None,) else spec.shape
    return [Value(lambda: walker.scratch.placeholder(dtype, shape), spec)]


@structure("VarIsInitializedOp", "IsVariableInitialized")
def initialized(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    array = np.asarray(True)
    return [Value(walker.scratch.constant(array), const=array, name=node.name)]


@structure("AssignVariableOp", "Assign")
def assign(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    handle, value = operands(walker, frame, node)
    source = walker.tensor(value, node.where)
    return _written(walker, node, handle, "copy", {"x": source}, value.flat)


@structure("AssignAddVariableOp", "AssignAdd", "AssignSubVariableOp", "AssignSub")
def assign_add(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    handle, value = operands(walker, frame, node)
    inputs = {"x0": walker.tensor(handle, node.where), "x1": walker.tensor(value, node.where)}
    return _written(walker, node, handle, "sub" if "Sub" in node.op else "add", inputs, handle.flat)


_UPDATES = {"Add": "sum", "Sub": "sum", "Mul": "prod", "Div": "prod", "Min": "amin", "Max": "amax"}


@structure(*(f"{kind}{how}" for kind in ("ResourceScatter", "Scatter") for how in ("Update", *_UPDATES)))
def scatter(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """Rows of a variable written, or combined with those there."""
    handle, indices, updates = operands(walker, frame, node)
    inputs = {
        "x": walker.tensor(handle, node.where), "indices": walker.tensor(indices, node.where),
        "src": walker.tensor(updates, node.where),
    }  # fmt: skip
    how = node.op.removeprefix("Resource").removeprefix("Scatter")
    inputs["x0"] = inputs.pop("indices")
    if how == "Update":
        return _written(walker, node, handle, "index_put", inputs, handle.flat, {"axes": (0,)}, _IN_PLACE)
    attrs = {"axes": (0,), "reduce": _UPDATES[how]}
    return _written(walker, node, handle, "index_reduce", inputs, handle.flat, attrs, _IN_PLACE)


def _written(
    walker: Walker,
    node: Node,
    handle: Value,
    op: str,
    inputs: dict[str, TensorSpec],
    flat: Any,
    attrs: dict[str, Any] | None = None,
    aliases: tuple[tuple[str, str, str], ...] = (),
) -> list[Value]:
    """The layer that makes what the variable holds from now on."""
    before = walker.tensor(handle, node.where)
    shape = before.shape if handle.variable and None not in before.shape else shape_of(flat)
    y = walker.writer.between(shape, before.dtype, node.name)
    walker.emit(node, op, inputs, {"y": y}, attrs, node.name, aliases)
    if handle.variable:
        walker.state[handle.variable] = y
    return [handle]


__all__: list[str] = []
