"""Tensors out of nothing: constants, progressions, and data written into the program."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import torch

from multiprof.adapters.torch.foreign import plain
from multiprof.adapters.torch.mode import map_tensors, tensors_in
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._create import create, literal, new_strides
from multiprof.adapters.torch.rules._moves import number, sizes
from multiprof.adapters.torch.rules.copies import converted, copied
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import META, Tracer
from multiprof.ir import ALIAS_ROLE

# -- one value ---------------------------------------------------------------------------------------------------------


def filled(
    t: Tracer, shape: Sequence[int], value: Any, dtype: Any = None, *, stride: Any = None, **options: Any
) -> Any:
    """Emit a tensor of one value; ``None`` for memory that is not written."""
    dtype = dtype or torch.get_default_dtype()

    def build() -> Tensor:
        return torch.zeros(shape, dtype=dtype) if not value else torch.full(shape, value, dtype=dtype)

    return create(t, "fill", shape, dtype, {"value": plain(value)}, build, stride=stride, **options)


def _factory(name: str, value: Any) -> None:
    @rule(f"torch.{name}", aten=name)
    def make(t: Tracer, *size: Any, dtype: Any = None, **options: Any) -> Any:
        shape = sizes(t, size or (options.pop("size"),))
        return filled(t, shape, value, dtype, **options)

    @rule(f"torch.{name}_like", aten=f"{name}_like")
    def make_like(t: Tracer, input: Tensor, *, dtype: Any = None, memory_format: Any = None, **options: Any) -> Any:
        stride = new_strides(t, input, memory_format)
        return filled(t, input.shape, value, dtype or input.dtype, stride=stride, **options)

    @rule(f"Tensor.new_{name}", aten=f"new_{name}")
    def make_new(t: Tracer, input: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Any:
        shape = sizes(t, size or (options.pop("size"),))
        return filled(t, shape, value, dtype or input.dtype, **options)


_factory("zeros", 0)
_factory("ones", 1)
_factory("empty", None)


def _scalar(t: Tracer, value: Any) -> Any:
    return t.value(value).item() if isinstance(value, Tensor) else value


@rule("torch.full", aten="full")
def full(t: Tracer, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Any:
    value = _scalar(t, fill_value)
    if dtype is None:
        dtype = {bool: torch.bool, int: torch.int64, float: None}[type(value)]
    return filled(t, sizes(t, (size,)), value, dtype, **options)


@rule("torch.full_like", aten="full_like")
def full_like(
    t: Tracer, input: Tensor, fill_value: Any, *, dtype: Any = None, memory_format: Any = None, **options: Any
) -> Any:
    stride = new_strides(t, input, memory_format)
    return filled(t, input.shape, _scalar(t, fill_value), dtype or input.dtype, stride=stride, **options)


@rule("Tensor.new_full", aten="new_full")
def new_full(t: Tracer, input: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Any:
    return filled(t, sizes(t, (size,)), _scalar(t, fill_value), dtype or input.dtype, **options)


@rule("torch.empty_strided", aten="empty_strided")
def empty_strided(t: Tracer, size: Any, stride: Any, *, dtype: Any = None, **options: Any) -> Any:
    return filled(t, sizes(t, (size,)), None, dtype, stride=sizes(t, (stride,)), **options)


@rule("torch.empty_permuted", aten="empty_permuted")
def empty_permuted(t: Tracer, size: Any, physical_layout: Any, *, dtype: Any = None, **options: Any) -> Any:
    shape = sizes(t, (size,))
    if sorted(physical_layout) != list(range(len(shape))):
        return NotImplemented
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(physical_layout):
        strides[axis] = step
        step *= shape[axis] or 1
    return filled(t, shape, None, dtype, stride=strides, **options)


@rule("Tensor.new_empty_strided", aten="new_empty_strided")
def new_empty_strided(t: Tracer, input: Tensor, size: Any, stride: Any, *, dtype: Any = None, **options: Any) -> Any:
    return filled(t, sizes(t, (size,)), None, dtype or input.dtype, stride=sizes(t, (stride,)), **options)


@rule("torch.scalar_tensor", aten="scalar_tensor")
def scalar_tensor(t: Tracer, s: Any, *, dtype: Any = None, **options: Any) -> Any:
    return filled(t, (), _scalar(t, s), dtype, **options)


@rule("Tensor.new")
def new(t: Tracer, input: Tensor, *args: Any, **options: Any) -> Any:
    """The legacy constructor, for shapes alone."""
    if options or not all(type(a) is int or isinstance(a, torch.Size) for a in args):
        return NotImplemented
    return filled(t, sizes(t, args or (0,)), None, input.dtype)


# -- in place ----------------------------------------------------------------------------------------------------------


def fill_in(t: Tracer, x: Tensor, value: Any) -> Tensor:
    """Emit that every element of ``x`` becomes ``value``; what stood there is not read."""
    return t.write("fill", x, {}, {"value": plain(value)}, ALIAS_ROLE)


@rule("Tensor.zero_", "torch.zero_", aten="zero_")
def zero_(t: Tracer, input: Tensor) -> Any:
    return fill_in(t, input, 0)


@rule("Tensor.fill_", "torch.fill_", aten="fill_")
def fill_(t: Tracer, input: Tensor, value: Any) -> Any:
    if isinstance(value, Tensor):
        if value.dim() != 0:
            return NotImplemented
        return t.write("copy", input, {"x": value, "dest": input}, role="dest")
    if isinstance(value, complex) and not input.is_complex():
        return NotImplemented
    return fill_in(t, input, value)


@rule("torch.nn.init.constant_")
def constant_(t: Tracer, tensor: Tensor, val: Any) -> Any:
    return fill_in(t, tensor, val)


# -- progressions ------------------------------------------------------------------------------------------------------


@rule("torch.arange", aten="arange")
def arange(t: Tracer, start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, **options: Any) -> Any:
    if t.forced is not None:
        return create(t, "arange", (), torch.int64, {}, torch.Tensor)
    given = (0, start, step) if end is None else (start, end, step)
    start, end, step = (_scalar(t, n) for n in given)
    if dtype is not None and all(type(n) in (int, float) and n == n // 1 for n in (start, end, step)):
        start, end, step = int(start), int(end), int(step)
    whole = all(type(n) is int for n in (start, end, step))
    if not whole and not all(type(n) in (int, float) for n in (start, end, step)):
        return NotImplemented
    if step == 0 or (end - start) * step < 0:
        return NotImplemented
    count = -((start - end) // step) if whole else ceil((end - start) / step)
    if dtype is None:
        dtype = torch.int64 if whole else torch.get_default_dtype()
    elif not whole and not dtype.is_floating_point:
        return NotImplemented
    return create(t, "arange", (count,), dtype, {}, lambda: torch.arange(start, end, step, dtype=dtype), **options)


def _spaced(name: str) -> None:
    function = getattr(torch, name)

    @rule(f"torch.{name}", aten=name)
    def spaced(t: Tracer, start: Any, end: Any, steps: Any, *rest: Any, dtype: Any = None, **options: Any) -> Any:
        start, end, steps = _scalar(t, start), _scalar(t, end), number(t, steps)
        if isinstance(start, complex) or isinstance(end, complex):
            return NotImplemented
        dtype = dtype or torch.get_default_dtype()
        base = [options.pop("base")] if "base" in options else rest
        return create(
            t, "arange", (steps,), dtype, {}, lambda: function(start, end, steps, *base, dtype=dtype), **options
        )


_spaced("linspace")
_spaced("logspace")


@rule("torch.eye", aten="eye")
def eye(t: Tracer, n: Any, m: Any = None, *, dtype: Any = None, **options: Any) -> Any:
    rows = number(t, n)
    columns = rows if m is None else number(t, m)
    dtype = dtype or torch.get_default_dtype()
    return create(t, "constant", (rows, columns), dtype, {}, lambda: torch.eye(rows, columns, dtype=dtype), **options)


def _constant(name: str) -> None:
    """Integer tables and windows: made for real, whatever their size, since only that tells their shape."""
    function = getattr(torch, name)

    @rule(f"torch.{name}", aten=name)
    def table(t: Tracer, *args: Any, device: Any = None, requires_grad: bool = False, **options: Any) -> Any:
        if t.forced is not None:
            y = t.forced.pop(0)
            t.emit("constant", {}, {"y": y})
            return y
        numbers = [_scalar(t, a) for a in args]
        return literal(t, function(*numbers, **{k: v for k, v in options.items() if k != "pin_memory"}), device)


for _name in (
    "tril_indices",
    "triu_indices",
    "hann_window",
    "hamming_window",
    "bartlett_window",
    "blackman_window",
    "kaiser_window",
):
    _constant(_name)

# -- data of the program -----------------------------------------------------------------------------------------------


def _from_tensors(t: Tracer, data: Any, dtype: Any) -> Any:
    """A list in which tensors of one element stand: its shape is that of the list, its values theirs."""
    parts = tensors_in(data)
    if any(x.numel() != 1 for x in parts):
        return NotImplemented
    shape = torch.tensor(map_tensors(lambda x: torch.zeros((1,) * x.dim(), dtype=x.dtype), data), dtype=dtype)
    y = torch.empty(shape.shape, dtype=shape.dtype, device=META)
    t.emit("stack", {f"x{i}": x for i, x in enumerate(parts)}, {"y": y}, {"axis": 0})
    return y


@rule("torch.tensor")
def tensor(
    t: Tracer,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    if isinstance(data, Tensor):
        return NotImplemented  # torch warns, and copies
    if isinstance(data, (list, tuple)) and tensors_in(data):
        y = _from_tensors(t, data, dtype)
    else:
        y = literal(t, torch.tensor(data, dtype=dtype), device)
    return y.requires_grad_() if requires_grad and isinstance(y, Tensor) else y


@rule("torch.as_tensor", "torch.asarray")
def as_tensor(
    t: Tracer, data: Any, dtype: Any = None, device: Any = None, *, copy: bool | None = None, **options: Any
) -> Any:
    if options:
        return NotImplemented
    if isinstance(data, Tensor):
        return converted(t, data, dtype, bool(copy))
    if isinstance(data, (list, tuple)) and tensors_in(data):
        return _from_tensors(t, data, dtype)
    return literal(t, torch.as_tensor(data, dtype=dtype), device)


@rule("Tensor.new_tensor")
def new_tensor(t: Tracer, input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, **options: Any) -> Any:
    if options or isinstance(data, Tensor):
        return NotImplemented
    return tensor(t, data, dtype=dtype or input.dtype, device=device)


@rule(aten="lift_fresh_copy")
def lift_fresh_copy(t: Tracer, input: Tensor) -> Any:
    return copied(t, input)


@rule(aten=("resize_as_", "resize_"))
def resize_(t: Tracer, input: Tensor, *size: Any, **options: Any) -> Any:
    """Other memory, which is taken as it is."""
    return t.write("fill", input, {}, {"value": None}, ALIAS_ROLE)
