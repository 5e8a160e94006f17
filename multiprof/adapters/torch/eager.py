"""Pieces of torch that compile, or plan a kernel, even where a model runs eagerly: during a trace they do neither."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

# Makers of block masks: a plan of flex attention's kernel and no operation. They build tables of blocks under two
# vmap, for which shapes alone do not suffice.
_FLEX = "torch.nn.attention.flex_attention"
_MASKS = (
    "create_block_mask",
    "create_mask",
    "_create_empty_block_mask",
    "_convert_mask_to_block_mask",
    "_create_sparse_block_from_block_mask",
)
_UNCOMPILED = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"  # calls the operator itself, without a warning
# Compiles the call of an operator that takes functions (cond, scan), with a backend that does nothing to it.
_HIGHER = "torch._higher_order_ops.utils"
_COMPILES = "_hop_compile_and_call"


class Eager:
    """Context manager that puts plain functions in the place of those; what is not imported is not touched."""

    def __enter__(self) -> Eager:
        self._replaced: list[tuple[Any, str, Any]] = []
        for name in _MASKS:
            self._replace(_FLEX, name, _unwatched)
        self._replace(_FLEX, _UNCOMPILED, lambda original: True)
        self._replace(_HIGHER, _COMPILES, lambda original: _called)
        return self

    def __exit__(self, *exc: object) -> None:
        for module, name, original in self._replaced:
            setattr(module, name, original)

    def _replace(self, module: str, name: str, by: Callable[[Any], Any]) -> None:
        found = sys.modules.get(module)
        original = None if found is None else vars(found).get(name)
        if original is not None:
            setattr(found, name, by(original))
            self._replaced.append((found, name, original))


def _unwatched(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        with torch._C.DisableTorchFunction():
            return original(*args, **kwargs)

    return make


def _called(function: Callable[..., Any], args: Any, kwargs: Any = None) -> Any:
    return function(*args, **(kwargs or {}))
