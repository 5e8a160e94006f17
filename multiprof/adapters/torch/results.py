"""The tensors in whatever a model returns."""

from __future__ import annotations

from typing import Any

import torch

_DEPTH = 8


def returned_tensors(value: Any, depth: int = _DEPTH) -> list[torch.Tensor]:
    """Tensors in nested tuples, lists, dicts and result objects, in order, each once."""
    found: dict[int, torch.Tensor] = {}
    _collect(value, found, depth)
    return list(found.values())


def _collect(value: Any, found: dict[int, torch.Tensor], depth: int) -> None:
    if isinstance(value, torch.Tensor):
        found.setdefault(id(value), value)
    elif depth == 0 or isinstance(value, (str, bytes, int, float, type(None), torch.nn.Module)):
        return
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found, depth - 1)
    elif isinstance(value, (tuple, list, set)):
        for item in value:
            _collect(item, found, depth - 1)
    else:
        slots = [name for kind in type(value).__mro__ for name in _names(kind.__dict__.get("__slots__", ()))]
        kept = [getattr(value, name, None) for name in slots if not name.startswith("__")]
        for item in (*kept, *getattr(value, "__dict__", {}).values()):
            _collect(item, found, depth - 1)


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
