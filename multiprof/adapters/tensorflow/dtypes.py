"""TensorFlow's element types: their names here."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Types whose name differs, and the quantised ones, which are stored as plain integers. Text, handles and variants have
# names that the representation does not know: no layer but a foreign one reads them.
_RENAMED = {
    "half": "float16",
    "double": "float64",
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
    "float8_e4m3b11fnuz": "float8_e4m3fnuz",
}
QUANTISED = frozenset(("qint8", "quint8", "qint16", "quint16", "qint32"))
# What is no tensor of numbers.
HANDLES = frozenset(("resource", "variant"))


def dtype_name(dtype: Any) -> str:
    """The name of a DType, of its number or of its string; a reference is what it refers to."""
    name: str = tf.as_dtype(dtype).base_dtype.name
    return _RENAMED.get(name, name)


def is_quantised(dtype: Any) -> bool:
    return tf.as_dtype(dtype).base_dtype.name in QUANTISED


def is_handle(dtype: Any) -> bool:
    return tf.as_dtype(dtype).base_dtype.name in HANDLES


__all__ = ["dtype_name", "is_handle", "is_quantised"]
