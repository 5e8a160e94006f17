"""Sequences of tensors and optional ones: where their items are known they are no layers, only names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto

from multiprof.adapters._common.shapes import normal_axis
from multiprof.adapters.onnx.call import Call, Deferred
from multiprof.adapters.onnx.dtypes import NAMES
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.scopes import joined, node_scope
from multiprof.adapters.onnx.types import UNRANKED, Sequence, Type
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.onnx.walk import Walker

MAX_ITEMS = 4096


def _give(walker: Walker, call: Call, items: list[Tensor], kind: Type | None = None) -> None:
    """The node's output is the sequence of these tensors.

    Where something needs the sequence as a whole after all, the operator is written as a foreign layer.
    """
    if len(items) > MAX_ITEMS:
        raise ModelError(f"{call.where}: a sequence of more than {MAX_ITEMS} tensors")
    output = call.outputs[0]
    spec = TensorSpec(UNRANKED, items[0].dtype if items else "float32", walker.named(output, call.frame))

    def write() -> None:
        walker.foreign(call, (spec,))

    walker.deferred[spec.name] = Deferred(spec, None, call.name, write, walker.writer.open_region)
    first = items[0] if items else None
    item = Type("tensor", first.dtype, first.shape if first.ranked and len(items) == 1 else None) if first else kind
    call.frame.values[output] = Sequence(spec, items, item)


def _items(call: Call, number: int = 0) -> list[Tensor] | None:
    value = call.inputs[number] if number < len(call.inputs) else None
    return list(value.items) if isinstance(value, Sequence) and value.items is not None else None


def _position(call: Call, number: int, count: int, absent: int | None) -> int | None:
    """A position in a sequence of ``count``; ``None`` where nobody knows it."""
    if number >= len(call.inputs) or call.inputs[number] is None:
        return absent
    tensor = call.tensor(number)
    contents = tensor.value if tensor is not None and tensor.weight else None
    if contents is None or contents.size != 1:
        return None
    place = int(contents.ravel()[0])
    place = place + count if place < 0 else place
    if not 0 <= place <= count:
        raise ModelError(f"{call.where}: position {place} in a sequence of {count}")
    return place


def construct(walker: Walker, call: Call) -> Any:
    items = [value for value in call.inputs if isinstance(value, Tensor)]
    if len(items) < len(call.inputs):
        return NotImplemented
    return _give(walker, call, items)


def empty(walker: Walker, call: Call) -> None:
    _give(walker, call, [], Type("tensor", NAMES.get(call.attrs.get("dtype", 1), "float32")))


def at(walker: Walker, call: Call) -> Any:
    items = _items(call)
    place = None if items is None else _position(call, 1, len(items), None)
    if items is None or place is None:
        return NotImplemented
    if place >= len(items):
        raise ModelError(f"{call.where}: position {place} in a sequence of {len(items)}")
    call.frame.values[call.outputs[0]] = items[place]
    return None


def insert(walker: Walker, call: Call) -> Any:
    items, tensor = _items(call), call.tensor(1)
    place = None if items is None else _position(call, 2, len(items), len(items))
    if items is None or place is None or tensor is None:
        return NotImplemented
    return _give(walker, call, [*items[:place], tensor, *items[place:]])


def erase(walker: Walker, call: Call) -> Any:
    items = _items(call)
    place = None if items is None else _position(call, 1, len(items), len(items) - 1)
    if items is None or place is None or not 0 <= place < len(items):
        return NotImplemented
    return _give(walker, call, [*items[:place], *items[place + 1 :]])


def length(walker: Walker, call: Call) -> Any:
    items = _items(call)
    if items is None:
        return NotImplemented
    walker.constant(call.outputs[0], np.array(len(items), np.int64), call, True)
    return None


def split(walker: Walker, call: Call) -> Any:
    """SplitToSequence into pieces of known sizes: a split layer."""
    x, by = call.tensor(0), call.tensor(1)
    if x is None or not x.ranked:
        return NotImplemented
    axis = normal_axis(call.attrs.get("axis", 0), x.rank, where=call.where)
    size = x.shape[axis]
    drop = by is None and len(call.inputs) < 2 and not call.attrs.get("keepdims", 1)
    if size is None or (by is not None and (not by.weight or by.value is None)):
        return NotImplemented
    if by is None or by.value is None:
        if size > MAX_ITEMS:
            return NotImplemented
        sizes = [1] * size
    elif by.rank == 0:
        each = int(by.value)
        if each < 1 or size // each > MAX_ITEMS:
            raise ModelError(f"{call.where}: pieces of {each}")
        sizes = [each] * (size // each) + ([size % each] if size % each else [])
    else:
        sizes = [int(s) for s in by.value.ravel()]
        if sum(sizes) != size or min(sizes, default=0) < 0:
            raise ModelError(f"{call.where}: pieces of {sizes} do not make up {size}")
    name = walker.named(call.outputs[0], call.frame)
    specs = []
    for number, part in enumerate(sizes):
        shape = (*x.shape[:axis], *(() if drop else (part,)), *x.shape[axis + 1 :])
        specs.append(TensorSpec(shape, x.dtype, walker.writer.taken(f"{name}.{number}")))
    start = len(walker.writer.layers)
    scope = joined(call.frame.scope, node_scope(call.proto))
    walker.writer.layer(
        call.name, "split", {"x": x.spec}, {f"y{i}": spec for i, spec in enumerate(specs)},
        {"axis": axis, "sizes": tuple(sizes)}, scope=scope, source=call.source,
    )  # fmt: skip
    walker.adopt(start)
    return _give(walker, call, [Tensor(spec, weight=x.weight) for spec in specs])


def concat(walker: Walker, call: Call) -> Any:
    """ConcatFromSequence of known items: a concat layer, or a stack where the axis is a new one."""
    items = _items(call)
    if not items or not all(item.ranked and item.rank == items[0].rank for item in items):
        return NotImplemented
    new = bool(call.attrs.get("new_axis", 0))
    shapes = [item.shape for item in items]
    if not isinstance(call.attrs.get("axis"), int):
        raise ModelError(f"{call.where} has no axis")
    axis = normal_axis(call.attrs["axis"], len(shapes[0]) + new, where=call.where)
    if new:
        shape = (*shapes[0][:axis], len(items), *shapes[0][axis:])
    else:
        sizes = [s[axis] for s in shapes]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        shape = (*shapes[0][:axis], total, *shapes[0][axis + 1 :])
    spec = TensorSpec(shape, items[0].dtype, walker.named(call.outputs[0], call.frame))
    start = len(walker.writer.layers)
    scope = joined(call.frame.scope, node_scope(call.proto))
    walker.writer.layer(
        call.name, "stack" if new else "concat", {f"x{i}": item.spec for i, item in enumerate(items)}, {"y": spec},
        {"axis": axis}, scope=scope, source=call.source,
    )  # fmt: skip
    walker.adopt(start)
    call.frame.values[call.outputs[0]] = Tensor(spec, weight=all(item.weight for item in items))
    return None


def mapped(walker: Walker, call: Call) -> Any:
    """SequenceMap over known items: its body once for each."""
    items, body = _items(call), call.attrs.get("body")
    if items is None or not isinstance(body, GraphProto):
        return NotImplemented
    made: list[list[Tensor]] = [[] for _ in call.outputs]
    for number in range(len(items)):
        frame = call.frame.inside(path=f"{call.name}/{number}/", names={})
        for info, value in zip(body.input, call.inputs, strict=False):
            if isinstance(value, Sequence) and value.items is not None:
                if number >= len(value.items):
                    raise ModelError(f"{call.where}: its sequences differ in length")
                frame.values[info.name] = value.items[number]
            elif value is not None:
                frame.values[info.name] = value
        for outputs, result in zip(made, walker.graph(body, frame), strict=False):
            if not isinstance(result, Tensor):
                raise ModelError(f"{call.where}: its body makes no tensor")
            outputs.append(result)
    for output, results in zip(call.outputs, made, strict=True):
        spec = TensorSpec(UNRANKED, results[0].dtype if results else "float32", walker.named(output, call.frame))
        call.frame.values[output] = Sequence(spec, results)
    return None


def optional(walker: Walker, call: Call) -> Any:
    """Optional with something in it is that itself."""
    if not call.inputs or call.inputs[0] is None:
        _give(walker, call, [])
        made = call.frame.values[call.outputs[0]]
        if isinstance(made, Sequence):
            made.optional = True
        return None
    return same(walker, call)


def same(walker: Walker, call: Call) -> Any:
    """The output is the operand, whatever that is."""
    value = call.inputs[0] if call.inputs else None
    if value is None or (isinstance(value, Sequence) and value.optional):
        return NotImplemented
    call.frame.values[call.outputs[0]] = value
    return None


def has_element(walker: Walker, call: Call) -> Any:
    value = call.inputs[0] if call.inputs else None
    if isinstance(value, Sequence) and value.optional and value.items is None:
        return NotImplemented
    present = value is not None and not (isinstance(value, Sequence) and value.optional)
    walker.constant(call.outputs[0], np.array(present), call, True)
    return None


def identity(walker: Walker, call: Call) -> Any:
    """An Identity of a sequence; that of a tensor is a layer."""
    if not call.inputs or not isinstance(call.inputs[0], Sequence):
        return NotImplemented
    call.frame.values[call.outputs[0]] = call.inputs[0]
    return None


OPERATORS: dict[str, Callable[[Walker, Call], Any]] = {
    "ConcatFromSequence": concat,
    "Identity": identity,
    "Optional": optional,
    "OptionalGetElement": same,
    "OptionalHasElement": has_element,
    "SequenceAt": at,
    "SequenceConstruct": construct,
    "SequenceEmpty": empty,
    "SequenceErase": erase,
    "SequenceInsert": insert,
    "SequenceLength": length,
    "SequenceMap": mapped,
    "SplitToSequence": split,
}

__all__ = ["OPERATORS"]
