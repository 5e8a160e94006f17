"""Shapes and types of a node's outputs, by onnx's own inference for that one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from onnx import NodeProto, defs
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

from multiprof.adapters.onnx.node import Tensor
from multiprof.adapters.onnx.types import Type, Value, from_bytes, tensor_proto, value_type
from multiprof.errors import ModelError

# Contents of integers are given to the inference, as most shapes depend on such alone; for these ops, floats too.
FLOATS_MATTER = frozenset(("Resize", "Upsample", "Range"))
GIVEN = 1024  # elements


class ShapeError(ModelError):
    """The operands of a node contradict its operator."""


@lru_cache(maxsize=4096)
def schema_of(op_type: str, version: int, domain: str) -> Any:
    """onnx's schema of an operator at an opset version, or ``None`` where it knows none."""
    try:
        return defs.get_schema(op_type, version, domain)
    except defs.SchemaError:
        return None


def infer(
    node: NodeProto,
    inputs: Sequence[Value | None],
    version: int,
    opsets: Mapping[str, int],
    ir_version: int,
    where: str,
) -> dict[str, Type]:
    """Type of each output by its name in the node; those that nothing is known of are missing.

    Raises `ShapeError`, naming the node, where the operands contradict the operator.
    """
    domain = "" if node.domain == "ai.onnx" else node.domain
    schema = schema_of(node.op_type, version, domain)
    if schema is None:
        return {}
    types: dict[str, bytes] = {}
    data: dict[str, bytes] = {}
    for name, value in zip(node.input, inputs, strict=False):
        if value is None:
            continue
        types[name] = value_type(value)
        if isinstance(value, Tensor) and value.weight:
            _give(node.op_type, name, value, data)
    if any(name and name not in types for name in node.input):
        return {}
    if any(attribute.name == "strides" and 0 in attribute.ints for attribute in node.attribute):
        raise ShapeError(f"{where}: a stride of 0")  # onnx up to 1.19 divides by it, and the process ends there
    try:
        made = schema._infer_node_outputs(node.SerializeToString(), types, data, {}, opsets, ir_version)
    except (InferenceError, ValidationError, RuntimeError, IndexError, ValueError) as error:
        if any(value is not None and not _is_certain(value) for value in inputs):
            return {}  # a guess may be what contradicts the operator
        text = " ".join(str(error).split())
        raise ShapeError(f"{where}: {text[:300]}") from error
    try:
        return {name: from_bytes(raw) for name, raw in made.items()}
    except ModelError as error:
        raise ShapeError(f"{where}: {error}") from error


def _is_certain(value: Value) -> bool:
    return isinstance(value, Tensor) and value.ranked and not value.guessed


def _give(op_type: str, name: str, value: Tensor, data: dict[str, bytes]) -> None:
    spec = value.spec
    if spec.dtype not in ("int64", "int32") and not (op_type in FLOATS_MATTER and spec.dtype.startswith("float")):
        return
    size = 1
    for dim in spec.shape:
        if dim is None:
            return
        size *= dim
    if size <= GIVEN and value.value is not None:
        data[name] = tensor_proto(value.value, spec.dtype)


__all__ = ["ShapeError", "infer", "schema_of"]
