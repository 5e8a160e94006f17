"""Reductions along axes, and running ones."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Value
from multiprof.adapters.jax.walker import Walker

_REDUCTIONS = {
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_and": "all",
    "reduce_or": "any",
    "argmax": "argmax",
    "argmin": "argmin",
}
# What the body of a general reduction may be: one equation, joining two elements.
_JOINS = {"add": "sum", "max": "max", "min": "min", "mul": "prod", "and": "all", "or": "any"}


@rule(*_REDUCTIONS)
def reduce(w: Walker, eqn: Any, values: list[Value]) -> Any:
    axes = tuple(int(axis) for axis in eqn.params["axes"])
    if not axes:
        return values
    return w.unary(_REDUCTIONS[eqn.primitive.name], eqn, values[0], {"axis": axes, "keepdim": False})


@rule("reduce")
def general(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """``lax.reduce`` with a function of its own: read where that is one known operation."""
    op = joining(eqn.params["jaxpr"])
    if len(eqn.outvars) != 1 or op is None:
        return NotImplemented
    return w.unary(op, eqn, values[0], {"axis": tuple(eqn.params["dimensions"]), "keepdim": False})


def joining(closed: Any) -> str | None:
    """The reduction whose step a jaxpr of two arguments is."""
    jaxpr = getattr(closed, "jaxpr", closed)
    if len(jaxpr.eqns) != 1 or list(jaxpr.outvars) != list(jaxpr.eqns[0].outvars):
        return None
    return _JOINS.get(jaxpr.eqns[0].primitive.name)


_RUNNING = {
    "cumsum": "cumsum",
    "cumprod": "cumprod",
    "cummax": "cummax",
    "cummin": "cummin",
    "cumlogsumexp": "logcumsumexp",
}


@rule(*_RUNNING)
def running(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary(_RUNNING[eqn.primitive.name], eqn, values[0], {"axis": (int(eqn.params["axis"]),)})


# psum2 is what shard_map traces to in JAX 0.4
_OVER_DEVICES = {"psum": "sum", "psum2": "sum", "psum_invariant": "sum", "pmax": "max", "pmin": "min"}


@rule(*_OVER_DEVICES, "reduce_scatter")
def over_devices(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Reductions over the devices of a mesh. `jax.vmap` of one is a reduction over the axis that it maps.

    On a single device they do nothing. Over several it depends on the way the devices take who adds what, so these
    stay foreign.
    """
    axes = eqn.params.get("axes", eqn.params.get("axis_name", ()))
    if axes and isinstance(axes, tuple) and all(isinstance(axis, int) for axis in axes):
        if eqn.params.get("axis_index_groups") is not None:
            return NotImplemented
        made = [w.like(variable) for variable in eqn.outvars]
        for x, y in zip(values, made, strict=True):
            attrs = {"axis": tuple(int(axis) for axis in axes), "keepdim": False}
            w.emit(_OVER_DEVICES[eqn.primitive.name], {"x": x}, {"y": y}, attrs)
        return made
    return values if w.axis_size(axes) == 1 and _same(eqn) else NotImplemented


@rule("ppermute", "all_to_all")
def exchanged(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Elements that change places between devices: every device gets as many as it gives away."""
    return values if w.axis_size(eqn.params["axis_name"]) == 1 and _same(eqn) else w.unary("copy", eqn, values[0])


def _same(eqn: Any) -> bool:
    return all(y.aval.shape == x.aval.shape for x, y in zip(eqn.invars, eqn.outvars, strict=True))


@rule("all_gather", "all_gather_invariant")
def gathered(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """What the devices have, side by side on each of them: one shard stands for those of all."""
    p = eqn.params
    devices = int(p["axis_size"])
    if devices == 1 and _same(eqn):
        return values
    y = w.like(eqn.outvars[0])
    shards = {f"x{i}": values[0] for i in range(devices)}
    w.emit("concat" if p["tiled"] else "stack", shards, {"y": y}, {"axis": int(p["all_gather_dimension"])})
    return [y]
