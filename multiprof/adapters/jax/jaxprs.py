"""A jaxpr that the caller has already made, by make_jaxpr or by ``jax.jit(f).trace(…)``."""

from __future__ import annotations

import re
from typing import Any

from jax.extend.core import ClosedJaxpr

from multiprof.adapters.jax.program import INPUT, Leaf, Program
from multiprof.errors import InputsError
from multiprof.inputs import Inputs
from multiprof.ir import BUFFER, PARAMETER


def jaxpr_program(closed: ClosedJaxpr, inputs: Inputs | None) -> tuple[ClosedJaxpr, Program]:
    """The jaxpr with its arguments named as JAX notes them: those of an argument called ``params`` are parameters."""
    info = closed.jaxpr.debug_info
    invars = closed.jaxpr.invars
    names = list(getattr(info, "arg_names", None) or ())
    if len(names) != len(invars):
        names = [""] * len(invars)
    leaves = [_leaf(name, f"x{i}", variable.aval) for i, (name, variable) in enumerate(zip(names, invars, strict=True))]
    if inputs is not None and (inputs.args or inputs.kwargs):
        _check(inputs, leaves)
    name = str(getattr(info, "func_name", "") or "jaxpr")
    program = Program("function" if name == "<lambda>" else name, _never, leaves)
    return closed, program


def _leaf(name: str | None, fallback: str, aval: Any) -> Leaf:
    """``params['Dense_0']['kernel']`` is params/Dense_0/kernel, and a parameter."""
    parts = [part for part in re.split(r"[\[\]'\".]+", name or "") if part] or [fallback]
    kind = INPUT
    if len(parts) > 1 and parts[0] == "variables":
        del parts[0]
    if parts[0] in ("params", "parameters", "weights"):
        kind = PARAMETER
    elif parts[0] == "batch_stats":
        kind = BUFFER
    text = ("." if kind == INPUT else "/").join(parts)
    return Leaf(text, kind, tuple(aval.shape), aval.dtype, True if kind == PARAMETER else None, source=name or text)


def _check(inputs: Inputs, leaves: list[Leaf]) -> None:
    """A jaxpr has its shapes: what is given beside it must be those."""
    shapes = [tuple(getattr(value, "shape", ())) for value in (*inputs.args, *inputs.kwargs.values())]
    wanted = [leaf.shape for leaf in leaves if leaf.kind == INPUT]
    if shapes != wanted:
        raise InputsError(f"the jaxpr was made for inputs of the shapes {wanted}; {shapes} are given: leave them out")


def _never(arrays: list[Any]) -> Any:
    raise AssertionError("a jaxpr is not traced again")


__all__ = ["jaxpr_program"]
