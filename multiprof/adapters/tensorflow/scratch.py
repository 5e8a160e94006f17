"""A graph of our own in which TensorFlow infers shapes, operation by operation; nothing in it ever runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2
from tensorflow.python.framework import op_def_registry, tensor_util

from multiprof.adapters.tensorflow.dtypes import is_handle

# Attributes that say nothing of shapes, or name what is not in the scratch graph.
_LEFT_OUT = ("_", "container", "shared_name")


class Scratch:
    """Creates operations; ``tf.Graph`` is entered by nobody, so that the user's default graph stays what it is."""

    def __init__(self) -> None:
        self.graph = tf.Graph()
        self._unknown = tf.TensorShape(None)

    def operation(self, node: Any, inputs: Sequence[Any]) -> Any:
        """The twin of a NodeDef; raises ValueError, with TensorFlow's own words, where the operands do not fit."""
        attrs = {key: value for key, value in node.attr.items() if not key.startswith(_LEFT_OUT)}
        return self.graph._create_op_internal(node.op, list(inputs), attrs=attrs, name="n")

    def placeholder(self, dtype: Any, shape: Any = None) -> Any:
        """A tensor of that type and shape, ``None`` where not even the rank is known."""
        attrs = {
            "dtype": attr_value_pb2.AttrValue(type=tf.as_dtype(dtype).base_dtype.as_datatype_enum),
            "shape": attr_value_pb2.AttrValue(shape=tf.TensorShape(shape).as_proto()),
        }
        return self.graph._create_op_internal("Placeholder", [], attrs=attrs, name="p").outputs[0]

    def variable(self, dtype: Any, shape: Any) -> Any:
        """The handle of a variable."""
        attrs = {
            "dtype": attr_value_pb2.AttrValue(type=tf.as_dtype(dtype).base_dtype.as_datatype_enum),
            "shape": attr_value_pb2.AttrValue(shape=tf.TensorShape(shape).as_proto()),
        }
        return self.graph._create_op_internal("VarHandleOp", [], attrs=attrs, name="v").outputs[0]

    def constant(self, value: np.ndarray[Any, Any], dtype: Any = None) -> Any:
        attrs = {
            "value": attr_value_pb2.AttrValue(tensor=tensor_util.make_tensor_proto(value, dtype)),
            "dtype": attr_value_pb2.AttrValue(type=tf.as_dtype(dtype or value.dtype).as_datatype_enum),
        }
        return self.graph._create_op_internal("Const", [], attrs=attrs, name="c").outputs[0]

    def vector(self, flat: Any) -> tuple[int | None, ...] | None:
        """The contents of a row of sizes, as far as shape inference knows them."""
        if flat.dtype not in (tf.int32, tf.int64) or flat.shape.rank != 1:
            return None
        try:
            shape = tensor_util.constant_value_as_shape(flat)
        except (ValueError, TypeError):  # a negative size
            return None
        return None if shape.rank is None else tuple(shape.as_list())


def op_def(name: str) -> Any:
    """The OpDef of an operation of TensorFlow; ``None`` for one that it does not know."""
    return op_def_registry.get(name)


def merged_shape(shapes: Sequence[Any]) -> Any:
    """What all shapes have in common; of unknown rank where these differ."""
    first = shapes[0]
    for shape in shapes[1:]:
        first = first.most_specific_compatible_shape(shape)
    return first


__all__ = ["Scratch", "is_handle", "merged_shape", "op_def"]
