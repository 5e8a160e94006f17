"""Contractions: linear layers, matrix products, Einstein sums."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.torch.rules._common import Tensor, broadcast, same_dtype
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer


@rule("nn.linear")
def linear(t: Tracer, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not same_dtype(t, input, weight, bias) or weight.dim() != 2 or input.dim() < 1:
        return NotImplemented
    out_features, in_features = weight.shape
    if input.shape[-1] != in_features or (bias is not None and bias.shape != (out_features,)):
        return NotImplemented
    if input.numel() == 0:
        return NotImplemented
    y = t.new((*input.shape[:-1], out_features), input.dtype)
    contract(t, input, weight, bias, y, in_features, out_features)
    return y


def contract(t: Tracer, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, in_features: int, out_features: int, hint: str = "") -> None:
    """Emit a contraction of ``x`` with ``weight``: ``linear`` where it is a weight, else ``matmul`` (and ``add``)."""
    if t.is_weight(weight):
        t.emit("linear", {"x": x, "weight": weight, "bias": bias}, {"y": y}, {"in_features": in_features, "out_features": out_features}, hint)
    elif bias is None:
        t.emit("matmul", {"x0": x, "x1": weight}, {"y": y}, {"contracted": in_features}, hint)
    else:
        product = t.temporary(y)
        t.emit("matmul", {"x0": x, "x1": weight}, {"y": product}, {"contracted": in_features}, hint)
        t.emit("add", {"x0": product, "x1": bias}, {"y": y}, {}, f"{hint}_bias" if hint else "")


def product(t: Tracer, a: Tensor, b: Tensor, y: Tensor) -> None:
    """Emit ``a @ b``: a contraction with a weight is ``linear``, whichever side the weight stands on."""
    contracted = a.shape[-1]
    for x, w in ((a, b), (b, a)):
        if t.is_weight(w) and not t.is_weight(x) and w.dim() <= 2:
            t.emit("linear", {"x": x, "weight": w}, {"y": y}, {"in_features": contracted, "out_features": w.numel() // contracted if contracted else 0})
            return
    t.emit("matmul", {"x0": a, "x1": b}, {"y": y}, {"contracted": contracted})


@rule("torch.matmul", "Tensor.matmul", "Tensor.__matmul__", "torch.mm", "Tensor.mm", "torch.bmm", "Tensor.bmm", "torch.mv", "Tensor.mv", "torch.dot", "Tensor.dot", aten=("mm", "bmm", "mv", "dot", "matmul"))
def matmul(t: Tracer, a: Tensor, b: Tensor) -> Any:
    if not same_dtype(t, a, b) or a.dim() < 1 or b.dim() < 1:
        return NotImplemented
    inner = b.shape[-2] if b.dim() > 1 else b.shape[0]
    if a.shape[-1] != inner or inner == 0:
        return NotImplemented
    if a.dim() == 1 and b.dim() == 1:
        shape: tuple[int, ...] = ()
    elif b.dim() == 1:
        shape = tuple(a.shape[:-1])
    elif a.dim() == 1:
        shape = (*b.shape[:-2], b.shape[-1])
    else:
        shape = (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if 0 in shape:
        return NotImplemented
    y = t.new(shape, a.dtype)
    product(t, a, b, y)
    return y


