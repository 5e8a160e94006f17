"""What TorchScript's operators do: on numbers, texts and lists here, on tensors by torch's own functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.files.operators import CHECKS, is_registered, with_rule
from multiprof.adapters.torch.files.source import out_of_bounds
from multiprof.errors import ModelError

# The numbers of torch's ScalarType and MemoryFormat.
_DTYPE_NAMES = (
    "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32", "complex64",
    "complex128", "bool", "qint8", "quint8", "qint32", "bfloat16", "quint4x2", "quint2x4", "bits1x8", "bits2x4",
    "bits4x2", "bits8", "bits16", "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz", "float8_e4m3fnuz", "uint16",
    "uint32", "uint64",
)  # fmt: skip
DTYPES: list[torch.dtype] = [getattr(torch, name, torch.uint8) for name in _DTYPE_NAMES]
_CODES = {dtype: code for code, dtype in reversed(list(enumerate(DTYPES)))}
_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)

_LARGEST = 1_000_000  # items of a list, characters of a text
_LARGEST_INT = 1 << 63


class Raised(RuntimeError):
    """The code in the file raised an exception of its own."""


def call_operator(namespace: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """``namespace::name`` on the given arguments, as TorchScript resolves it."""
    if namespace == "prim":
        function = _PRIM.get(name)
        if function is None:
            raise ModelError(f"the code calls prim::{name}, which is not read")
        return function(*args, **kwargs)
    if namespace == "aten":
        if name == "_convolution":  # as a trace writes it, with what cuDNN shall do at the end
            name, args = "convolution", args[:9]
        if f"aten.{name}" in CHECKS:
            return None
        about = _ABOUT_TENSORS.get(name)
        if about is not None and args and isinstance(args[0], torch.Tensor):
            result = about(*args)
            if result is not NotImplemented:
                return result
        of_list = name in _CONTAINERS and not (args and isinstance(args[0], torch.Tensor))
        if of_list or not any(map(_holds_tensor, args)):
            plain = _PLAIN.get(name)
            if plain is not None:
                for value in args:
                    if name in _GO_THROUGH or type(value) is range:
                        within_bounds(value)
                return _bounded(plain(*args, **kwargs))
    return _bounded(_by_torch(namespace, name, args, kwargs))


PIECES = 100_000  # of a tensor, at most


def _by_torch(namespace: str, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if not is_registered(namespace, name):
        raise ModelError(f"the code calls {namespace}::{name}, which this torch does not have")
    schema = _schema(namespace, name, args, kwargs)
    if schema is None:  # a trace makes tensors of numbers, where one of an operator's arguments has to be one
        tensors = [torch.tensor(value) if type(value) in (int, float, bool) else value for value in args]
        schema = _schema(namespace, name, tensors, kwargs)
        args = args if schema is None else tensors
    if schema is not None:
        types = [str(a.real_type) for a in schema.arguments]
        args = [_converted(value, kind) for value, kind in zip(args, types, strict=False)]
        named = {a.name: str(a.real_type) for a in schema.arguments}
        kwargs = {key: _converted(value, named.get(key, "")) for key, value in kwargs.items()}
        if "device" in named and kwargs.get("device") is None and not any(map(_holds_tensor, args)):
            kwargs["device"] = torch.device("cpu")  # said, so that the trace makes it a tensor without values
        only = {a.name for a in schema.arguments if a.kwarg_only}
        function = with_rule(name) if namespace == "aten" and kwargs.keys() <= only else None
        _few_pieces(name, *args, **kwargs)
        if function is not None:
            return function(*args, **kwargs)
    return getattr(getattr(torch.ops, namespace), name)(*args, **kwargs)


def _few_pieces(name: str, x: Any = None, by: Any = 0, dim: Any = 0, *more: Any, **named: Any) -> None:
    """Refuse to cut a tensor into more pieces than a list may have: each of them is made."""
    if name not in ("unbind", "split", "unsafe_split", "chunk", "unsafe_chunk", "tensor_split") or not isinstance(
        x, torch.Tensor
    ):
        return
    dim = named.get("dim", by if name == "unbind" else dim)
    if not isinstance(dim, int) or not -x.dim() <= dim < x.dim():
        return  # torch says so
    pieces = x.shape[dim]
    if name != "unbind":
        by = next((named[key] for key in ("split_size", "chunks", "sections") if key in named), by)
        if not isinstance(by, int) or by < 1:
            return
        pieces = -(-pieces // by) if "split" in name and name != "tensor_split" else by
    if pieces > PIECES:
        raise out_of_bounds(f"a tensor is cut into {pieces:,} pieces")


def _schema(namespace: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The first overload that the arguments fit."""
    schemas = torch._C._jit_get_schemas_for_operator(f"{namespace}::{name}")
    for by_position in (False, True):  # at last what has to be named may stand in order, too
        for schema in schemas:
            in_order = [a for a in schema.arguments if by_position or not a.kwarg_only]
            given = {a.name for a in in_order[: len(args)]}
            if len(args) > len(in_order) or given & kwargs.keys() or kwargs.keys() - {a.name for a in schema.arguments}:
                continue
            if all(a.has_default_value() or a.name in given | kwargs.keys() for a in schema.arguments) and all(
                _fits(str(a.real_type), value) for a, value in zip(in_order, args, strict=False)
            ):
                return schema
    return None


def _fits(kind: str, value: Any) -> bool:
    if kind.startswith("Optional["):
        return value is None or _fits(kind[9:-1], value)
    if kind == "Tensor":
        return isinstance(value, torch.Tensor)
    if kind.startswith("List["):
        inside = kind[5:-1]
        return isinstance(value, (list, tuple)) and all(_fits(inside, item) for item in value)
    if kind == "bool":
        return type(value) is bool
    if kind in ("int", "ScalarType", "MemoryFormat", "Layout", "SymInt"):
        return type(value) is int
    if kind == "float":
        return type(value) in (int, float)
    if kind in ("number", "Scalar"):
        return isinstance(value, (bool, int, float, complex))
    if kind == "str":
        return isinstance(value, str)
    if kind == "Device":
        return isinstance(value, (torch.device, str))
    return value is not None


def _converted(value: Any, kind: str) -> Any:
    kind = kind.removeprefix("Optional[").removesuffix("]")
    if type(value) is int:
        if kind == "ScalarType":
            return DTYPES[value]
        if kind == "MemoryFormat":
            return _FORMATS[value]
        if kind == "Layout":
            return torch.strided
    return value


def _holds_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (
        isinstance(value, (list, tuple)) and any(isinstance(item, torch.Tensor) for item in value)
    )


def _bounded(value: Any) -> Any:
    if type(value) in (list, str, dict) and len(value) > _LARGEST:
        raise out_of_bounds(f"a list or text of {len(value):,} items")
    if type(value) is int and abs(value) > _LARGEST_INT:
        raise out_of_bounds("an integer of more than 64 bits")
    return value


def within_bounds(value: Any) -> None:
    """Refuse what would keep Python's own functions busy without end: long ranges, lists that hold lists many times."""
    if type(value) is range:
        if value[_LARGEST:]:
            raise out_of_bounds("a range of more than a million numbers becomes a list")
        return
    waiting, seen = [value], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple, Mapping)):
            waiting += item.values() if isinstance(item, Mapping) else item
            seen += 1 + len(item)
            if seen > _LARGEST:
                raise out_of_bounds("lists in lists, of more than a million items together")


# -- numbers, texts, lists ---------------------------------------------------------------------------------------------


def _add(a: Any, b: Any, alpha: int = 1) -> Any:
    return a + b if alpha == 1 else a + alpha * b


def _div(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return a / b
    return math.trunc(a / b) if rounding_mode == "trunc" else a // b


def _mul(a: Any, b: Any) -> Any:
    if isinstance(a, (list, str)) and len(a) * max(0, b) > _LARGEST:
        raise out_of_bounds("a list or text of more than a million items")
    return a * b


def _pow(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and b > 64 and abs(a) > 1:
        raise out_of_bounds("an integer of more than 64 bits")
    return a**b


def _remainder(a: Any, b: Any) -> Any:
    if isinstance(a, str):  # which Python would take for a format
        raise TypeError("the remainder of a text")
    return a % b


def _format(text: str, *values: Any) -> str:
    for value in values:
        text = text.replace("{}", str(value) if not isinstance(value, torch.Tensor) else "a tensor", 1)
        _bounded(text)
    return text


def _join(between: str, texts: Sequence[str]) -> str:
    if sum(map(len, texts)) + len(between) * len(texts) > _LARGEST:
        raise out_of_bounds("a text of more than a million characters")
    return between.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * len(new) > _LARGEST:
        raise out_of_bounds("a text of more than a million characters")
    return text.replace(old, new)


def _slice(x: Any, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[slice(start, end, step)]


def _derive(index: int, start: int, step: int) -> int:
    return start + index * step


def _set_item(x: Any, key: Any, value: Any) -> Any:
    x[key] = value
    return x


def _append(x: list[Any], value: Any) -> list[Any]:
    x.append(value)
    return _bounded(x)  # type: ignore[no-any-return]


def _extend(x: list[Any], values: Any) -> None:
    x.extend(values)
    _bounded(x)


def _same(a: Any, b: Any) -> bool:
    return a is b or (not isinstance(a, torch.Tensor) and not isinstance(b, torch.Tensor) and a == b)


def _warn(*_: Any, **__: Any) -> None: ...


def _shift(a: int, b: int) -> int:
    return a << b if 0 <= b < 64 else 0


_PLAIN: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": lambda a, b, alpha=1: a - alpha * b, "mul": _mul, "div": _div,
    "floordiv": lambda a, b: a // b, "floor_divide": lambda a, b: a // b, "true_divide": lambda a, b: a / b,
    "rsub": lambda a, b: b - a, "trunc": math.trunc, "square": lambda a: a * a, "rsqrt": lambda a: a**-0.5,
    "remainder": _remainder, "pow": _pow, "neg": lambda a: -a,
    "abs": abs, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "__not__": lambda a: not a,
    "__and__": lambda a, b: a & b, "__or__": lambda a, b: a | b, "__xor__": lambda a, b: a ^ b,
    "__lshift__": _shift, "__rshift__": lambda a, b: a >> b, "__is__": _same,
    "__isnot__": lambda a, b: not _same(a, b), "__contains__": lambda x, key: key in x, "len": len,
    "list": list, "__getitem__": lambda x, key: x[key], "_set_item": _set_item, "slice": _slice,
    "select": lambda x, index: x[index], "append": _append, "extend": _extend, "insert": lambda x, i, v: x.insert(i, v),
    "pop": lambda x, *key: x.pop(*key), "copy": lambda x: x.copy(), "clear": lambda x: x.clear(),
    "reverse": lambda x: x.reverse(), "sort": lambda x, reverse=False: x.sort(reverse=reverse), "sorted": sorted,
    "index": lambda x, v: x.index(v), "count": lambda x, v: x.count(v), "keys": lambda x: list(x.keys()),
    "values": lambda x: list(x.values()), "items": lambda x: list(x.items()), "get": lambda x, k, *d: x.get(k, *d),
    "update": lambda x, y: x.update(y), "dict": dict, "format": _format, "str": str, "join": _join,
    "split": lambda s, *a: s.split(*a), "startswith": lambda s, p: s.startswith(p), "lower": lambda s: s.lower(),
    "endswith": lambda s, p: s.endswith(p), "replace": _replace, "strip": lambda s: s.strip(),
    "Int": int, "Float": float, "Bool": bool, "IntImplicit": int, "FloatImplicit": float, "ScalarImplicit": lambda a: a,
    "ceil": math.ceil, "floor": math.floor, "sqrt": math.sqrt, "log": math.log, "exp": math.exp, "round": round,
    "__range_length": lambda lo, hi, step: len(range(lo, hi, step)), "__derive_index": _derive, "warn": _warn,
    "is_scripting": lambda: True, "is_autocast_enabled": lambda *_: False, "is_grad_enabled": lambda: False,
    "set_grad_enabled": _warn, "manual_seed": _warn, "_assert_int_or_pair": lambda x, *_: x, "item": lambda a: a,
    "any": any, "all": all, "sum": sum, "min": min, "max": max, "numel": len, "unbind": list, "mod": _remainder,
}  # fmt: skip
# Operators that go through lists of lists to the last item.
_GO_THROUGH = frozenset(
    (
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "__contains__",
        "index",
        "count",
        "sort",
        "sorted",
        "str",
        "format",
        "min",
        "max",
    )
)
# Operators on lists and dicts that hold tensors, too.
_CONTAINERS = frozenset(
    (
        "add", "mul", "slice", "len", "list", "__getitem__", "_set_item", "append", "extend", "insert", "pop", "copy",
        "clear", "reverse", "keys", "values", "items", "get", "update", "dict", "__is__", "__isnot__", "format", "warn",
    )
)  # fmt: skip


def _size(x: torch.Tensor, dim: Any = None) -> Any:
    return list(x.shape) if dim is None else x.shape[dim]


def _unless_tensor(function: Callable[..., Any]) -> Callable[..., Any]:
    """For operators on lists whose name an operator on tensors bears too."""
    return lambda x, *args: NotImplemented if isinstance(x, torch.Tensor) else function(x, *args)


_ABOUT_TENSORS: dict[str, Callable[..., Any]] = {
    "size": _size, "sym_size": _size, "dim": lambda x: x.dim(), "numel": lambda x: x.numel(),
    "len": lambda x: x.shape[0], "is_floating_point": lambda x: x.is_floating_point(),
    "is_complex": lambda x: x.is_complex(), "stride": lambda x, *dim: x.stride(*dim) if dim else list(x.stride()),
    "storage_offset": lambda x: x.storage_offset(), "is_contiguous": lambda x, *_: x.is_contiguous(),
    "__is__": lambda a, b: a is b, "__isnot__": lambda a, b: a is not b, "device": lambda x: x.device,
    "get_device": lambda x: -1, "element_size": lambda x: x.element_size(), "Int": int, "Float": float, "Bool": bool,
    "IntImplicit": int, "FloatImplicit": float, "ScalarImplicit": lambda x: x.item(), "item": lambda x: x.item(),
    "list": lambda x: x.tolist(), "copy": _unless_tensor(list), "append": _unless_tensor(_append),
    "warn": _warn, "cpu": lambda x: x, "cuda": lambda x: x,
}  # fmt: skip


def _raise(message: Any = "", kind: str = "") -> None:
    name = str(kind).rpartition(".")[2]
    raise Raised(f"{name}: {message}" if name else str(message))


def _number_to_tensor(value: Any) -> Any:
    return value  # traces make tensors of sizes, to compute with them and take the number out again


_PRIM: dict[str, Callable[..., Any]] = {
    "NumToTensor": _number_to_tensor, "RaiseException": _raise, "dtype": lambda x: _CODES[x.dtype],
    "device": lambda x: x.device, "layout": lambda x: 0, "is_cuda": lambda x: False, "is_cpu": lambda x: True,
    "is_quantized": lambda x: x.is_quantized, "is_sparse": lambda x: False, "is_nested": lambda x: False,
    "is_meta": lambda x: False,
    "is_mkldnn": lambda x: False, "is_mps": lambda x: False, "is_vulkan": lambda x: False,
    "requires_grad": lambda x: x.requires_grad, "grad": lambda x: None, "data": lambda x: x.detach(),
    "unchecked_unwrap_optional": lambda x: x, "unchecked_cast": lambda x: x, "TupleIndex": lambda x, i: x[i],
    "itemsize": lambda x: x.itemsize, "min": min, "max": max, "abs": abs, "shape": lambda x: list(x.shape),
    "type": lambda x: x.type, "AutogradZero": lambda: None, "Print": _warn, "tolist": lambda x, *_: x.tolist(),
    "T": lambda x: x.T, "mT": lambda x: x.mT, "H": lambda x: x.H, "index": lambda d: d.index,
    "ndim": lambda x: x.dim(), "name": lambda x: None,
}  # fmt: skip

__all__ = ["DTYPES", "Raised", "call_operator", "within_bounds"]
