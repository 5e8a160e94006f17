"""Tensors that stand in the file: initializers, Constant nodes; and those whose contents follow from shapes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import SparseTensorProto, TensorProto

from multiprof.adapters.onnx.call import Call, Deferred
from multiprof.adapters.onnx.frame import Frame
from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.partial import dims
from multiprof.adapters.onnx.source import MAX_VALUES, Array, Source
from multiprof.errors import ModelError
from multiprof.ir import BITS, CONSTANT, INTEGER_DTYPES, STRING, TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.onnx.walk import Walker


class Stored(Tensor):
    """A tensor of the file, whose contents are read when somebody asks for them."""

    __slots__ = ("_contents", "_source", "_tensor")

    def __init__(self, spec: TensorSpec, source: Source, tensor: TensorProto) -> None:
        self._source = source
        self._tensor: TensorProto | None = tensor
        self._contents: Array | None = None
        self.spec = spec
        self.weight = True
        self.shaped = False
        self.ranked = True
        self.partial = None
        self.guessed = False

    @property
    def value(self) -> Array | None:
        if self._tensor is not None:
            self._contents = self._source.values(self._tensor)
            self._tensor = None
        return self._contents

    @value.setter
    def value(self, contents: Array | None) -> None:
        self._contents, self._tensor = contents, None


def dense(walker: Walker, tensor: TensorProto, frame: Frame) -> None:
    """Declare an initializer."""
    what = f"the initializer {tensor.name!r}"
    spec = _spec(walker, tensor, what, walker.named(tensor.name, frame))
    if tensor.name in frame.values and frame.outer is None and isinstance(frame.values[tensor.name], Stored):
        raise ModelError(f"{walker.source.name}: two initializers have the name {tensor.name!r}")
    if spec.dtype == STRING:  # declared as what it takes in the file
        size = sum(map(len, tensor.string_data)) + walker.source.left_out(tensor)
        walker.writer.declare(TensorSpec((size,), "uint8", spec.name), CONSTANT, source=tensor.name)
    else:
        walker.writer.declare(spec, source=tensor.name)
    frame.values[tensor.name] = Stored(spec, walker.source, tensor)


def sparse(walker: Walker, item: SparseTensorProto, frame: Frame) -> None:
    """Declare a sparse initializer under its dense shape; its values and indices stand in the file in its place."""
    name = item.values.name
    what = f"the sparse initializer {name!r}"
    dtype = walker.source.dtype(item.values, what)
    spec = TensorSpec(walker.source.shape(item.dims, what), dtype, walker.named(name, frame))
    for part in (item.values, item.indices):
        if part.data_location == TensorProto.EXTERNAL:
            walker.source.note_external(part, None)
    walker.writer.declare(spec, source=name)
    frame.values[name] = Tensor(spec, None, True)


def _spec(walker: Walker, tensor: TensorProto, what: str, name: str) -> TensorSpec:
    dtype = walker.source.dtype(tensor, what)
    spec = TensorSpec(walker.source.shape(tensor.dims, what), dtype, name)
    if tensor.data_location == TensorProto.EXTERNAL:
        walker.source.note_external(tensor, spec.nbytes if dtype in BITS else None)
    return spec


def node(walker: Walker, call: Call) -> None:
    """A Constant node. A tensor of floats is declared as an initializer would be, once something reads it."""
    if not call.outputs or not call.outputs[0]:
        return
    output = call.outputs[0]
    name = walker.named(output, call.frame)
    tensor: Tensor
    given = next((a for a in call.proto.attribute if a.HasField("t")), None)
    if given is not None and not given.ref_attr_name:
        tensor = Stored(_spec(walker, given.t, f"{call.where}: its tensor", name), walker.source, given.t)
    else:
        tensor = _from_attribute(walker, call, name)
    is_table = tensor.rank == 0 or tensor.dtype in INTEGER_DTYPES or tensor.dtype == STRING
    walker.deferred[name] = made = Deferred(tensor.spec, CONSTANT if is_table else None, call.name)
    if tensor.dtype == STRING:
        made.nbytes = sum(len(text) for a in call.proto.attribute for text in (a.s, *a.strings, *a.t.string_data))
    call.frame.values[output] = tensor


def unread(walker: Walker, tensor: TensorProto, output: str, frame: Frame) -> None:
    """Declare the tensor of a Constant node that is not walked."""
    spec = _spec(walker, tensor, f"the constant {output!r}", walker.named(output, frame))
    if spec.dtype != STRING:
        walker.writer.declare(spec, source=output)


def _from_attribute(walker: Walker, call: Call, name: str) -> Tensor:
    """The forms of a Constant that are no tensor: numbers, lists of them, texts, sparse tensors."""
    for key, value in call.attrs.items():
        if isinstance(value, SparseTensorProto):
            dtype = walker.source.dtype(value.values, call.where)
            return Tensor(TensorSpec(walker.source.shape(value.dims, call.where), dtype, name), None, True)
        if isinstance(value, TensorProto):
            return Stored(_spec(walker, value, f"{call.where}: its tensor", name), walker.source, value)
        if isinstance(value, np.ndarray):
            return Tensor(TensorSpec(value.shape, value.dtype.name, name), value, True)
        if key.startswith("value_string"):
            shape = (len(value),) if isinstance(value, list) else ()
            return Tensor(TensorSpec(shape, STRING, name), None, True)
        if key.startswith("value_"):
            made = np.array(value, np.float32 if "float" in key else np.int64)
            return Tensor(
                TensorSpec(made.shape, made.dtype.name, name), made if made.size <= MAX_VALUES else None, True
            )
    raise ModelError(f"{call.where} has no value")


def filled(walker: Walker, call: Call, contents: Array | None, shaped: bool) -> bool:
    """ConstantOfShape of known shape: a weight that was left out of the file, or a layer that fills.

    Models published without their weights have such a node in the place of an initializer, with its shape stored: that
    is sorted as the initializer would be, unless something begins with it (a state of zeros). Any other is a weight
    only where it is read as one.
    """
    shape = call.tensor(0)
    if shape is None or shape.value is None:
        return False
    value: Any = call.attrs.get("value")
    dtype = value.dtype.name if isinstance(value, np.ndarray) else "float32"
    if isinstance(value, TensorProto):
        dtype = walker.source.dtype(value, call.where)
    dims = walker.source.shape((int(size) for size in shape.value.ravel()), call.where)
    output = call.outputs[0]
    stands_for = isinstance(shape, Stored) and shape.spec.name in walker.writer.parameters
    if stands_for and dims and dtype not in INTEGER_DTYPES and output not in call.frame.states:
        spec = TensorSpec(dims, dtype, walker.named(output, call.frame))
        walker.writer.declare(spec, source=call.name)
        call.frame.values[output] = Tensor(spec, None, True)
        return True
    made = defer(walker, call, TensorSpec(dims, dtype, walker.named(call.outputs[0], call.frame)), not shaped)
    made.value = contents
    made.shaped = shaped
    # the contents count as known even where the fill is no constant of the network
    made.weight = not shaped or contents is not None
    return True


def defer(walker: Walker, call: Call, spec: TensorSpec, learned: bool) -> Tensor:
    """Leave the layer of a tensor made out of nothing for later, when its role is known."""

    def write() -> None:
        rule = walker.table.rules.get((call.domain, call.op_type))
        start = len(walker.writer.layers)
        if rule is None or not walker.apply(rule, call, (spec,), start):
            walker.foreign(call, (spec,))

    walker.deferred[spec.name] = Deferred(spec, None, call.name, write, walker.writer.open_region, learned=learned)
    made = Tensor(spec, None, learned)
    call.frame.values[call.outputs[0]] = made
    return made


def measured(walker: Walker, call: Call) -> bool:
    """Shape and Size: their contents are known where the dimensions are."""
    x = call.tensor(0)
    if x is None or not x.ranked:
        return False
    shape = x.shape
    output = call.outputs[0]
    if call.op_type == "Size":
        if None in shape:
            return False
        size = prod(d for d in shape if d is not None)
        if size >= 1 << 63:
            return False
        walker.constant(output, np.array(size, np.int64), call, True)
        return True
    rank = len(shape)
    start, end = call.attrs.get("start", 0), call.attrs.get("end", rank)
    shape = shape[slice(start, end)]
    return walker.partly(call, dims(shape))


__all__ = ["Stored", "defer", "dense", "filled", "measured", "node", "sparse", "unread"]
