"""Modules that only stand around another one: compiled, spread over devices, averaged, checkpointed.

They are looked through: what counts is the network inside, under its own names. They are known by name, since most of
their modules are never imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_INSIDE = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": "_fsdp_wrapped_module",
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper.CheckpointWrapper": "_checkpoint_wrapped_module",
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper.OffloadWrapper": "_checkpoint_wrapped_module",
    "torch.optim.swa_utils.AveragedModel": "module",
}
_known: dict[type, str] = {}


def attribute_inside(kind: type) -> str:
    """Under which attribute a wrapper of this class holds the module; empty for any other class."""
    found = _known.get(kind)
    if found is None:
        names = (f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__)
        found = _known[kind] = next((_INSIDE[name] for name in names if name in _INSIDE), "")
    return found


def original(model: Any) -> Any:
    """The module or function behind wrappers and ``torch.compile``."""
    while True:
        attribute = attribute_inside(type(model))
        inside = getattr(model, attribute or "_torchdynamo_orig_callable", None)
        if inside is None:
            return model
        model = inside


def drop_gathering(modules: Iterable[torch.nn.Module]) -> None:
    """Take away the hooks by which ``fully_shard`` gathers weights before a module runs: their shapes are known.

    What was there before is for the caller to put back.
    """
    for module in modules:
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in list(hooks.items()):
                if str(getattr(hook, "__module__", "")).startswith("torch.distributed.fsdp."):
                    del hooks[key]


__all__ = ["attribute_inside", "drop_gathering", "original"]
