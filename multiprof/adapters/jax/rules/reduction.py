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


@rule("cumsum", "cumprod")
def running(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary(eqn.primitive.name, eqn, values[0], {"axis": (int(eqn.params["axis"]),)})


@rule(
    "reduce_precision_sum",
    "psum",
    "psum_invariant",
    "pmax",
    "pmin",
    "all_gather",
    "all_gather_invariant",
    "all_to_all",
    "ppermute",
)
def collective(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Between devices: nothing on a single one; between several it has no formula."""
    sizes = eqn.params.get("axis_size", w.axis_size(eqn.params.get("axes", eqn.params.get("axis_name", ()))))
    same = [v.aval.shape for v in eqn.outvars] == [v.aval.shape for v in eqn.invars]
    return values if sizes == 1 and same else NotImplemented
