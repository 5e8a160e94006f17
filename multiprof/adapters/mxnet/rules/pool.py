"""Pooling: over windows, over everything, and over windows that tile the data."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._windows import FIRST, Window, split
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import Writing
from multiprof.ir import Shape

VALID, FULL, SAME = "valid", "full", "same"


def _window(call: Call) -> Window | None:
    """``None`` while the rank is unknown: global pooling needs no kernel."""
    if call.memo is None:
        kernel = call.attrs.ints("kernel", ())
        if call.attrs.flag("global_pool"):
            shape = call.rank(0, 3, 4, 5)
            if shape is None:
                return None
            kernel = (1,) * (len(shape) - 2)
        if not kernel:
            raise call.error("the attribute kernel is missing")
        call.memo = Window(call, kernel)
    found: Window = call.memo
    return found


def infer_pooling(call: Call) -> None:
    """valid: ⌊(x + 2p − k)/s⌋ + 1; full: ⌈(x + 2p − k)/s⌉ + 1; same: ⌈(x + 2p)/s⌉ (src/operator/nn/pooling.cc)."""
    w = _window(call)
    if w is None:
        return
    call.rank(0, w.rank + 2)
    batch, channels, spatial = split(w, call.shape(0))
    convention = call.attrs.one_of("pooling_convention", (VALID, FULL, SAME), VALID)
    if convention == SAME and (call.op == "Pooling_v1" or w.rank > 1 or any(w.pad)):
        raise call.attrs.wrong("pooling_convention", f"one of {VALID}, {FULL}")
    if call.attrs.flag("global_pool"):
        made: Shape = (1,) * w.rank
    else:
        rows = zip(spatial, w.kernel, w.stride, w.pad, strict=True)
        made = tuple(_windows(call, convention, n, k, s, p) for n, k, s, p in rows)
    call.give(w.join(batch, channels, made))
    first, through, _ = split(w, call.result())
    if call.shape(0) is not None or first is not None:
        call.expect(0, w.join(first, through, (None,) * w.rank))


def _windows(call: Call, convention: str, n: int | None, k: int, s: int, p: int) -> int | None:
    if n is None:
        return None
    room = n + 2 * p - k
    if room < 0:
        raise call.error(f"a kernel of {k} does not fit {n} with a padding of {p} on both sides")
    if convention == SAME:
        return -(-(n + 2 * p) // s)
    return 1 + (-(-room // s) if convention == FULL else room // s)


def write_pooling(call: Call, to: Writing) -> None:
    kind = call.attrs.one_of("pool_type", ("max", "avg", "sum", "lp"), "max")
    w = _window(call)
    if w is None:  # the data comes from a foreign operator, and nobody knows its rank
        to.foreign(call)
        return
    _, _, spatial = split(w, call.shape(0))
    if call.attrs.flag("global_pool"):
        _write_global(call, to, w, kind, spatial)
        return
    attrs: dict[str, Any] = {
        "kernel_size": w.kernel,
        "stride": w.stride,
        "padding": w.pairs,
        "dilation": (1,) * w.rank,
        "ceil_mode": call.attrs.text("pooling_convention", VALID) != VALID,
        "data_format": w.data_format,
    }
    if kind in ("avg", "sum"):
        attrs["count_include_pad"] = call.attrs.flag("count_include_pad", True)
        attrs["divisor"] = 1 if kind == "sum" else None
    if kind == "lp":
        attrs["p"] = call.attrs.integer("p_value")
    to.unary(call, {"max": "max_pool", "lp": "lp_pool"}.get(kind, "avg_pool"), attrs)


def _write_global(call: Call, to: Writing, w: Window, kind: str, spatial: Shape) -> None:
    attrs: dict[str, Any]
    if kind in ("max", "avg"):
        attrs = {"input_size": spatial, "output_size": (1,) * w.rank, "data_format": w.data_format}
        to.unary(call, f"adaptive_{kind}_pool", attrs)
    elif kind == "sum":
        first = 1 if w.last else 2
        to.unary(call, "sum", {"axis": tuple(range(first, first + w.rank)), "keepdim": True})
    else:
        attrs = {"kernel_size": spatial, "stride": (1,) * w.rank, "p": call.attrs.integer("p_value")}
        to.unary(call, "lp_pool", {**attrs, "data_format": w.data_format})


# -- to a given size --------------------------------------------------------------------------------------------------


def infer_adaptive(call: Call) -> None:
    shape = call.rank(0, 4)
    size = call.attrs.ints("output_size", (1,))
    if len(size) not in (1, 2) or min(size) < 1:
        raise call.attrs.wrong("output_size", "one or two sizes")
    call.memo = (size * 2)[:2] if len(size) == 1 else size
    if shape is not None:
        call.give((*shape[:2], *call.memo))


def write_adaptive(call: Call, to: Writing) -> None:
    shape = call.shape(0) or (None,) * 4
    attrs = {"input_size": shape[2:], "output_size": call.memo, "data_format": FIRST[2]}
    to.unary(call, "adaptive_avg_pool", attrs)


_POOLING = Rule(infer_pooling, write_pooling)
RULES: Rules = {
    "Pooling": _POOLING,
    "Pooling_v1": _POOLING,
    "_contrib_AdaptiveAvgPooling2D": Rule(infer_adaptive, write_adaptive),
}
