"""Reductions along dimensions, and running sums and products along one."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, is_regular, normal_axes, normal_axis
from multiprof.adapters.torch.rules._promotion import BOOL, FLOATS, INTEGERS, REAL, number
from multiprof.adapters.torch.rules._writing import check_writable
from multiprof.adapters.torch.rules.binary import ANY, binary
from multiprof.adapters.torch.table import Rule, rule
from multiprof.adapters.torch.tracer import Tracer

_INT64 = torch.int64


def _reduced(x: Tensor, dim: Any, keepdim: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The reduced axes, non-negative, and the shape of the result; raises `Unsure` for a tensor without elements."""
    shape = tuple(x.shape)
    if 0 in shape:
        raise Unsure
    axes = normal_axes(dim, len(shape))
    if keepdim:
        return axes, tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return axes, tuple([n for i, n in enumerate(shape) if i not in axes])


def _reduce(
    t: Tracer, op: str, x: Tensor, dim: Any, keepdim: bool, dtype: torch.dtype, attrs: dict[str, Any] | None = None
) -> Tensor:
    """Emit ``op``; the result is contiguous, whatever the strides of ``x``."""
    axes, shape = _reduced(x, dim, keepdim)
    y = t.new(shape, dtype)
    merged = {"axis": axes, "keepdim": bool(keepdim)}
    if attrs:
        merged.update(attrs)
    t.emit(op, {"x": x}, {"y": y}, merged)
    return y


def _choice(dim: Any, axis: Any) -> Any:
    """torch takes numpy's name for a dimension as well."""
    return axis if dim is None else dim


def _accumulated(x: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """Sums and products of integers are 64 bits wide."""
    result = x.dtype if dtype is None else dtype
    if x.dtype not in REAL or result not in REAL:
        raise Unsure
    return result if dtype is not None or result in FLOATS else _INT64


def _floats(x: Tensor) -> torch.dtype:
    if x.dtype not in FLOATS:
        raise Unsure
    return x.dtype


@rule("torch.sum", "Tensor.sum", aten="sum")
def sum_(
    t: Tracer,
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    return _reduce(t, "sum", input, _choice(dim, axis), keepdim or keepdims, _accumulated(input, dtype))


@rule("torch.mean", "Tensor.mean", aten="mean")
def mean(
    t: Tracer,
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    result = input.dtype if dtype is None else dtype
    if result not in FLOATS or input.dtype not in REAL:
        return NotImplemented
    return _reduce(t, "mean", input, _choice(dim, axis), keepdim or keepdims, result)


@rule("torch.prod", "Tensor.prod", aten="prod")
def product(
    t: Tracer,
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    dim = _choice(dim, axis)
    if dim is not None and type(dim) is not int:
        return NotImplemented
    return _reduce(t, "prod", input, dim, keepdim or keepdims, _accumulated(input, dtype))


# -- the largest, the smallest, and where they are --------------------------------------------------------------------


def _extreme(op: str, result: Any) -> Rule:
    def apply(
        t: Tracer,
        input: Tensor,
        dim: Any = None,
        keepdim: bool = False,
        *,
        other: Any = None,
        axis: Any = None,
        keepdims: bool = False,
    ) -> Any:
        """Of all elements; along a dimension, with positions; or of two tensors, element by element."""
        dim = _choice(dim, axis)
        other = dim if isinstance(dim, Tensor) else other
        if other is not None:
            return binary(t, "maximum" if op == "max" else "minimum", input, other, ANY)
        if input.dtype not in REAL:
            return NotImplemented
        if dim is None:
            return _reduce(t, op, input, None, False, input.dtype)
        if type(dim) is not int:
            return NotImplemented
        keepdim = bool(keepdim or keepdims)
        axes, shape = _reduced(input, dim, keepdim)
        values, indices = t.new(shape, input.dtype), t.new(shape, _INT64)
        t.emit(op, {"x": input}, {"y": values, "indices": indices}, {"axis": axes, "keepdim": keepdim})
        return result((values, indices))

    return apply


def _extreme_value(op: str) -> Rule:
    def apply(
        t: Tracer, input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        if input.dtype not in REAL:
            return NotImplemented
        return _reduce(t, op, input, dim if axis is None else axis, keepdim or keepdims, input.dtype)

    return apply


def _position(op: str) -> Rule:
    def apply(
        t: Tracer, input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        dim = _choice(dim, axis)
        if input.dtype not in FLOATS and input.dtype not in INTEGERS:
            return NotImplemented
        if dim is not None and type(dim) is not int:
            return NotImplemented
        return _reduce(t, op, input, dim, keepdim or keepdims, _INT64)

    return apply


for _op in ("max", "min"):
    rule(f"torch.{_op}", f"Tensor.{_op}", aten=_op)(_extreme(_op, getattr(torch.return_types, _op)))
    rule(f"torch.a{_op}", f"Tensor.a{_op}", aten=f"a{_op}")(_extreme_value(_op))
    rule(f"torch.arg{_op}", f"Tensor.arg{_op}", aten=f"arg{_op}")(_position(f"arg{_op}"))


# -- tests of several elements ----------------------------------------------------------------------------------------


def _quantifier(op: str) -> Rule:
    def apply(
        t: Tracer, input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        if input.dtype not in REAL:
            return NotImplemented
        dim = _choice(dim, axis)
        dtype = torch.uint8 if input.dtype is torch.uint8 else BOOL
        return _reduce(t, op, input, dim, keepdim or keepdims, dtype)

    return apply


for _op in ("any", "all"):
    rule(f"torch.{_op}", f"Tensor.{_op}", aten=_op)(_quantifier(_op))


@rule(aten=("_is_all_true", "_is_any_true"))
def flag(t: Tracer, self: Tensor) -> Any:
    """Of all elements, whichever of the two it is: as many logical operations."""
    return _reduce(t, "all", self, None, False, BOOL)


@rule("torch.count_nonzero", "Tensor.count_nonzero", aten="count_nonzero")
def count_nonzero(t: Tracer, input: Tensor, dim: Any = None) -> Any:
    if input.dtype not in REAL:
        return NotImplemented
    return _reduce(t, "count_nonzero", input, dim, False, _INT64)


# -- spread -----------------------------------------------------------------------------------------------------------


def _spread(op: str, with_mean: bool) -> Rule:
    def apply(
        t: Tracer,
        input: Tensor,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
        axis: Any = None,
        keepdims: bool = False,
    ) -> Any:
        """Called as (unbiased), (dim, unbiased, keepdim) or (dim, correction=, keepdim=)."""
        if type(dim) is bool:
            dim, unbiased = None, dim
        dim = _choice(dim, axis)
        dtype = _floats(input)
        keepdim = bool(keepdim or keepdims)
        axes, shape = _reduced(input, dim, keepdim)
        if unbiased is not None:
            correction = int(unbiased)
        attrs = {"axis": axes, "keepdim": keepdim, "correction": 1 if correction is None else number(correction)}
        y = t.new(shape, dtype)
        outputs = {"y": y}
        if with_mean:
            outputs["mean"] = t.new(shape, dtype)
        t.emit(op, {"x": input}, outputs, attrs)
        return (y, outputs["mean"]) if with_mean else y

    return apply


for _name, _op in (("var", "variance"), ("std", "std")):
    rule(f"torch.{_name}", f"Tensor.{_name}", aten=_name)(_spread(_op, False))
    rule(f"torch.{_name}_mean", aten=f"{_name}_mean")(_spread(_op, True))


# -- norms of vectors -------------------------------------------------------------------------------------------------


def _vector_norm(t: Tracer, x: Tensor, order: Any, dim: Any, keepdim: bool) -> Tensor:
    order = number(order)
    if t.forced is None and 1 in x.shape and not is_regular(x):
        raise Unsure  # along a size of 1 torch takes the absolute value, and keeps strides
    return _reduce(t, "norm", x, dim, keepdim, _floats(x), {"ord": order})


@rule("linalg.vector_norm", aten="linalg_vector_norm")
def vector_norm(
    t: Tracer, x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Any:
    if dtype is not None and dtype is not x.dtype:
        return NotImplemented
    return _vector_norm(t, x, ord, dim, keepdim)


@rule("linalg.norm")
def linalg_norm(
    t: Tracer, A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Any:
    """A norm of vectors; with an order and two dimensions it is one of matrices, which is left to torch."""
    if dtype is not None or (ord is not None and type(dim) is not int and (dim is not None or A.dim() != 1)):
        return NotImplemented
    if dim is not None and type(dim) is not int and len(dim) > 2:
        return NotImplemented
    return _vector_norm(t, A, 2 if ord is None else ord, dim, keepdim)


@rule("torch.norm", "Tensor.norm")
def norm(
    t: Tracer,
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Any = None,
    dtype: torch.dtype | None = None,
) -> Any:
    """The Frobenius norm is the 2-norm of all the elements."""
    if out is not None or dtype is not None:
        return NotImplemented
    if p == "fro" and (dim is None or type(dim) is int or len(dim) <= 2):
        p = 2.0
    if type(p) not in (int, float):
        return NotImplemented
    return _vector_norm(t, input, p, dim, keepdim)


@rule(aten="norm")
def aten_norm(t: Tracer, input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    return _vector_norm(t, input, 2 if p is None else p, dim, keepdim)


@rule("torch.logsumexp", "Tensor.logsumexp", "special.logsumexp", aten=("logsumexp", "special_logsumexp"))
def logsumexp(t: Tracer, input: Tensor, dim: Any, keepdim: bool = False) -> Any:
    if dim is None:
        return NotImplemented
    return _reduce(t, "logsumexp", input, dim, keepdim, _floats(input))


# -- running sums and products ----------------------------------------------------------------------------------------


def _running(op: str) -> Rule:
    def apply(t: Tracer, input: Tensor, dim: Any = None, *, dtype: torch.dtype | None = None, axis: Any = None) -> Any:
        at = normal_axis(_choice(dim, axis), input.dim())
        y = t.new(input.shape, _accumulated(input, dtype))
        t.emit(op, {"x": input}, {"y": y}, {"axis": (at,)})
        return y

    return apply


def _running_(op: str) -> Rule:
    def apply(t: Tracer, input: Tensor, dim: Any = None, *, dtype: torch.dtype | None = None, axis: Any = None) -> Any:
        if dtype is not None and dtype is not input.dtype:
            return NotImplemented
        at = normal_axis(_choice(dim, axis), input.dim())
        check_writable(t, input, input.dtype)
        return t.write(op, input, {"x": input}, {"axis": (at,)})

    return apply


for _op in ("cumsum", "cumprod"):
    rule(f"torch.{_op}", f"Tensor.{_op}", aten=_op)(_running(_op))
    rule(f"Tensor.{_op}_", aten=f"{_op}_")(_running_(_op))


# torch's own kernels give the results of these


def _running_extreme(op: str) -> Rule:
    def apply(t: Tracer, self: Tensor, dim: int) -> Any:
        values, indices = t.new(self.shape, self.dtype), t.new(self.shape, _INT64)
        t.emit(op, {"x": self}, {"y": values, "indices": indices}, {"axis": (normal_axis(dim, self.dim()),)})
        return values, indices

    return apply


for _op in ("cummax", "cummin"):
    rule(aten=_op)(_running_extreme(_op))


@rule(aten="logcumsumexp")
def logcumsumexp(t: Tracer, self: Tensor, dim: int) -> Any:
    y = t.new(self.shape, self.dtype)
    t.emit("logcumsumexp", {"x": self}, {"y": y}, {"axis": (normal_axis(dim, self.dim()),)})
    return y


@rule(aten="aminmax")
def aminmax(t: Tracer, self: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest, each looked for."""
    axes, shape = _reduced(self, dim, keepdim)
    found = []
    for op in ("min", "max"):
        found.append(t.new(shape, self.dtype))
        t.emit(op, {"x": self}, {"y": found[-1]}, {"axis": axes, "keepdim": bool(keepdim)})
    return tuple(found)
