"""What a variable of a jaxpr stands for here: a tensor of the Graph, or one number known while reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multiprof.errors import ModelError
from multiprof.ir import BITS, Shape, TensorSpec

# Types that the representation has no name for, under one of the same width.
_SAME_WIDTH = {
    "float8_e4m3b11fnuz": "float8_e4m3fnuz",
    "float8_e4m3": "float8_e4m3fn",
    "float8_e3m4": "float8_e4m3fn",
    "float0": "bool",  # the gradient of integers: it has no values
    "int1": "bool",
    "uint1": "bool",
}


@dataclass(frozen=True, slots=True)
class Fill:
    """A tensor of one value, known while reading: a literal, or a literal broadcast. It becomes a layer where an
    operation needs it as a tensor."""

    value: Any
    shape: Shape
    dtype: str


Value = TensorSpec | Fill


def dtype_name(dtype: Any) -> str:
    """The name of a dtype in the representation; a key of random numbers is words of 32 bits."""
    name = str(dtype)
    if name.startswith("key<"):
        return "uint32"
    name = _SAME_WIDTH.get(name, name)
    if name not in BITS:
        raise ModelError(f"the dtype {name} of JAX is unknown here")
    return name


def shape_of(aval: Any) -> Shape:
    """The shape of an abstract value; a symbolic dimension is unknown. What has no shape (a token) is a scalar."""
    return tuple(d if isinstance(d, int) else _size(d) for d in getattr(aval, "shape", ()))


def _size(dim: Any) -> int | None:
    try:
        return int(dim)
    except Exception:  # a symbolic dimension raises an error of its own
        return None


def is_array(aval: Any) -> bool:
    """Whether an abstract value is an array; tokens and references to mutable memory are none."""
    return hasattr(aval, "shape") and hasattr(aval, "dtype")


def number(value: Any) -> Any:
    """A literal as a Python number."""
    return value.item() if hasattr(value, "item") else value


__all__ = ["Fill", "Value", "dtype_name", "is_array", "number", "shape_of"]
