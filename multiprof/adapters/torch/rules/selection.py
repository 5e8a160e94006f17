"""One element of a line by its order, and different elements: torch's own kernels give the results."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, between, normal_axis
from multiprof.adapters.torch.rules.ordering import line, results
from multiprof.adapters.torch.table import ATEN, rule
from multiprof.adapters.torch.tracer import Tracer

# -- one element of a line ------------------------------------------------------------


def _kth(t: Tracer, x: Tensor, k: int, axis: int, n: int, values: Tensor, indices: Tensor) -> None:
    """The k smallest elements of every line in order, and the last of them with its position."""
    shape = [k if i == axis else size for i, size in enumerate(x.shape)]
    smallest = {"y": between(shape, x.dtype), "indices": between(shape, torch.int64)}
    attrs = {"axis": axis, "k": k, "n": n, "largest": False, "sorted": True}
    t.emit("topk", {"x": x}, smallest, attrs, "topk")
    for (role, found), result in zip(smallest.items(), (values, indices), strict=True):
        t.emit("slice", {"x": found}, {"y": result}, {"index": f"{role} {k - 1} along {axis}"}, "slice")


@rule(aten="kthvalue")
def kthvalue(t: Tracer, self: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    values, indices = results(t)
    axis, n = line(self, dim)
    _kth(t, self, int(k), axis, n, values, indices)
    return values, indices


@rule(aten=("median", "nanmedian"))
def median(t: Tracer, self: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Of an even number of elements the lower one of the two in the middle; without a dimension, of all elements."""
    made = results(t)
    if dim is None:
        n = self.numel()
        smallest = between(((n + 1) // 2,), self.dtype)
        attrs = {"axis": 0, "k": (n + 1) // 2, "n": n, "largest": False, "sorted": True}
        t.emit("topk", {"x": self}, {"y": smallest}, attrs, "topk")
        t.emit("slice", {"x": smallest}, {"y": made[0]}, {"index": "the last"}, "slice")
        return made[0]
    axis, n = line(self, dim)
    _kth(t, self, (n + 1) // 2, axis, n, made[0], made[1])
    return tuple(made)


@rule(aten="mode")
def mode(t: Tracer, self: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    values, indices = results(t)
    axis, n = line(self, dim)
    attrs = {"axis": (axis,), "keepdim": bool(keepdim), "n": n}
    t.emit("mode", {"x": self}, {"y": values, "indices": indices}, attrs)
    return values, indices


# -- different elements ------------------------------------------------------------


def _unique(t: Tracer, x: Tensor, flags: tuple[bool, bool], attrs: dict[str, Any]) -> Any:
    made = results(t)
    outputs = {"y": made[0]}
    for role, asked, tensor in zip(("inverse", "counts"), flags, made[1:], strict=False):
        if asked:
            outputs[role] = tensor
    t.emit("unique", {"x": x}, outputs, attrs)
    return tuple(made)


@rule(aten=("_unique2", "_unique"))
def unique(
    t: Tracer, self: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    return _unique(t, self, (return_inverse, return_counts), {"sorted": bool(sorted)})


def _from_python(
    t: Tracer,
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """``torch.unique`` itself, where the model runs for its values; it returns what was asked for alone."""
    attrs: dict[str, Any] = {"sorted": bool(sorted)} | ({} if dim is None else {"axis": normal_axis(dim, input.dim())})
    made = results(t)
    roles = ["y", *(["inverse"] if return_inverse else []), *(["counts"] if return_counts else [])]
    t.emit("unique", {"x": input}, dict(zip(roles, made, strict=True)), attrs)
    return made


ATEN["functional.unique"] = _from_python


@rule(aten="unique_consecutive")
def unique_consecutive(
    t: Tracer, self: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Neighbours alone are compared."""
    made = results(t)
    if dim is not None:
        return NotImplemented
    test = between((max(self.numel() - 1, 0),), torch.bool)
    t.emit("not_equal", {"x0": self, "x1": self}, {"y": test}, None, "not_equal")
    t.emit("index", {"x": self, "x0": test}, {f"y{i}" if i else "y": y for i, y in enumerate(made[:1])}, None, "index")
    return made[0] if len(made) == 1 else NotImplemented


@rule(aten="unique_dim")
def unique_dim(
    t: Tracer,
    self: Tensor,
    dim: int,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
) -> Any:
    attrs = {"axis": normal_axis(dim, self.dim()), "sorted": bool(sorted)}
    return _unique(t, self, (return_inverse, return_counts), attrs)
