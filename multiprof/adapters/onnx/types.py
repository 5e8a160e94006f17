"""TypeProto, as onnx's shape inference takes it, to shapes and back; each distinct type is written and read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from onnx import TensorProto, TypeProto

from multiprof.adapters.onnx.dtypes import NAMES, NUMBERS
from multiprof.adapters.onnx.node import Tensor
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec

UNRANKED: Shape = (None,)
# What some exporters call every free axis, so that it is no name of one size.
NAMELESS = frozenset(("?", "*", "-1", "None"))


@dataclass(slots=True)
class Sequence:
    """A sequence of tensors, or an optional one. ``items`` are its tensors where their number is known.

    ``item`` is the type all of them have, as far as that is known; ``optional`` says that it is no sequence but a
    tensor that may be absent (then ``items`` is empty).
    """

    spec: TensorSpec
    items: list[Tensor] | None = None
    item: Type | None = None
    optional: bool = False


@dataclass(slots=True, frozen=True)
class Type:
    """What a TypeProto says. ``kind`` is tensor, sequence, optional, map, opaque or nothing at all.

    ``shape`` is ``None`` where the rank is unknown; ``names`` are the names of free axes, where it has some.
    """

    kind: str
    dtype: str = ""
    shape: Shape | None = None
    names: tuple[str, ...] = field(default=())
    item: Type | None = None


Value = Tensor | Sequence


@lru_cache(maxsize=4096)
def tensor_type(dtype: str, shape: Shape | None) -> bytes:
    """The serialised TypeProto of a tensor."""
    made = TypeProto()
    made.tensor_type.elem_type = NUMBERS.get(dtype, 0)
    if shape is not None:
        made.tensor_type.shape.SetInParent()
        for size in shape:
            dim = made.tensor_type.shape.dim.add()
            if size is not None:
                dim.dim_value = size
    return bytes(made.SerializeToString())


def value_type(value: Value) -> bytes:
    """The serialised TypeProto of what a node reads."""
    if isinstance(value, Tensor):
        spec = value.spec
        return tensor_type(spec.dtype, spec.shape if value.ranked else None)
    made = TypeProto()
    inner = made.optional_type.elem_type if value.optional else made.sequence_type.elem_type
    _write(value.item or Type("tensor", "float32"), inner)
    return bytes(made.SerializeToString())


def _write(item: Type, into: TypeProto) -> None:
    if item.kind in ("sequence", "optional") and item.item is not None:
        _write(item.item, (into.sequence_type if item.kind == "sequence" else into.optional_type).elem_type)
    else:
        into.MergeFromString(tensor_type(item.dtype or "float32", item.shape))


@lru_cache(maxsize=4096)
def from_bytes(raw: bytes) -> Type:
    """What a serialised TypeProto says, as `from_proto` does."""
    return from_proto(TypeProto.FromString(raw), "the result", inferred=True)


def from_proto(proto: TypeProto, where: str = "a type", depth: int = 0, *, inferred: bool = False) -> Type:
    """What a TypeProto says; raises `ModelError` for a negative size.

    A declared size of -1 is a free axis, as some exporters write it; an inferred one is negative.
    """
    kind = proto.WhichOneof("value")
    if kind == "tensor_type" or kind == "sparse_tensor_type":
        tensor = proto.tensor_type if kind == "tensor_type" else proto.sparse_tensor_type
        dtype = NAMES.get(tensor.elem_type, "")
        if not tensor.HasField("shape"):
            return Type("tensor", dtype)
        sizes: list[int | None] = []
        names: list[str] = []
        for dim in tensor.shape.dim:
            if dim.HasField("dim_value") and (inferred or dim.dim_value != -1):
                sizes.append(dim.dim_value)
                names.append("")
            else:
                sizes.append(None)
                names.append("" if dim.dim_param in NAMELESS else dim.dim_param)
        if len(sizes) > 64 or any(size is not None and size < 0 for size in sizes):
            raise ModelError(f"{where} has the shape {tuple(sizes)[:65]}, which no tensor has")
        return Type("tensor", dtype, tuple(sizes), tuple(names))
    if kind is None or depth > 8:
        return Type("")
    if kind == "sequence_type":
        return Type("sequence", item=from_proto(proto.sequence_type.elem_type, where, depth + 1))
    if kind == "optional_type":
        return Type("optional", item=from_proto(proto.optional_type.elem_type, where, depth + 1))
    return Type(kind.removesuffix("_type"))


def tensor_proto(value: Any, dtype: str) -> bytes:
    """A serialised TensorProto with these contents."""
    made = TensorProto(dims=value.shape, data_type=NUMBERS[dtype])
    made.raw_data = value.astype(value.dtype.newbyteorder("<")).tobytes()
    return bytes(made.SerializeToString())


__all__ = [
    "UNRANKED",
    "Sequence",
    "Type",
    "Value",
    "from_bytes",
    "from_proto",
    "tensor_proto",
    "tensor_type",
    "value_type",
]
