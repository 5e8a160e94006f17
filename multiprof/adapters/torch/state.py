"""The model comes back as it was: what is saved before a trace and put back after it, whatever happened between."""

from __future__ import annotations

import random
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from operator import is_
from typing import Any

import torch

_LEAVES = (bool, int, float, str, bytes, type(None), torch.Tensor, torch.dtype, torch.device, tuple, frozenset, type)
_CODE = (types.FunctionType, types.MethodType, types.ModuleType, types.BuiltinFunctionType)
_LEAF_TYPES = frozenset((*_LEAVES, torch.nn.Parameter, *_CODE))
_CONTAINERS = frozenset((list, dict, OrderedDict, defaultdict, set, deque))
# How far objects that are no modules (configurations, caches) are followed from a module's attributes.
_DEPTH = 4


class ModelState:
    """Attributes, containers and modes of every module, saved on entry and put back by `restore`.

    Tensors themselves are not copied: a trace on shapes writes to none. A real run works on copies of the buffers
    (`spare_buffers`) and saves the parameters it overwrites (`OverwrittenValues`).
    """

    def __init__(self, modules: Iterable[torch.nn.Module], extra: Iterable[Any] = ()) -> None:
        self._dicts: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        self._sequences: list[tuple[Any, Any]] = []
        self._empty: list[Any] = []  # most containers of a module are empty hook tables
        self._seen: set[int] = set()
        for module in modules:
            self._save_attributes(module.__dict__, _DEPTH)
        for value in extra:
            self._save(value, _DEPTH)

    def _save_attributes(self, attributes: dict[str, Any], depth: int) -> None:
        saved = attributes.copy()
        self._dicts.append((attributes, saved))
        for value in saved.values():
            kind = type(value)
            if kind in _LEAF_TYPES:
                continue
            if kind in _CONTAINERS and not value:
                self._empty.append(value)
            else:
                self._save(value, depth)

    def _save(self, value: Any, depth: int) -> None:
        kind = type(value)
        if depth == 0 or kind in _LEAF_TYPES or id(value) in self._seen:
            return
        if isinstance(value, (*_LEAVES, *_CODE, torch.nn.Module)):
            return
        self._seen.add(id(value))
        if kind in _CONTAINERS:
            saved = value.copy()
            if isinstance(value, dict):
                self._dicts.append((value, saved))
                items = saved.values()
            else:
                self._sequences.append((value, saved))
                items = saved
            for item in items:
                if type(item) not in _LEAF_TYPES:
                    self._save(item, depth - 1)
            return
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is dict:
            self._save_attributes(attributes, depth - 1)

    def training_modes(self) -> bool:
        """Whether any module was in training mode on entry."""
        return any(saved.get("training") is True for _, saved in self._dicts)

    def restore(self) -> None:
        for now, saved in self._dicts:
            if not _unchanged(now, saved):
                now.clear()
                now.update(saved)
        for now, saved in self._sequences:
            if isinstance(now, set):
                now.clear()
                now.update(saved)
            elif len(now) != len(saved) or not all(map(is_, now, saved)):
                now.clear()
                now.extend(saved)
        for now in self._empty:
            if now:
                now.clear()


def _unchanged(now: dict[Any, Any], saved: dict[Any, Any]) -> bool:
    """The very same keys and values in the same order (``==`` on tensors would compute)."""
    return len(now) == len(saved) and all(map(is_, now.values(), saved.values())) and all(map(is_, now, saved))


class GlobalState:
    """Random number generators, thread count, default dtype and gradient mode of the process."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        rng = torch.random.get_rng_state()
        self._undo.append(lambda: torch.random.set_rng_state(rng))
        python_rng = random.getstate()
        self._undo.append(lambda: random.setstate(python_rng))
        numpy_random = sys.modules.get("numpy.random")  # numpy loads it on first use, which takes 10 ms
        if numpy_random is not None:
            numpy_rng = numpy_random.get_state()
            self._undo.append(lambda: numpy_random.set_state(numpy_rng))
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            cuda_rng = torch.cuda.get_rng_state_all()
            self._undo.append(lambda: torch.cuda.set_rng_state_all(cuda_rng))
        threads = torch.get_num_threads()
        dtype = torch.get_default_dtype()
        grad = torch.is_grad_enabled()
        self._undo.append(lambda: torch.set_num_threads(threads) if torch.get_num_threads() != threads else None)
        self._undo.append(lambda: torch.set_default_dtype(dtype))
        self._undo.append(lambda: torch._C._set_grad_enabled(grad))

    def restore(self) -> None:
        for undo in self._undo:
            undo()


def spare_buffers(modules: Iterable[torch.nn.Module]) -> None:
    """Before a real run: let the modules work on copies of their buffers and plain tensors.

    `ModelState.restore` puts the originals back, untouched. Parameters are too large to copy on suspicion
    (`OverwrittenValues` copies those that are written to).
    """
    copies: dict[int, torch.Tensor] = {}

    def copy_of(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in copies:
            copies[id(tensor)] = tensor if tensor.is_meta else tensor.detach().clone()
        return copies[id(tensor)]

    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):  # its buffers are not Python's to replace
            continue
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = copy_of(buffer)
        for name, value in module.__dict__.items():
            if type(value) is torch.Tensor:
                module.__dict__[name] = copy_of(value)
