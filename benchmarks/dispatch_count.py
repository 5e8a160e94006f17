"""Multiply-adds of dot products, counted from the shapes of the kernels that PyTorch really dispatches.

    with DispatchCount() as count:
        model(x)
    count.macs, count.by_op, count.unknown

An oracle that shares nothing with multiprof: it stands beneath autograd,
    sees every aten operator with the tensors it is
given, and multiplies their dimensions. It works on the CPU and,
    where a model's forward does not ask for values, on meta.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def _product(a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """(…, m, k) by (…, k, n), or by a vector (k): every element of ``a`` meets n others."""
    return a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _product_added(_added: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    return _product(a, b)


def _convolution(
    x: Tensor, w: Tensor, _b: Any, _s: Any, _p: Any, _d: Any, transposed: bool, *_: Any, out: Tensor
) -> int:
    """Every output meets one filter (C_i/G·K elements of it); transposed, every input element meets C_o/G·K weights."""
    return (x if transposed else out).numel() * math.prod(w.shape[1:])


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> int:
    """(…, h, Lq, D) by (…, h, Lk, D) by (…, h, Lk, E): scores and their products with the values, masked ones too."""
    return math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


def _recurrent(x: Tensor, w_ih: Tensor, w_hh: Tensor, *_: Any, **__: Any) -> int:
    """One direction of one layer over (T, N, C): all gates' products at every step."""
    return math.prod(x.shape[:-1]) * (w_ih.numel() + w_hh.numel())


def _grouped(a: Tensor, b: Tensor, *_: Any, out: Tensor, **__: Any) -> int:
    """(m, k) rows in groups, each by its own (k, n): as many products as one (m, k) by (k, n) has."""
    return a.numel() * b.shape[-1] if a.dim() == 2 and b.dim() == 3 else out.numel() * a.shape[-1]


def _trilinear(a: Tensor, b: Tensor, c: Tensor, e1: list[int], e2: list[int], e3: list[int], _sum: Any, *_: Any) -> int:
    """``nn.Bilinear`` as torch runs it: Σ_ij a_i·w_kij·b_j, one multiply-add for each of its terms."""
    sizes = []
    for tensor, expand in ((a, e1), (b, e2), (c, e3)):
        shape = list(tensor.shape)
        for dim in sorted(expand):
            shape.insert(dim, 1)
        sizes.append(shape)
    return math.prod(max(dims) for dims in zip(*sizes, strict=True))


aten = torch.ops.aten
_WITH_OUTPUT = {"convolution", "_grouped_mm"}
COUNTED: dict[str, Callable[..., int]] = {
    "mm": _product, "bmm": _product, "mv": _product, "dot": lambda a, b: a.numel(), "vdot": lambda a, b: a.numel(),
    "_int_mm": _product, "addmm": _product_added, "baddbmm": _product_added, "addbmm": _product_added,
    "addmv": _product_added, "_addmm_activation": _product_added, "convolution": _convolution,
    "_grouped_mm": _grouped, "mkldnn_rnn_layer": _recurrent, "_trilinear": _trilinear,
    "_scaled_dot_product_flash_attention_for_cpu": _attention, "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention, "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
}  # fmt: skip
# Whole layers in one kernel: no shapes of what is inside, so a count that met one would be too low.
_WHOLE = ("_native_multi_head_attention", "_transformer_encoder_layer_fwd", "lstm", "gru", "quantized_lstm")


class DispatchCount(TorchDispatchMode):
    """``macs`` in all, ``by_op`` per aten operator; ``unknown`` names kernels that hold dot products it cannot see.

    ``elements`` are the numbers that all other kernels write (norms, activations, sums, copies); views write none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.by_op: Counter[str] = Counter()
        self.unknown: set[str] = set()

    @property
    def macs(self) -> int:
        return sum(self.by_op.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        rule = COUNTED.get(name)
        if rule is not None:
            self.by_op[name] += rule(*args, **kwargs, out=out) if name in _WITH_OUTPUT else rule(*args, **kwargs)
        elif name in _WHOLE:
            self.unknown.add(name)
        elif not any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):  # no view
            made = out if isinstance(out, (tuple, list)) else (out,)
            self.elements += sum(t.numel() for t in made if isinstance(t, Tensor) and t.is_floating_point())
        return out


def dispatched_macs(model: Callable[..., Any], *args: Any, **kwargs: Any) -> DispatchCount:
    """Run ``model`` once under the counter, without gradients and without torch's fused encoder path."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), DispatchCount() as count:
            model(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return count
