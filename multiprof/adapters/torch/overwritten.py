"""Values of parameters that a model overwrites while it runs for real: kept beforehand, put back at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # under vmap or grad: it has no memory of its own


class OverwrittenValues:
    """Copies a declared tensor at the first operation that is about to write to its memory.

    ``undo`` is the list of what is to be done at the end, last entry first.
    """

    def __init__(self, declared: list[torch.Tensor], undo: list[Callable[[], None]]) -> None:
        self.declared = declared
        self.undo = undo
        self._storages: dict[int, list[torch.Tensor]] | None = None  # data pointer -> tensors over it, not yet copied

    def keep(self, func: Any, args: Sequence[Any]) -> None:
        """Before ``func`` runs on ``args``: copy what it is going to write to, if that is a declared tensor."""
        name = getattr(func, "__name__", "")
        if not args or not isinstance(args[0], torch.Tensor):
            return
        writes = name.split(".")[0].endswith("_") or name in ("__setitem__", "set_")
        if not writes or name.startswith("requires_grad"):
            return
        for owner in self._over(args[0]):
            self._copy(owner)

    def _over(self, written: torch.Tensor) -> Sequence[torch.Tensor]:
        """The declared tensors over the memory of ``written`` that have not been copied."""
        if self._storages is None:
            self._storages = {}
            for owner in self.declared:
                if owner.layout is torch.strided and not owner.is_meta and not _wrapped(owner):
                    self._storages.setdefault(owner.untyped_storage().data_ptr(), []).append(owner)
        while _wrapped(written):
            written = torch._C._functorch.get_unwrapped(written)
        if written.is_meta or written.layout is not torch.strided:
            return self._storages.pop(0, ())
        return self._storages.pop(written.untyped_storage().data_ptr(), ())

    def _copy(self, owner: torch.Tensor) -> None:
        value, version = owner.detach().clone(), owner._version

        def put_back() -> None:
            owner.detach().copy_(value)
            # Autograd compares version counters: a backward pass begun before the analysis must still go through.
            torch._C._autograd._unsafe_set_version_counter((owner,), (version,))

        self.undo.append(put_back)


__all__ = ["OverwrittenValues"]
