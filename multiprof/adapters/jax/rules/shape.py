"""Operations that move or rename elements."""

from __future__ import annotations

from math import prod
from typing import Any

from multiprof.adapters.jax.table import rule
from multiprof.adapters.jax.values import Fill, Value
from multiprof.adapters.jax.walker import Walker


def _spread(eqn: Any, x: Fill) -> list[Value]:
    """A known number under another shape is still one."""
    return [Fill(x.value, tuple(eqn.outvars[0].aval.shape), x.dtype)]


@rule("reshape", "squeeze", "expand_dims", "bitcast_convert_type")
def reshape(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x = values[0]
    same_type = eqn.primitive.name != "bitcast_convert_type"
    if isinstance(x, Fill) and same_type:
        return _spread(eqn, x)
    shape = tuple(eqn.outvars[0].aval.shape)
    if shape == x.shape and same_type:
        return [x]
    return w.view("reshape", eqn, x, {"shape": shape})


@rule("broadcast_in_dim", "broadcast_to")
def broadcast_in_dim(w: Walker, eqn: Any, values: list[Value]) -> Any:
    x = values[0]
    if isinstance(x, Fill):
        return _spread(eqn, x)
    shape = tuple(eqn.outvars[0].aval.shape)
    if shape == x.shape:
        return [x]
    # dimensions may only have been added
    op = "reshape" if None not in x.shape and prod(shape) == x.numel else "expand"
    return w.view(op, eqn, x, {"shape": shape})


@rule("transpose")
def transpose(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    if isinstance(x, Fill):
        return _spread(eqn, x)
    return w.view("transpose", eqn, x, {"perm": tuple(eqn.params["permutation"])})


@rule("slice")
def slice_(w: Walker, eqn: Any, values: list[Value]) -> Any:
    (x,) = values
    if isinstance(x, Fill):
        return _spread(eqn, x)
    p = eqn.params
    steps = p["strides"] or (1,) * len(x.shape)
    parts = [
        f"{a}:{b}" if s == 1 else f"{a}:{b}:{s}"
        for a, b, s in zip(p["start_indices"], p["limit_indices"], steps, strict=True)
    ]
    return w.unary("slice", eqn, x, {"index": ", ".join(parts)})


@rule("split")
def split(w: Walker, eqn: Any, values: list[Value]) -> Any:
    outputs = w.results(eqn)
    attrs = {"axis": int(eqn.params["axis"]), "sizes": tuple(int(n) for n in eqn.params["sizes"])}
    w.emit("split", {"x": values[0]}, {f"y{i}": y for i, y in enumerate(outputs)}, attrs)
    return outputs


@rule("unstack")
def unstack(w: Walker, eqn: Any, values: list[Value]) -> Any:
    outputs = w.results(eqn)
    attrs = {"axis": int(eqn.params.get("axis", 0)), "sizes": (1,) * len(outputs)}
    w.emit("split", {"x": values[0]}, {f"y{i}": y for i, y in enumerate(outputs)}, attrs)
    return outputs


@rule("concatenate", "stack")
def concatenate(w: Walker, eqn: Any, values: list[Value]) -> Any:
    if len(values) == 1 and eqn.primitive.name == "concatenate":
        return values
    y = w.like(eqn.outvars[0])
    axis = eqn.params.get("dimension", eqn.params.get("axis", 0))
    op = "stack" if eqn.primitive.name == "stack" else "concat"
    w.emit(op, {f"x{i}": value for i, value in enumerate(values)}, {"y": y}, {"axis": int(axis)})
    return [y]


@rule("pad")
def pad(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Positive padding is a `pad`, with holes between the elements where it is interior; negative padding a slice."""
    x, fill = values
    config = [tuple(int(n) for n in part) for part in eqn.params["padding_config"]]
    if isinstance(x, Fill) and isinstance(fill, Fill) and x.value == fill.value:
        return _spread(eqn, x)
    spec = w.tensor(x)
    y = w.like(eqn.outvars[0])
    grown = any(low > 0 or high > 0 or inner > 0 for low, high, inner in config)
    shrunk = any(low < 0 or high < 0 for low, high, _ in config)
    if not grown and not shrunk:
        return [spec]
    wide = y
    if grown:
        if shrunk:
            shape = [
                None if n is None else n + max(n - 1, 0) * inner + max(low, 0) + max(high, 0)
                for n, (low, high, inner) in zip(spec.shape, config, strict=True)
            ]
            wide = w.new(shape, spec.dtype)
        attrs: dict[str, Any] = {"padding": tuple((max(a, 0), max(b, 0)) for a, b, _ in config), "mode": "constant"}
        if isinstance(fill, Fill):
            attrs["value"] = fill.value
        w.emit("pad", {"x": spec}, {"y": wide}, attrs)
        spec = wide
    if shrunk:
        parts = ", ".join(f"{max(-a, 0) or ''}:{min(b, 0) or ''}" for a, b, _ in config)
        w.emit("slice", {"x": spec}, {"y": y}, {"index": parts})
    return [y]


@rule("rev")
def rev(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("flip", eqn, values[0], {"axis": tuple(eqn.params["dimensions"])})


@rule("tile")
def tile(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("repeat", eqn, values[0], {"repeats": tuple(eqn.params["reps"])})


@rule("copy", "copy_p")
def copy(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("copy", eqn, values[0])


@rule(
    "stop_gradient", "name", "optimization_barrier", "sharding_constraint", "reshard", "layout_constraint", "pvary",
    "random_wrap", "random_unwrap", "from_edtype", "to_edtype", "reduced_vary_cast_p", "vary_unreduced_cast_p",
    "pbroadcast", "random_clone", "device_put", "pin", "unpin", "create_linear",
)  # fmt: skip
def unchanged(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """The operands themselves: only differentiation, scheduling or placement looks at these."""
    if len(values) != len(eqn.outvars):
        return NotImplemented
    return values


@rule("real", "imag")
def part(w: Walker, eqn: Any, values: list[Value]) -> Any:
    return w.unary("slice", eqn, values[0], {"index": eqn.primitive.name})


@rule("complex")
def complex_(w: Walker, eqn: Any, values: list[Value]) -> Any:
    """Real and imaginary parts side by side."""
    y = w.like(eqn.outvars[0])
    w.emit("stack", {"x0": values[0], "x1": values[1]}, {"y": y}, {"axis": len(y.shape)})
    return [y]
