"""Reductions, and what orders elements: sums, norms, positions of maxima, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from multiprof.adapters._common.shapes import numel, reduced
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape

OPS = {
    "sum": "sum", "mean": "mean", "max": "max", "min": "min", "prod": "prod", "nansum": "sum", "nanprod": "prod",
    "_square_sum": "sum", "norm": "norm", "argmax": "argmax", "argmin": "argmin", "_np_sum": "sum", "_np_max": "max",
    "_np_min": "min", "_np_prod": "prod", "_np_any": "any", "_np_all": "all", "_npi_mean": "mean",
    "_npi_argmax": "argmax", "_npi_argmin": "argmin", "_npi_std": "std", "_npi_var": "variance",
}  # fmt: skip


def is_numpy(call: Call) -> bool:
    """Whether scalars have no dimension; in MXNet's own operators they have one of size 1."""
    return call.op.startswith("_np")


def _axes(call: Call, rank: int) -> tuple[int, ...]:
    """The reduced axes; all where none is given, or an empty tuple; all others with exclude."""
    given = call.attrs.ints("axis", call.attrs.ints("axes", ()))
    axes = tuple(sorted({call.axis(axis, rank) for axis in given}))
    if call.attrs.flag("exclude") and axes:
        return tuple(axis for axis in range(rank) if axis not in axes)
    return axes or tuple(range(rank))


def _reduced(call: Call, shape: Shape) -> Shape:
    keep = call.attrs.flag("keepdims")
    made = reduced(shape, _axes(call, len(shape)), keep)
    return made if made or is_numpy(call) else (1,)


def infer_reduction(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        for i in range(len(call.outs)):
            call.give(_reduced(call, source), i)


def write_reduction(call: Call, to: Writing) -> None:
    op = OPS[call.op]
    x = to.x(call)
    attrs: dict[str, Any] = {"axis": _axes(call, x.rank), "keepdim": call.attrs.flag("keepdims")}
    if op == "norm":
        attrs["ord"] = call.attrs.integer("ord", 2)
    if op in ("std", "variance"):
        attrs["correction"] = call.attrs.integer("ddof", 0)
    if call.op == "_square_sum":
        squared = to.between(call, x.shape)
        to.layer(call, "square", {"x": x}, {"y": squared}, None, "square")
        x = squared
    to.layer(call, op, {"x": x}, None, attrs)


def write_moments(call: Call, to: Writing) -> None:
    """Mean and variance."""
    x = to.x(call)
    attrs = {"axis": _axes(call, x.rank), "keepdim": call.attrs.flag("keepdims"), "correction": 0}
    to.layer(call, "variance", {"x": x}, {"y": to.y(call, 1), "mean": to.y(call, 0)}, attrs)


def infer_argmax_channel(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        if len(source) < 2:
            raise call.error(f"the data has the shape {source}, of rank {len(source)}; at least 2 are needed")
        call.give((source[0], *source[2:]))


def write_argmax_channel(call: Call, to: Writing) -> None:
    to.unary(call, "argmax", {"axis": (1,), "keepdim": False})


def infer_cross_entropy(call: Call) -> None:
    source = call.rank(0, 2)
    if source is not None:
        call.expect(1, source[:1])
    call.give((1,))


def write_foreign(call: Call, to: Writing) -> None:
    to.foreign(call)


# -- order ------------------------------------------------------------------------------------------------------------


def _ordered(call: Call, shape: Shape) -> tuple[int, Shape]:
    """The axis along which elements are ordered, and the shape they have then: flat without an axis."""
    if call.attrs.values.get("axis", "").strip() == "None":
        return 0, (numel(shape),)
    axis = call.attrs.integer("axis", -1)
    if not shape:
        return 0, shape
    return call.axis(axis, len(shape)), shape


def infer_topk(call: Call) -> None:
    """k elements along the axis, all where k is below 1; a mask is shaped as the data."""
    source = call.shape(0)
    if source is None:
        return
    axis, shape = _ordered(call, source)
    k = call.attrs.integer("k", 1)
    size = shape[axis] if shape else 1
    if k < 1:
        made: int | None = size
    elif size is not None and k > size:
        raise call.error(f"the {k} first of {size}")
    else:
        made = k
    if call.attrs.text("ret_typ", "indices") == "mask":
        call.give(source)
        return
    for i in range(len(call.outs)):
        call.give((*shape[:axis], made, *shape[axis + 1 :]), i)


def _topk_outputs(call: Call) -> int:
    kind = call.attrs.one_of("ret_typ", ("both", "indices", "mask", "value"), "indices")
    return 2 if kind == "both" else 1


def _topk_dtype(call: Call) -> str | tuple[str, ...]:
    kind = call.attrs.text("ret_typ", "indices")
    indices = call.attrs.dtype("dtype", "float32")
    return ("", indices) if kind == "both" else indices if kind == "indices" else ""


def write_topk(call: Call, to: Writing) -> None:
    kind = call.attrs.text("ret_typ", "indices")
    if kind == "mask":
        to.foreign(call)
        return
    axis, shape = _ordered(call, to.x(call).shape)
    k = call.attrs.integer("k", 1)
    n = shape[axis] if shape else 1
    attrs = {"axis": axis, "k": n if k < 1 else k, "n": n, "sorted": True, "largest": not call.attrs.flag("is_ascend")}
    roles = {"both": ("y", "indices"), "value": ("y",), "indices": ("indices",)}[str(kind)]
    outputs = {role: to.y(call, i) for i, role in enumerate(roles)}
    to.layer(call, "topk", {"x": to.x(call)}, outputs, attrs)


def infer_sort(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        call.give(_ordered(call, source)[1])


def write_sort(call: Call, to: Writing) -> None:
    axis, shape = _ordered(call, to.x(call).shape)
    role = "indices" if call.op == "argsort" else "y"
    to.layer(call, "sort", {"x": to.x(call)}, {role: to.y(call)}, {"axis": axis, "n": shape[axis] if shape else 1})


def infer_cumsum(call: Call) -> None:
    source = call.shape(0)
    if source is not None:
        flat = call.attrs.maybe_int("axis") is None
        call.give((numel(source),) if flat else source)


def write_cumsum(call: Call, to: Writing) -> None:
    axis = call.attrs.maybe_int("axis")
    to.unary(call, "cumsum", {"axis": (0 if axis is None else call.axis(axis, to.x(call).rank),)})


def _dtype(name: str, default: str) -> Callable[[Call], str]:
    return lambda call: call.attrs.dtype(name, default)


def _rules() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for name, op in OPS.items():
        if op in ("any", "all"):
            dtype: Callable[[Call], str] | None = _dtype("", "bool")
        elif op in ("argmax", "argmin"):
            dtype = _dtype("", "int64" if name.startswith("_np") else "float32")
        else:
            dtype = _dtype("out_dtype" if op == "norm" else "dtype", "")
        found[name] = Rule(infer_reduction, write_reduction, dtype=dtype)
    return found


RULES: Rules = {
    **_rules(),
    "moments": Rule(infer_reduction, write_moments, outputs=2),
    "argmax_channel": Rule(infer_argmax_channel, write_argmax_channel),
    "softmax_cross_entropy": Rule(infer_cross_entropy, write_foreign, ("data", "label"), like=(0,)),
    "topk": Rule(infer_topk, write_topk, outputs=_topk_outputs, dtype=_topk_dtype),
    "sort": Rule(infer_sort, write_sort),
    "argsort": Rule(infer_sort, write_sort, dtype=_dtype("dtype", "float32")),
    "_np_cumsum": Rule(infer_cumsum, write_cumsum, dtype=_dtype("dtype", "")),
    "_shuffle": Rule(infer_same, write_foreign),
}
