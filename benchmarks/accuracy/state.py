"""What a counter did to the model that it was given, and to the process."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parameter import is_lazy

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
PATCHED = (
    (F, "linear"), (F, "conv2d"), (F, "relu"), (F, "scaled_dot_product_attention"), (torch, "matmul"), (torch, "bmm"),
    (torch, "einsum"), (torch, "add"), (torch.Tensor, "matmul"), (torch.Tensor, "__matmul__"), (torch.Tensor,
        "__add__"),
    (nn.Module, "__call__"), (nn.Module, "_call_impl"),
)  # fmt: skip


def _values(module: nn.Module) -> dict[str, Any]:
    return {
        name: None if is_lazy(value) or value.is_meta else value.detach().clone()
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, torch.Tensor)
    }


@dataclass
class Snapshot:
    """Everything that must be the same after the count, by what it is called in the table."""

    facts: dict[str, Any]
    values: dict[str, Any]

    @classmethod
    def take(cls, model: nn.Module) -> Snapshot:
        modules = list(model.named_modules())
        classes = {type(m) for _, m in modules}
        facts = {
            "modes": {name: m.training for name, m in modules},
            "state_dict keys": list(model.state_dict(keep_vars=True)),
            "hooks": {name: tuple(len(getattr(m, kind)) for kind in HOOKS) for name, m in modules},
            "attributes": {name: {k for k in m.__dict__ if not k.startswith("_forward")} for name, m in modules},
            "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
            "classes": {c: (c.__call__, c.forward, set(c.__dict__)) for c in classes},
            "torch's functions": [getattr(owner, name) for owner, name in PATCHED],
            "random numbers": (torch.get_rng_state().tolist(), random.getstate()),
            "grad mode": torch.is_grad_enabled(),
        }
        return cls(facts, _values(model))

    def changed(self, model: nn.Module) -> list[str]:
        """Names of what is not as it was."""
        now = Snapshot.take(model)
        found = [name for name, fact in self.facts.items() if now.facts[name] != fact]
        same = all(
            (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
            for a, b in ((value, now.values.get(name)) for name, value in self.values.items())
        )
        return found if same else [*found, "state_dict values"]
