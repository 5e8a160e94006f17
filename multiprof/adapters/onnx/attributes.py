"""A node's attributes as plain Python values and numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto

from multiprof.adapters.onnx.dtypes import NAMES
from multiprof.adapters.onnx.source import Source
from multiprof.errors import ModelError

A = AttributeProto
PLAIN = 64  # elements of a list that a foreign layer shows


def decode(node: NodeProto, source: Source, given: Mapping[str, AttributeProto], where: str) -> dict[str, Any]:
    """Attributes by name: int, float, str, lists of those, numpy arrays; graphs and sparse tensors as messages.

    ``given`` are the attributes of the function call around, to which an attribute of a function's body may refer; one
    that was not given is left out. A tensor too large to be looked at stays a message.
    """
    made: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            found = given.get(attribute.ref_attr_name)
            if found is not None:
                made[attribute.name] = value_of(found, source, where)
        else:
            made[attribute.name] = value_of(attribute, source, where)
    return made


def value_of(attribute: AttributeProto, source: Source, where: str) -> Any:
    """The value of one attribute; files older than the ``type`` field have only one of the others set."""
    kind = attribute.type or _guess(attribute)
    if kind == A.INT:
        return attribute.i
    if kind == A.INTS:
        return list(attribute.ints)
    if kind == A.FLOAT:
        return attribute.f
    if kind == A.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == A.FLOATS:
        return list(attribute.floats)
    if kind == A.STRINGS:
        return [text.decode("utf-8", "replace") for text in attribute.strings]
    if kind == A.TENSOR:
        values = source.values(attribute.t)
        return attribute.t if values is None else values
    if kind == A.TENSORS:
        return list(attribute.tensors)
    if kind == A.GRAPH:
        return attribute.g
    if kind == A.GRAPHS:
        return list(attribute.graphs)
    if kind == A.SPARSE_TENSOR:
        return attribute.sparse_tensor
    if kind == A.TYPE_PROTO:
        return attribute.tp
    if kind in (A.SPARSE_TENSORS, A.TYPE_PROTOS):
        return list(attribute.sparse_tensors or attribute.type_protos)
    raise ModelError(f"{source.name}: {where} has the attribute {attribute.name!r} of the unknown type {kind}")


def _guess(attribute: AttributeProto) -> int:
    for field, kind in (("f", A.FLOAT), ("i", A.INT), ("s", A.STRING), ("t", A.TENSOR), ("g", A.GRAPH)):
        if attribute.HasField(field):
            return kind
    for items, kind in (
        (attribute.ints, A.INTS),
        (attribute.floats, A.FLOATS),
        (attribute.strings, A.STRINGS),
        (attribute.tensors, A.TENSORS),
    ):
        if items:
            return kind
    return A.INTS  # an empty list


def plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """What a foreign layer shows of its attributes: numbers, texts, short lists; of tensors what they are."""
    return {name: _plain(value) for name, value in attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, np.ndarray):
        return tuple(value.ravel().tolist()) if value.size <= PLAIN else f"{value.dtype} tensor of shape {value.shape}"
    if isinstance(value, list):
        if len(value) > PLAIN:
            return f"{len(value)} values"
        return tuple(_plain(item) for item in value)
    if hasattr(value, "data_type"):
        return f"{NAMES.get(value.data_type, '?')} tensor of shape {tuple(value.dims)}"
    return type(value).__name__.removesuffix("Proto").lower()


__all__ = ["decode", "plain", "value_of"]
