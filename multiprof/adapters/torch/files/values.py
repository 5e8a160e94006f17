"""The values in a program's description: dtypes, sizes, tensors, arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

# The numbers of torch's enumerations in the schema of torch.export, which no version may change.
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 9: "complex32",
    10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2",
    31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
_FORMATS = {
    1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format,
}  # fmt: skip
_LAYOUTS = {1: torch.sparse_coo, 2: torch.sparse_csr, 3: torch.sparse_csc, 4: torch.sparse_bsr, 5: torch.sparse_bsc}

_MOST = 1 << 62  # elements of one tensor: beyond, torch's own arithmetic overflows


def dtype_of(number: int) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, _DTYPES[number])
    return dtype


def number(entry: Mapping[str, Any]) -> Any:
    """A number that may be an expression: then what it was for the example inputs."""
    ((kind, value),) = ((k, v) for k, v in entry.items() if v is not None)
    if kind == "as_expr":
        ((_, value),) = ((k, v) for k, v in value["hint"].items() if v is not None)
    return value


def sizes(entries: Iterable[Mapping[str, Any]]) -> list[int]:
    found = []
    product = 1
    for entry in entries:
        size = number(entry)
        product *= max(1, size) if type(size) is int else 1
        if type(size) is not int or size < 0 or product > _MOST:
            raise ValueError(f"a size of {size!r}")
        found.append(size)
    return found


def tensor_like(meta: Mapping[str, Any], parameter: bool = False) -> torch.Tensor:
    """A tensor without values of the shape, strides and dtype that the file gives."""
    shape, strides = sizes(meta["sizes"]), sizes(meta["strides"]) if meta.get("strides") else None
    dtype = dtype_of(meta["dtype"])
    if strides is None or len(strides) != len(shape):
        made = torch.empty(shape, dtype=dtype, device="meta")
    else:
        made = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    if not parameter:
        return made
    floating = dtype.is_floating_point or dtype.is_complex
    return torch.nn.Parameter(made, bool(meta.get("requires_grad")) and floating)


def argument(entry: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """What an argument of a node stands for; ``values`` holds what came before by name."""
    ((kind, value),) = ((k, v) for k, v in entry.items() if v is not None) if len(entry) > 1 else entry.items()
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_custom_obj"):
        return values[value["name"]]
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return _symbolic(value, values)
    if kind in ("as_sym_ints", "as_sym_bools", "as_sym_floats"):
        return [_symbolic(item, values) for item in value]
    if kind == "as_tensors":
        return [values[item["name"]] for item in value]
    if kind == "as_nested_tensors":
        return [[values[item["name"]] for item in items] for items in value]
    if kind == "as_optional_tensors":
        return [values[item["as_tensor"]["name"]] if item.get("as_tensor") else None for item in value]
    if kind == "as_optional_tensor":
        return values[value["as_tensor"]["name"]] if value.get("as_tensor") else None
    if kind == "as_scalar_type":
        return dtype_of(value)
    if kind == "as_memory_format":
        return _FORMATS[value]
    if kind == "as_layout":
        return _LAYOUTS.get(value, torch.strided)
    if kind == "as_device":
        return torch.device("cpu")  # whatever it was exported on: shapes do not depend on it
    if kind == "as_complex":
        return complex(value["real"], value["imag"])
    return value


def _symbolic(entry: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    ((kind, value),) = ((k, v) for k, v in entry.items() if v is not None)
    return values[value] if kind == "as_name" else value


__all__ = ["argument", "dtype_of", "number", "sizes", "tensor_like"]
