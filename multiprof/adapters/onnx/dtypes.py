"""ONNX's element types by number: their names here, and numpy's type for those it has."""

from __future__ import annotations

from typing import Any

import numpy as np

# TensorProto.DataType -> name. Strings have no width; what reads or makes them has no size in bytes.
NAMES: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
    27: "float6_e2m3fn",
    28: "float6_e3m2fn",
}
NUMBERS: dict[str, int] = {name: number for number, name in NAMES.items()}

# Types whose contents may be known: numpy has them, and ONNX writes one element in their own width.
NUMPY: dict[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in NUMBERS
    if name == "bool" or (name.startswith(("int", "uint", "float", "complex")) and hasattr(np, name))
}

__all__ = ["NAMES", "NUMBERS", "NUMPY"]
