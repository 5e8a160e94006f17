"""Programs inside programs: inlined, but for functions of JAX's own that the vocabulary has a name for.

A jitted ``relu6``, ``silu`` or ``log_softmax`` is known by its name *and* by where it is defined, in JAX's own source;
a function of the user's that has the same name is inlined as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from multiprof.adapters.jax.rules.creation import draw
from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value
from multiprof.adapters.jax.walker import Walker

# Primitives that call a program, and the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "call": "call_jaxpr",
    "remat2": "jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
    "remat_opt": "fwd_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
    "custom_partitioning": "call",
    "composite": "jaxpr",
    "eval_jaxpr": "jaxpr",
    "run_state": "",
}

_NN = "/jax/_src/nn/"
_RANDOM = "/jax/_src/random"

# Functions of jax.nn that are one layer of one tensor: name -> op, and the attribute that a second operand is.
_LAYERS: dict[str, tuple[str, str]] = {
    "relu": ("relu", ""),
    "relu6": ("relu6", ""),
    "silu": ("silu", ""),
    "swish": ("silu", ""),
    "softplus": ("softplus", ""),
    "elu": ("elu", "alpha"),
    "selu": ("selu", ""),
    "celu": ("celu", "alpha"),
    "leaky_relu": ("leaky_relu", "negative_slope"),
    "hard_tanh": ("hard_tanh", ""),
    "hard_sigmoid": ("hard_sigmoid", ""),
    "hard_silu": ("hard_swish", ""),
    "hard_swish": ("hard_swish", ""),
    "mish": ("mish", ""),
    "log_sigmoid": ("log_sigmoid", ""),
    "soft_sign": ("softsign", ""),
}


def origin(jaxpr: Any) -> str:
    """``name at file:line`` of the function that a jaxpr was traced from; empty where JAX does not say."""
    info = getattr(jaxpr, "debug_info", None)
    return str(getattr(info, "func_src_info", "") or "").replace("\\", "/")


def equations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a jaxpr, those of programs called from it included."""
    for eqn in jaxpr.eqns:
        yield eqn
        inner = eqn.params.get(_CALLS.get(eqn.primitive.name, ""))
        if inner is not None:
            yield from equations(getattr(inner, "jaxpr", inner))


@rule(*(name for name, parameter in _CALLS.items() if parameter))
def call(w: Walker, eqn: Any, values: list[Value]) -> Any:
    closed = eqn.params.get(_CALLS[eqn.primitive.name])
    if closed is None:
        return NotImplemented
    jaxpr = getattr(closed, "jaxpr", closed)
    name = str(eqn.params.get("name") or getattr(getattr(jaxpr, "debug_info", None), "func_name", "") or "")
    if name and f"jax.{name}" in w.leaves:
        return w.foreign(eqn, values, name)
    source = origin(jaxpr)
    if _NN in source or _RANDOM in source:
        made = _known(w, eqn, values, jaxpr, source)
        if made is not None:
            return made
    return w.closed(closed, values)


def _known(w: Walker, eqn: Any, values: list[Value], jaxpr: Any, source: str) -> list[Value] | None:
    """The layer for a function of JAX's own, or ``None``."""
    name = source.partition(" ")[0]
    if _RANDOM in source:
        return draw(w, eqn, values, name.strip("_"))
    tensors = [value for value in values if not isinstance(value, Fill)]
    if len(tensors) != 1 or tensors[0] is not values[0] or len(eqn.outvars) != 1:
        return None
    x = tensors[0]
    if name in _SPECIAL:
        return _SPECIAL[name](w, eqn, x, jaxpr)
    if name not in _LAYERS:
        return None
    op, attribute = _LAYERS[name]
    attrs: dict[str, Any] = {}
    if attribute and len(values) == 2 and isinstance(values[1], Fill):
        attrs[attribute] = values[1].value
    return w.unary(op, eqn, x, attrs)


def _log_softmax(w: Walker, eqn: Any, x: Value, jaxpr: Any) -> list[Value] | None:
    axes = next((tuple(e.params["axes"]) for e in equations(jaxpr) if e.primitive.name == "reduce_max"), None)
    if axes is None:
        return None
    return w.unary("log_softmax", eqn, x, {"axis": axes, "n": prod(x.shape[a] or 0 for a in axes)})


def _glu(w: Walker, eqn: Any, x: Value, jaxpr: Any) -> list[Value] | None:
    y = eqn.outvars[0].aval.shape
    axis = next((i for i, (m, n) in enumerate(zip(x.shape, y, strict=True)) if m != n), None)
    return None if axis is None else w.unary("glu", eqn, x, {"axis": axis})


def _one_hot(w: Walker, eqn: Any, x: Value, jaxpr: Any) -> list[Value] | None:
    axis = next((int(e.params["dimension"]) for e in equations(jaxpr) if e.primitive.name == "iota"), None)
    if axis is None:
        return None
    return w.unary("one_hot", eqn, x, {"axis": axis, "depth": eqn.outvars[0].aval.shape[axis]})


_SPECIAL: dict[str, Callable[[Walker, Any, Value, Any], list[Value] | None]] = {
    "log_softmax": _log_softmax,
    "glu": _glu,
    "_one_hot": _one_hot,
}


@rule("custom_linear_solve")
def custom_linear_solve(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Only the solver runs; the product it inverts and the transposed ones are for derivatives."""
    lengths, jaxprs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    first = lengths.matvec + lengths.vecmat
    operands = sum(lengths)
    return w.closed(jaxprs.solve, [*values[first : first + lengths.solve], *values[operands:]])


@rule("debug_callback", "debug_print", "shape_assertion", "inspect_sharding", "dce_sink")
def prints(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Looks at values and makes none."""
    return [] if not eqn.outvars else NotImplemented


@rule("pallas_call")
def pallas_call(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """A kernel of the user's own: its program computes on blocks of memory, and only a formula knows its cost."""
    name = getattr(eqn.params.get("name_and_src_info"), "name", "") or eqn.params.get("name") or ""
    return w.foreign(eqn, values, name if f"jax.{name}" in w.leaves else "pallas_call")


@rule("ffi_call")
def ffi_call(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.foreign(eqn, values, f"ffi.{eqn.params.get('target_name', 'call')}")
