"""Gathers, scatters, slices whose place is computed, sorting."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value
from multiprof.adapters.jax.walker import Walker

_SCATTERS = {
    "scatter": "",
    "scatter-add": "sum",
    "scatter_add": "sum",
    "scatter-sub": "sum",
    "scatter_sub": "sum",
    "scatter-mul": "prod",
    "scatter_mul": "prod",
    "scatter-min": "amin",
    "scatter_min": "amin",
    "scatter-max": "amax",
    "scatter_max": "amax",
}


@rule("gather")
def gather(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Rows of a two-dimensional table of weights are an `embedding`, everything else a `gather`."""
    x, indices = values
    y = w.like(eqn.outvars[0])
    numbers = eqn.params["dimension_numbers"]
    sizes = tuple(eqn.params["slice_sizes"])
    rows = (
        tuple(numbers.start_index_map) == (0,)
        and tuple(numbers.collapsed_slice_dims) == (0,)
        and not isinstance(x, Fill)
        and len(x.shape) == 2
        and sizes == (1, x.shape[1])
    )
    if rows and w.is_weight(x) and not w.is_weight(indices) and "float" in x.dtype:
        attrs = {"num_embeddings": x.shape[0], "embedding_dim": x.shape[1]}
        w.emit("embedding", {"x": indices, "weight": x}, {"y": y}, attrs)
    else:
        axes = tuple(numbers.start_index_map)
        w.emit("gather", {"x": x, "indices": indices}, {"y": y}, {"axis": axes[0] if len(axes) == 1 else 0})
    return [y]


@rule(*_SCATTERS)
def scatter(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x, indices, source = values
    y = w.like(eqn.outvars[0])
    axes = tuple(eqn.params["dimension_numbers"].scatter_dims_to_operand_dims)
    reduce = _SCATTERS[eqn.primitive.name]
    # whole windows may stand at an index, so these are the ops whose source says how much is written
    if reduce:
        w.emit("index_reduce", {"x": x, "x0": indices, "src": source}, {"y": y}, {"axes": axes, "reduce": reduce})
    else:
        w.emit("index_put", {"x": x, "x0": indices, "src": source}, {"y": y}, {"axes": axes})
    return [y]


@rule("dynamic_slice")
def dynamic_slice(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x, *starts = values
    if isinstance(x, Fill):
        return [Fill(x.value, tuple(eqn.outvars[0].aval.shape), x.dtype)]
    sizes = eqn.params["slice_sizes"]
    if tuple(sizes) == x.shape:
        return [x]
    computed = {f"x{i}": s for i, s in enumerate(s for s in starts if not isinstance(s, Fill))}
    parts = ", ".join(
        f"{s.value}:{s.value + n}" if isinstance(s, Fill) else f"start:start+{n}"
        for s, n in zip(starts, sizes, strict=True)
    )
    y = w.like(eqn.outvars[0])
    if computed:
        axes = tuple(i for i, s in enumerate(starts) if not isinstance(s, Fill))
        w.emit("index", {"x": x, **computed}, {"y": y}, {"axes": axes})
    else:
        w.emit("slice", {"x": x}, {"y": y}, {"index": parts})
    return [y]


@rule("dynamic_update_slice")
def dynamic_update_slice(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x, update, *starts = values
    y = w.like(eqn.outvars[0])
    if not isinstance(x, Fill) and tuple(update.shape) == tuple(x.shape):
        return [w.tensor(update)]
    computed = [s for s in starts if not isinstance(s, Fill)]
    parts = ", ".join(
        f"{s.value}:{s.value + n}" if isinstance(s, Fill) else f"start:start+{n}"
        for s, n in zip(starts, update.shape, strict=True)
    )
    axes = tuple(i for i, s in enumerate(starts) if not isinstance(s, Fill))
    inputs = {"x": x, **{f"x{i}": s for i, s in enumerate(computed)}, "src": update}
    w.emit("index_put", inputs, {"y": y}, {"axes": axes, "index": parts})
    return [y]


@rule("sort")
def sort(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """One layer orders the keys; a further operand is put into their order.

    Where there is one more, and it counts positions, it is the second result of the sort.
    """
    outputs = w.results(eqn)
    axis = int(eqn.params["dimension"])
    x = w.tensor(values[0])
    attrs = {"axis": axis, "n": x.shape[axis], "stable": bool(eqn.params.get("is_stable", False))}
    if len(values) == 1:
        w.emit("sort", {"x": x}, {"y": outputs[0]}, attrs)
        return outputs
    if len(values) == 2 and outputs[1].is_integer:
        w.tensor(values[1])
        w.emit("sort", {"x": x}, {"y": outputs[0], "indices": outputs[1]}, attrs)
        return outputs
    order = w.new(x.shape, "int32")
    w.emit("sort", {"x": x}, {"y": outputs[0], "indices": order}, attrs)
    for value, y in zip(values[1:], outputs[1:], strict=True):
        w.emit("gather", {"x": value, "indices": order}, {"y": y}, {"axis": axis})
    return outputs


@rule("top_k", "approx_top_k")
def top_k(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x = w.tensor(values[0])
    p = eqn.params
    axis = int(p.get("axis", p.get("reduction_dimension", -1))) % x.rank
    outputs = w.results(eqn)
    attrs = {"axis": axis, "k": int(p["k"]), "n": x.shape[axis], "sorted": True}
    w.emit("topk", {"x": x}, {"y": outputs[0], "indices": outputs[1]}, attrs)
    return outputs
