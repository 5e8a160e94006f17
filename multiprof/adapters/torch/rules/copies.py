"""The same elements elsewhere, or as another dtype: clone, contiguous, to, copy_, and what shares all elements."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.rules._common import Tensor, broadcast
from multiprof.adapters.torch.rules._moves import Base, like_strides, made, suggested_format
from multiprof.adapters.torch.table import STAYING, lookup, rule
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import VIEW

# -- the same elements -------------------------------------------------------------------------------------------------


@rule("Tensor.data.__get__")
def data(t: Tracer, input: Tensor) -> Any:
    if t.train:
        return _detached(t, input, input.data)
    return t.same(input, input.data)  # unlike a detached tensor, it has a version counter of its own


@rule(
    "torch.detach",
    "Tensor.detach",
    aten=("detach", "alias", "lift", "lift_fresh", "_lazy_clone"),
)
def detach(t: Tracer, input: Tensor) -> Any:
    y = made(t, Base.detach, input)
    return _detached(t, input, y) if t.train else t.same(input, y)


def _detached(t: Tracer, x: Tensor, y: Tensor) -> Tensor:
    """In the training form a tensor of its own: no gradient goes back through it."""
    t.emit("identity", {"x": x}, {"y": y}, {"detached": True}, "detach", (("y", "x", VIEW),))
    t.relate(x, y)
    return y


@rule(
    "torch.resolve_conj", "Tensor.resolve_conj", "torch.resolve_neg", "Tensor.resolve_neg", "torch.conj", "Tensor.conj"
)
def resolved(t: Tracer, input: Tensor) -> Any:
    return NotImplemented if input.is_complex() else input


# -- copies ------------------------------------------------------------------------------------------------------------


def copied(t: Tracer, x: Tensor, memory_format: Any = None) -> Tensor:
    y = t.new_strided(x.shape, like_strides(x, memory_format), x.dtype)
    t.emit("copy", {"x": x}, {"y": y})
    return y


@rule("torch.clone", "Tensor.clone", aten="clone")
def clone(t: Tracer, input: Tensor, *, memory_format: Any = None) -> Any:
    if input.layout is not torch.strided:
        return NotImplemented
    return copied(t, input, memory_format)


@rule("Tensor.__deepcopy__")
def deepcopy(t: Tracer, input: Tensor, memo: Any) -> Any:
    return copied(t, input)


@rule("Tensor.contiguous", aten="contiguous")
def contiguous(t: Tracer, input: Tensor, memory_format: Any = torch.contiguous_format) -> Any:
    if memory_format is torch.preserve_format:
        return NotImplemented
    if input.is_contiguous(memory_format=memory_format):
        return input
    return copied(t, input, memory_format)


def cast(t: Tracer, x: Tensor, dtype: torch.dtype, memory_format: Any = None) -> Tensor:
    """Emit the conversion of ``x`` to ``dtype``."""
    y = t.new_strided(x.shape, like_strides(x, memory_format), dtype)
    t.emit("cast", {"x": x}, {"y": y}, {"dtype": NAMES[dtype]})
    return y


def converted(t: Tracer, x: Tensor, dtype: Any, copy: bool = False, memory_format: Any = None) -> Any:
    """``x`` as ``dtype`` (``None``: its own) in a memory format: itself where nothing has to be done."""
    if x.layout is not torch.strided or x.is_quantized:
        return NotImplemented
    if dtype is not None and dtype is not x.dtype:
        if x.is_complex() and not dtype.is_complex:
            return NotImplemented  # torch warns that the imaginary part is lost
        return cast(t, x, dtype, memory_format)
    if copy:
        return copied(t, x, memory_format)
    if memory_format in (None, torch.preserve_format) or suggested_format(x) is memory_format:
        return x
    return copied(t, x, memory_format)


@rule("Tensor.to")
def to(
    t: Tracer,
    input: Tensor,
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    other: Tensor | None = None,
) -> Any:
    flags = []
    for value in args:
        if isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, Tensor):
            other = value
        elif type(value) is bool:
            flags.append(value)
        elif value is not None and not isinstance(value, (str, int, torch.device)):
            return NotImplemented
    if other is not None:
        dtype = other.dtype
    if len(flags) > 1:
        copy = flags[1]
    return converted(t, input, dtype, copy, memory_format)


@rule(aten="_to_copy")
def _to_copy(
    t: Tracer,
    input: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
) -> Any:
    return converted(t, input, dtype, True, memory_format)


_CASTS = {
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
    "int": torch.int32,
    "long": torch.int64,
    "short": torch.int16,
    "char": torch.int8,
    "byte": torch.uint8,
    "bool": torch.bool,
    "cfloat": torch.complex64,
    "cdouble": torch.complex128,
}


def _cast_method(name: str, dtype: torch.dtype) -> None:
    @rule(f"Tensor.{name}")
    def method(t: Tracer, input: Tensor, memory_format: Any = None) -> Any:
        return converted(t, input, dtype, False, memory_format)


for _name, _dtype in _CASTS.items():
    _cast_method(_name, _dtype)

_TYPE_NAMES = {torch.empty(0, dtype=dtype).type().rpartition(".")[2]: dtype for dtype in _CASTS.values()}


@rule("Tensor.type")
def type_(t: Tracer, input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    if dtype is None:
        name = next(n for n, d in _TYPE_NAMES.items() if d is input.dtype)
        return f"torch.{'' if t.device.type == 'cpu' else t.device.type + '.'}{name}"
    if not isinstance(dtype, torch.dtype):
        dtype = _TYPE_NAMES[(dtype if isinstance(dtype, str) else dtype.__name__).rpartition(".")[2]]
    return converted(t, input, dtype)


@rule("Tensor.type_as")
def type_as(t: Tracer, input: Tensor, other: Tensor) -> Any:
    return converted(t, input, other.dtype)


@rule("Tensor.cpu", "Tensor.cuda", "Tensor.xpu", "Tensor.ipu", "Tensor.mtia")
def moved(t: Tracer, input: Tensor, *args: Any, memory_format: Any = None, **kwargs: Any) -> Any:
    return converted(t, input, None, False, memory_format)


def _stay(tensor: Tensor, *args: Any, memory_format: Any = None, **kwargs: Any) -> Tensor:
    return tensor if memory_format is None else tensor.to(memory_format=memory_format)


def _to_here(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``Tensor.to`` without its device."""
    kept: list[Any] = [a for a in args if not isinstance(a, (str, int, torch.device, type(None))) or type(a) is bool]
    if not kept and not kwargs.keys() & {"dtype", "copy", "memory_format", "other"}:
        return tensor
    if kept and type(kept[0]) is bool:
        kept.insert(0, tensor.dtype)
    return tensor.to(*kept, **{k: v for k, v in kwargs.items() if k != "device"})


for _name in ("cpu", "cuda", "xpu", "ipu", "mtia"):
    STAYING[lookup(f"Tensor.{_name}")] = _stay
STAYING[lookup("Tensor.to")] = _to_here


# -- into memory that is there -----------------------------------------------------------------------------------------


def copy_into(t: Tracer, x: Tensor, source: Tensor) -> Tensor:
    """Emit that the elements of ``x`` become those of ``source``, broadcast and converted."""
    if broadcast(source.shape, x.shape) != tuple(x.shape):
        raise ValueError("a source larger than the destination")
    if source.dtype is not x.dtype:
        if source.is_complex() and not x.is_complex():
            raise TypeError("torch warns that the imaginary part is lost")
        if t.forced is not None:
            converted = torch.empty_strided(source.shape, like_strides(source), dtype=x.dtype, device="meta")
            t.emit("cast", {"x": source}, {"y": converted}, {"dtype": NAMES[x.dtype]})
            source = converted
        else:
            source = cast(t, source, x.dtype)
    return t.write("copy", x, {"x": source, "dest": x}, role="dest")


@rule("Tensor.copy_", aten="copy_")
def copy_(t: Tracer, input: Tensor, src: Any, non_blocking: bool = False) -> Any:
    if not isinstance(src, Tensor):
        return NotImplemented
    return copy_into(t, input, src)
