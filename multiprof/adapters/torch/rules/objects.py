"""What changes a tensor object rather than its elements: its data, its flags, its hooks, its shape in place.

A trace puts all of it back at the end (`Tracer.undo`), since the object may be a parameter of the model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.rules._moves import Base
from multiprof.adapters.torch.rules.shape import swapped
from multiprof.adapters.torch.table import direct, rule
from multiprof.adapters.torch.tracer import META, Tracer, ValueNeededError
from multiprof.ir import VIEW, TensorSpec


def keep_data(t: Tracer, tensor: Tensor) -> None:
    """Remember which memory a tensor stands on, in which shape and version."""
    before, version = tensor.detach(), tensor._version

    def put_back() -> None:
        tensor.data = before
        torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))

    t.undo.append(put_back)


@direct("Tensor.data.__set__")
def set_data(t: Tracer, function: Callable[..., Any], tensor: Tensor, value: Tensor) -> None:
    x, v = t.twins.get(id(tensor), tensor), t.twins.get(id(value), value)
    spec = t.spec(v)
    if tensor.is_meta == value.is_meta:
        keep_data(t, tensor)
        function(tensor, value)
    elif tensor.shape != value.shape or tensor.dtype is not value.dtype:
        raise ValueNeededError  # torch would refuse to put a tensor without values under one that has them
    else:
        t.stale.update((id(tensor), id(x)))
    if x is not tensor and v is not value:
        function(x, v)
    t.specs[id(x)] = spec
    for known in (t.declared, t.prepared):
        (known.add if id(v) in known else known.discard)(id(x))
    t.rebase(x, v)


@direct("Tensor.requires_grad.__set__")
def set_requires_grad(t: Tracer, function: Callable[..., Any], tensor: Tensor, flag: bool) -> None:
    before = tensor.requires_grad
    function(tensor, flag)
    if tensor.requires_grad != before:
        t.undo.append(lambda: function(tensor, before))


@direct("Tensor.requires_grad_")
def requires_grad_(t: Tracer, function: Callable[..., Any], tensor: Tensor, requires_grad: bool = True) -> Tensor:
    before = tensor.requires_grad
    function(tensor, requires_grad)
    if tensor.requires_grad != before:
        t.undo.append(lambda: function(tensor, before))
    return tensor


@direct("Tensor.grad.__set__")
def set_grad(t: Tracer, function: Callable[..., Any], tensor: Tensor, grad: Any) -> None:
    before = tensor.grad
    if isinstance(grad, Tensor) and grad.is_meta != tensor.is_meta:
        raise ValueNeededError
    function(tensor, grad)
    t.undo.append(lambda: function(tensor, before))


@direct("Tensor.register_hook", "Tensor.register_post_accumulate_grad_hook")
def register_hook(t: Tracer, function: Callable[..., Any], tensor: Tensor, hook: Any) -> Any:
    if not tensor.requires_grad:  # a trace computes no gradients, so nothing would call it
        return RemovableHandle(OrderedDict())
    before = tensor._backward_hooks
    handle = function(tensor, hook)

    def put_back() -> None:
        handle.remove()
        if before is None:
            tensor._backward_hooks = None

    t.undo.append(put_back)
    return handle


@direct("Tensor.retain_grad", "Tensor.record_stream")
def without_effect(t: Tracer, function: Callable[..., Any], tensor: Tensor, *args: Any) -> None:
    """Gradients and streams do not occur in a trace."""


@direct("Tensor.pin_memory", "Tensor.share_memory_")
def stay_in_place(t: Tracer, function: Callable[..., Any], tensor: Tensor, *args: Any) -> Tensor:
    """The same elements in memory of another kind: the trace leaves a model's tensors where they are."""
    return tensor


@direct("Tensor.detach_")
def detach_(t: Tracer, function: Callable[..., Any], tensor: Tensor) -> Tensor:
    return tensor


def _in_place(name: str, op: str) -> None:
    function = getattr(Base, name)

    def attrs(y: Tensor, args: tuple[Any, ...]) -> dict[str, Any]:
        if op == "reshape":
            return {"shape": tuple(y.shape)}
        if op == "slice":
            return {"index": f"as_strided({tuple(y.shape)}, {y.stride()}, {y.storage_offset()})"}
        return {"perm": swapped(y.dim(), *(args or (0, -1)))}

    @rule(f"Tensor.{name}", aten=name)
    def change(t: Tracer, input: Tensor, *args: Any) -> Any:
        y = input
        spec = t.spec(input)
        if t.forced is None:
            if id(input) in t.declared:
                keep_data(t, input)
            if not input.is_meta:
                y = torch.empty_strided(input.shape, input.stride(), dtype=input.dtype, device=META)
                if not t.twice:
                    function(input, *args)
            function(y, *args)
        if id(input) in t.declared and spec.name in t.parameters:
            t.specs[id(input)] = TensorSpec(tuple(y.shape), NAMES[y.dtype], spec.name)
        elif t.forced is None or spec.shape != tuple(y.shape):
            t.emit(op, {"x": input}, {"y": y}, attrs(y, args), "", (("y", "x", VIEW),))
            t.specs[id(input)] = t.specs[id(y)]
        return input


for _name in ("squeeze_", "unsqueeze_"):
    _in_place(_name, "reshape")
_in_place("as_strided_", "slice")
for _name in ("t_", "transpose_", "swapaxes_", "swapdims_"):
    _in_place(_name, "transpose")
