"""Lists of tensors, as loops read and write them: TensorList of TensorFlow 2, TensorArray of TensorFlow 1.

A list is one tensor, its elements one behind the other: reading one is a part of it, writing one a write into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from multiprof.adapters.tensorflow.control import operands
from multiprof.adapters.tensorflow.dtypes import dtype_name
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.table import structure
from multiprof.adapters.tensorflow.values import Elements, Value, dtype_of, shape_of
from multiprof.adapters.tensorflow.walker import Frame, Walker
from multiprof.ir import VIEW, WRITE, Shape, TensorSpec

_VIEW = (("y", "x", VIEW),)


def _handle(walker: Walker, elements: Elements, dtype: Any = tf.variant) -> Value:
    return Value(walker.scratch.placeholder(dtype, ()), elements=elements)


def _size(walker: Walker, value: Value) -> int | None:
    const = value.const
    return int(const) if const is not None and const.size == 1 and int(const) >= 0 else None


def _element_shape(walker: Walker, value: Value) -> Shape | None:
    """A shape given as a tensor; -1 alone where nothing is known."""
    const = value.const
    if const is not None:
        return None if const.shape == () else tuple(int(v) if v >= 0 else None for v in const)
    found = walker.scratch.vector(value.flat)
    return None if found is None else found


def _known(value: Value, node: Node) -> Elements:
    return value.elements if value.elements is not None else Elements(node.attr("element_dtype") or "float32")


def _storage(walker: Walker, node: Node, elements: Elements) -> TensorSpec:
    """The tensor that holds the elements; where nothing was written yet, zeros."""
    if elements.spec is None:
        elements.spec = walker.writer.between(elements.shape, elements.dtype, f"{node.name}/list")
        walker.emit(node, "fill", {}, {"y": elements.spec}, {"value": 0}, f"{node.name}/reserve")
    return elements.spec


@structure("TensorListReserve", "EmptyTensorList")
def reserve(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    shape, number = operands(walker, frame, node)
    elements = Elements(node.attr("element_dtype"), _element_shape(walker, shape))
    if node.op == "TensorListReserve":
        elements.length = _size(walker, number)
    return [_handle(walker, elements)]


@structure("TensorListFromTensor")
def from_tensor(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    value = operands(walker, frame, node)[0]
    spec = walker.tensor(value, node.where)
    length, *element = shape_of(value.flat)
    return [_handle(walker, Elements(spec.dtype, tuple(element), length, spec))]


@structure("TensorListGetItem")
def get_item(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    return _get(walker, node, *operands(walker, frame, node)[:2])


def _get(walker: Walker, node: Node, handle: Value, index: Value) -> list[Value]:
    elements = _known(handle, node)
    source = _storage(walker, node, elements)
    dtype = node.proto.attr["element_dtype" if "element_dtype" in node.proto.attr else "dtype"].type
    flat = walker.scratch.placeholder(dtype, elements.element)
    y = TensorSpec(shape_of(flat), dtype_of(flat), walker.writer.taken(node.name))
    walker.emit(node, "slice", {"x": source}, {"y": y}, {"index": "step"}, node.name)
    return [Value(flat, y)]


@structure("TensorListSetItem")
def set_item(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    handle, _, item = operands(walker, frame, node)[:3]
    return [_handle(walker, _set(walker, node, handle, item))]


def _set(walker: Walker, node: Node, handle: Value, item: Value) -> Elements:
    elements = _known(handle, node)
    source = walker.tensor(item, node.where)
    element = shape_of(item.flat)
    if elements.spec is not None and elements.element is None:
        elements.spec.shape = (elements.length, *element)
    elements.element = element
    before = _storage(walker, node, elements)
    made = replace(elements, spec=walker.writer.between(elements.shape, elements.dtype, node.name))
    inputs = {"x": before, "src": source}
    assert made.spec is not None
    walker.emit(
        node, "index_put", inputs, {"y": made.spec}, {"axes": (0,), "index": "step"}, node.name, (("y", "x", WRITE),)
    )  # fmt: skip
    return made


@structure("TensorListPushBack")
def push_back(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    """One element more; how many there are in the end only the loop's trips tell."""
    handle, item = operands(walker, frame, node)
    elements = _known(handle, node)
    source = walker.tensor(item, node.where)
    length = None if elements.length is None and elements.spec is not None else (elements.length or 0) + 1
    made = Elements(elements.dtype, shape_of(item.flat), length)
    made.spec = walker.writer.between(made.shape, made.dtype, node.name)
    inputs = {"x0": elements.spec, "x1": source} if elements.spec is not None else {"x0": source}
    walker.emit(node, "concat", inputs, {"y": made.spec}, {"axis": 0}, node.name)
    return [_handle(walker, made)]


@structure("TensorListStack")
def stack(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    handle = operands(walker, frame, node)[0]
    elements = _known(handle, node)
    wanted = node.attr("num_elements", -1)
    if elements.length is None and wanted > 0:
        elements.length = wanted
    return [_whole(walker, node, elements)]


def _whole(walker: Walker, node: Node, elements: Elements) -> Value:
    source = _storage(walker, node, elements)
    shape: Any = None if elements.element is None else elements.shape
    flat = walker.scratch.placeholder(_dtype(node, elements), shape)
    y = TensorSpec(shape_of(flat), elements.dtype, walker.writer.taken(node.name))
    walker.emit(node, "identity", {"x": source}, {"y": y}, None, node.name, _VIEW)
    return Value(flat, y)


def _dtype(node: Node, elements: Elements) -> Any:
    for name in ("element_dtype", "dtype"):
        if name in node.proto.attr:
            return node.proto.attr[name].type
    return elements.dtype


@structure("TensorListLength")
def length(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    elements = _known(operands(walker, frame, node)[0], node)
    return [_number(walker, node, elements.length)]


def _number(walker: Walker, node: Node, number: int | None) -> Value:
    if number is not None:
        array = np.asarray(number, np.int32)
        return Value(walker.scratch.constant(array), const=array, name=node.name)
    y = TensorSpec((), "int32", walker.writer.taken(node.name))
    walker.emit(node, "constant", {}, {"y": y}, None, node.name)
    return Value(walker.scratch.placeholder(tf.int32, ()), y)


# -- TensorFlow 1: (handle, flow); the flow says in which order writes happen, and here carries the list --------------


@structure("TensorArrayV3", "TensorArrayV2")
def array(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    (number,) = operands(walker, frame, node)
    elements = Elements(dtype_name(node.proto.attr["dtype"].type), node.attr("element_shape"), _size(walker, number))
    handle = Value(walker.scratch.placeholder(tf.resource, ()), elements=elements)
    return [handle, _handle(walker, elements, tf.float32)]


@structure("TensorArrayScatterV3")
def scatter(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    value = operands(walker, frame, node)[2]
    spec = walker.tensor(value, node.where)
    number, *element = shape_of(value.flat)
    return [_handle(walker, Elements(spec.dtype, tuple(element), number, spec), tf.float32)]


@structure("TensorArrayReadV3")
def read(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    _, index, flow = operands(walker, frame, node)
    return _get(walker, node, flow, index)


@structure("TensorArrayWriteV3")
def write(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    _, _, item, flow = operands(walker, frame, node)
    return [_handle(walker, _set(walker, node, flow, item), tf.float32)]


@structure("TensorArrayGatherV3")
def gather(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    return [_whole(walker, node, _known(operands(walker, frame, node)[2], node))]


@structure("TensorArraySizeV3")
def size(walker: Walker, frame: Frame, node: Node) -> Iterable[Value]:
    return [_number(walker, node, _known(operands(walker, frame, node)[1], node).length)]


__all__: list[str] = []
