"""torch's own commonest modules, answered without running their Python code.

A module of exactly one of these classes, without hooks, would do nothing but pass its weights on to one function that
has a rule: the rule is called at once. That halves what such a module costs, and nets are made of them. Whatever is
unusual is left to the module's own forward, which also words the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from multiprof.adapters.torch.autocast import is_enabled
from multiprof.adapters.torch.rules import activation, conv, linear, norm
from multiprof.adapters.torch.tracer import Tracer

Tensor = torch.Tensor
Shortcut = Callable[[Tracer, Any, Tensor], Any]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def answer(tracer: Tracer, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The module's result, its layer emitted; ``NotImplemented`` where its own forward has to run."""
    kind = type(module)
    shortcut = SHORTCUTS.get(kind)
    if shortcut is None or is_enabled() or len(args) != 1 or kwargs or tracer.real or type(args[0]) is not Tensor:
        return NotImplemented
    if id(args[0]) in tracer.twins or kind.forward.__module__ != kind.__module__:  # the class was patched
        return NotImplemented
    attributes = module.__dict__
    if "forward" in attributes or any(attributes[name] for name in _HOOKS):
        return NotImplemented
    mark = len(tracer.layers)
    try:
        with torch._C.DisableTorchFunction():  # what the rule asks of its tensors is not the model's doing
            return shortcut(tracer, module, args[0])
    except Exception:  # whatever the rule is not sure of, and every error, is the forward's own
        tracer.rollback(mark)
        return NotImplemented


def _conv2d(t: Tracer, m: nn.Conv2d, x: Tensor) -> Any:
    if m.padding_mode != "zeros":
        return NotImplemented
    t.source = "conv2d"
    own = m._parameters
    return conv.conv2d(t, x, own["weight"], own["bias"], m.stride, m.padding, m.dilation, m.groups)


def _batch_norm2d(t: Tracer, m: nn.BatchNorm2d, x: Tensor) -> Any:
    own, kept = m._parameters, m._buffers
    if m.training or kept["running_mean"] is None or x.dim() != 4:
        return NotImplemented
    t.source = "batch_norm"
    return norm.batch_norm(
        t, x, kept["running_mean"], kept["running_var"], own["weight"], own["bias"], False, 0.0, m.eps
    )


def _relu(t: Tracer, m: nn.ReLU, x: Tensor) -> Any:
    t.source = "relu"
    return activation.relu(t, x, m.inplace)


def _linear(t: Tracer, m: nn.Linear, x: Tensor) -> Any:
    t.source = "linear"
    own = m._parameters
    return linear.linear(t, x, own["weight"], own["bias"])


def _layer_norm(t: Tracer, m: nn.LayerNorm, x: Tensor) -> Any:
    t.source = "layer_norm"
    own = m._parameters
    return norm.layer_norm(t, x, m.normalized_shape, own["weight"], own["bias"], m.eps)


SHORTCUTS: dict[type, Shortcut] = {
    nn.Conv2d: _conv2d,
    nn.BatchNorm2d: _batch_norm2d,
    nn.ReLU: _relu,
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
}
