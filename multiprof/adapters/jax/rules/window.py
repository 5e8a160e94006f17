"""Windows: pooling, sums over windows, and the gradient of max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from multiprof.adapters.jax.rules.conv import _SPATIAL
from multiprof.adapters.jax.rules.reduction import joining
from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value
from multiprof.adapters.jax.walker import Walker
from multiprof.ir import VIEW, TensorSpec

# A sum over windows on its way to an average; what is left of these is written out at the end (`patterns`).
WINDOW_SUM = "jax.reduce_window_sum"


def window_attrs(params: Any, rank: int) -> dict[str, Any]:
    """Window, strides, padding and dilation of the dimensions that have any, as the vocabulary writes them."""
    size = tuple(params["window_dimensions"])
    stride = tuple(params["window_strides"])
    padding = tuple((int(lo), int(hi)) for lo, hi in params["padding"])
    dilation = tuple(params.get("window_dilation") or (1,) * rank)
    still = [size[i] == 1 and stride[i] == 1 and padding[i] == (0, 0) for i in range(rank)]
    spatial: Sequence[int] = [i for i in range(rank) if not still[i]]
    data_format = ""
    if 3 <= rank <= 5 and still[0] and still[-1]:
        spatial, data_format = range(1, rank - 1), "N" + _SPATIAL[rank - 2] + "C"
    elif 3 <= rank <= 5 and still[0] and still[1]:
        spatial, data_format = range(2, rank), "NC" + _SPATIAL[rank - 2]
    attrs: dict[str, Any] = {
        "kernel_size": tuple(size[i] for i in spatial),
        "stride": tuple(stride[i] for i in spatial),
        "padding": tuple(padding[i] for i in spatial),
        "dilation": tuple(dilation[i] for i in spatial),
    }
    return attrs | ({"data_format": data_format} if data_format else {})


def windows(w: Walker, x: Value, y: TensorSpec, attrs: dict[str, Any]) -> TensorSpec:
    """The windows of x, as many as y has elements: a view with the window as its last dimension."""
    columns = w.new((*y.shape, prod(attrs["kernel_size"])), w.tensor(x).dtype)
    w.emit("unfold", {"x": x}, {"y": columns}, attrs, aliases=(("y", "x", VIEW),))
    return columns


def _reduce(w: Walker, op: str, x: Value, y: TensorSpec, attrs: dict[str, Any]) -> None:
    if op == "max":
        w.emit("max_pool", {"x": x}, {"y": y}, attrs)
    elif op == "sum":
        inputs = {} if isinstance(x, Fill) else {"x": x}
        w.emit(WINDOW_SUM, inputs, {"y": y}, attrs | ({"value": x.value} if isinstance(x, Fill) else {}))
    else:
        columns = windows(w, x, y, attrs)
        w.emit(op, {"x": columns}, {"y": y}, {"axis": (len(y.shape),), "keepdim": False})


@rule("reduce_window_max", "reduce_window_min", "reduce_window_sum")
def reduce_window(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    y = w.like(eqn.outvars[0])
    attrs = window_attrs(eqn.params, len(x.shape))
    _reduce(w, eqn.primitive.name.removeprefix("reduce_window_"), _spread(w, eqn, x), y, attrs)
    return [y]


@rule("reduce_window")
def general(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """``lax.reduce_window`` with a function of its own: read where that is one known operation."""
    op = joining(eqn.params["jaxpr"])
    if len(eqn.outvars) != 1 or op is None:
        return NotImplemented
    x = values[0]
    y = w.like(eqn.outvars[0])
    _reduce(w, op, _spread(w, eqn, x), y, window_attrs(eqn.params, len(x.shape)))
    return [y]


def _spread(w: Walker, eqn: Any, x: Value) -> Value:
    """The input with holes between its elements, where the window runs over such a one."""
    holes = tuple(eqn.params.get("base_dilation") or ())
    if all(n == 1 for n in holes):
        return x
    shape = [None if n is None else max(n + (n - 1) * (h - 1), 0) for n, h in zip(x.shape, holes, strict=True)]
    wide = w.new(shape, x.dtype)
    w.emit("pad", {"x": x}, {"y": wide}, {"padding": ((0, 0),) * len(shape), "mode": "constant"})
    return wide


@rule("select_and_scatter_add")
def select_and_scatter_add(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """The gradient of max pooling: the maximum of each window is found again, and the source is added there."""
    source, x = (w.tensor(value) for value in values)
    attrs = window_attrs(eqn.params, x.rank)
    columns = windows(w, x, source, attrs)
    where = w.new(source.shape, "int32")
    w.emit("argmax", {"x": columns}, {"y": where}, {"axis": (columns.rank - 1,), "keepdim": False})
    y = w.like(eqn.outvars[0])
    zeros = Fill(0, y.shape, y.dtype)
    w.emit("scatter_reduce", {"x": zeros, "indices": where, "src": source}, {"y": y}, {"reduce": "sum"})
    return [y]
