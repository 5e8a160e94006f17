"""One operation as its rule sees it: operands with their shapes and small contents, attributes, and what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from multiprof.adapters.tensorflow.dtypes import dtype_name, is_handle, is_quantised
from multiprof.adapters.tensorflow.values import Value, dtype_of, shape_of
from multiprof.errors import ModelError
from multiprof.ir import VIEW, Layer, Quant, Shape, TensorSpec

if TYPE_CHECKING:
    from multiprof.adapters.tensorflow.walker import Walker

VIEW_OF_X = (("y", "x", VIEW),)


class Node:
    """An operation in a running body. ``outputs`` are its twin's in the scratch graph; a rule binds a Value to each."""

    def __init__(self, walker: Walker, proto: Any, path: str, inputs: list[Value]) -> None:
        self.walker = walker
        self.proto = proto
        self.op: str = proto.op
        self.name = path
        self.scope = path.rpartition("/")[0].replace(".", "_").replace("/", ".")
        self.inputs = inputs
        self.outputs: list[Any] = []
        self.bound: dict[int, Value] = {}

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def where(self) -> str:
        return f"{self.walker.writer.name}: node {self.name} ({self.op})"

    def fail(self, why: str) -> ModelError:
        return ModelError(f"{self.where}: {why}")

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute as a Python value; a type by its name, a shape as a tuple or ``None``."""
        return attribute(self.proto.attr[name]) if name in self.proto.attr else default

    def numpy_dtype(self, name: str = "DstT") -> np.dtype[Any] | None:
        kind = self.attr(name)
        try:
            return None if kind is None else np.dtype(kind)
        except TypeError:
            return None

    def value(self, number: int) -> Value:
        if not -len(self.inputs) <= number < len(self.inputs):
            raise self.fail(f"its operand {number} is missing")
        return self.inputs[number]

    def has(self, number: int) -> bool:
        return number < len(self.inputs)

    def x(self, number: int = 0) -> TensorSpec:
        """An operand as a tensor of the Graph."""
        return self.walker.tensor(self.value(number), self.where)

    def shape(self, number: int = 0) -> Shape:
        return shape_of(self.value(number).flat)

    def dtype(self, number: int = 0) -> str:
        return dtype_of(self.value(number).flat)

    def const(self, number: int) -> np.ndarray[Any, Any] | None:
        """What an operand holds, where that is known."""
        return self.inputs[number].const if self.has(number) else None

    def ints(self, number: int) -> tuple[int, ...] | None:
        """The integers in an operand, row by row, where they are known."""
        found = self.const(number)
        if found is not None and found.dtype.kind in "iub":
            return tuple(int(v) for v in found.ravel())
        if found is not None or not self.has(number):
            return None
        vector = self.walker.scratch.vector(self.inputs[number].flat)
        return None if vector is None or None in vector else tuple(v for v in vector if v is not None)

    def scalar(self, number: int) -> Any:
        """The one number an operand of rank 0 holds, where it is known."""
        found = self.const(number)
        if found is None or found.shape != () or found.dtype.kind not in "iufb":
            return None if found is None or found.dtype.kind != "V" or found.shape != () else float(found)
        return found.item()

    def is_weight(self, number: int) -> bool:
        """Whether an operand is computed from variables and constants alone."""
        return self.walker.is_weight(self.value(number))

    # -- writing -------------------------------------------------------------------------------------------------

    def y(self, number: int = 0) -> TensorSpec:
        """Result ``number`` as a fresh tensor, of the shape TensorFlow infers."""
        flat = self.outputs[number]
        known = self.bound.get(number)
        if known is not None and known.spec is not None:
            return known.spec
        name = self.walker.writer.taken(self.name if not number else f"{self.name}:{number}")
        spec = TensorSpec(shape_of(flat), dtype_of(flat), name)
        if is_quantised(flat.dtype):
            spec.quant = Quant((), ())
        self.bound[number] = Value(flat, spec)
        return spec

    def bind(self, number: int, value: Value) -> None:
        self.bound[number] = value

    def same(self, *numbers: int, of: int = 0) -> None:
        """Let results be an operand itself."""
        for number in numbers or range(len(self.outputs)):
            self.bound[number] = self.value(of)

    def between(self, shape: Iterable[int | None], dtype: str = "", hint: str = "") -> TensorSpec:
        """A tensor between two layers of this operation, of the first result's type unless said."""
        return self.walker.writer.between(shape, dtype or dtype_of(self.outputs[0]), hint or self.name)

    def layer(
        self,
        op: str,
        inputs: Mapping[str, TensorSpec | None],
        outputs: Mapping[str, TensorSpec] | TensorSpec | None = None,
        attrs: Mapping[str, Any] | None = None,
        *,
        piece: str = "",
        aliases: tuple[tuple[str, str, str], ...] = (),
    ) -> Layer:
        """Write a layer; absent operands are ``None``. Without ``outputs`` it makes the first result."""
        given = {role: spec for role, spec in inputs.items() if spec is not None}
        if outputs is None:
            made: Mapping[str, TensorSpec] = {"y": self.y()}
        else:
            made = {"y": outputs} if isinstance(outputs, TensorSpec) else outputs
        return self.walker.emit(self, op, given, made, attrs, f"{self.name}/{piece}" if piece else self.name, aliases)

    def unary(self, op: str, attrs: Mapping[str, Any] | None = None) -> None:
        self.layer(op, {"x": self.x()}, None, attrs)

    def view(self, op: str, attrs: Mapping[str, Any] | None = None) -> None:
        """The same elements in the same memory."""
        x, y = self.x(), self.y()
        if x.quant is not None:
            y.quant = x.quant
        self.layer(op, {"x": x}, y, attrs, aliases=VIEW_OF_X)

    def foreign(self, name: str = "") -> None:
        """A layer of no canonical meaning: all operands and results, and plain attributes.

        Handles (of tables, iterators, files) are no tensors, and a text in the program is no parameter: they are left
        out, and so is an operation that makes nothing else.
        """
        read = [value for value in self.inputs if not _is_no_tensor(value)]
        inputs = {f"x{i}": self.walker.tensor(value, self.where) for i, value in enumerate(read)}
        made = [i for i, flat in enumerate(self.outputs) if not is_handle(flat.dtype)]
        if not made:
            return
        outputs = {f"y{number}": self.y(i) for number, i in enumerate(made)}
        attrs = {key: attribute(value) for key, value in self.proto.attr.items() if not key.startswith("_")}
        plain = {key: value for key, value in attrs.items() if value is not None}
        self.layer(f"tensorflow.{name or self.op}", inputs, outputs, plain)


def _is_no_tensor(value: Value) -> bool:
    if value.spec is not None or value.variable or (value.elements is not None and value.elements.spec is not None):
        return False
    dtype = value.flat.dtype
    return is_handle(dtype) or dtype_name(dtype) == "string"


def attribute(value: Any) -> Any:
    """An AttrValue as a Python value; ``None`` for a function, a tensor or what is not set."""
    kind = value.WhichOneof("value")
    if kind == "s":
        return value.s.decode("utf-8", "replace")
    if kind in ("i", "f", "b"):
        return getattr(value, kind)
    if kind == "type":
        return _type(value.type)
    if kind == "shape":
        return None if value.shape.unknown_rank else tuple(d.size if d.size >= 0 else None for d in value.shape.dim)
    if kind == "list":
        items = value.list
        if items.s:
            return [item.decode("utf-8", "replace") for item in items.s]
        if items.type:
            return [_type(item) for item in items.type]
        return [*items.i, *items.f, *items.b]
    return None


def _type(number: int) -> str | None:
    try:
        return dtype_name(tf.as_dtype(number))
    except TypeError:
        return None


__all__ = ["VIEW_OF_X", "Node", "attribute"]
