"""The module tree of a model and every tensor it declares."""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType
from typing import Any

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.tracer import Tracer
from multiprof.errors import ModelError
from multiprof.ir import BUFFER, CONSTANT, PARAMETER, Parameter, TensorSpec


class ModuleTree:
    """Every module under a model with its first path; for a plain callable, every module it closes over.

    One walk of our own: ``named_modules`` and ``named_parameters`` together take half of a whole trace.
    """

    def __init__(self, model: Any) -> None:
        self.paths: dict[int, str] = {}
        self.modules: list[torch.nn.Module] = []
        self.holders: list[Any] = []  # objects that are no modules but may change during a trace
        self.lazy = False
        if isinstance(model, torch.nn.Module):
            self.walk(model, "")
        else:
            owner = getattr(model, "__self__", None)
            if isinstance(owner, torch.nn.Module):
                self.walk(owner, "")
            elif owner is not None:
                self.holders.append(owner)
            for name, value in _reachable(model, _NESTED):
                if isinstance(value, torch.nn.Module) and id(value) not in self.paths:
                    self.walk(value, name)

    def walk(self, module: torch.nn.Module, path: str) -> None:
        """Depth first, in declaration order: the order of ``named_modules``."""
        if id(module) in self.paths:
            return
        self.paths[id(module)] = path
        self.modules.append(module)
        prefix = f"{path}." if path else ""
        for tensor in module._parameters.values():
            if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
                self.lazy = True
        for name, child in module._modules.items():
            if child is not None:
                self.walk(child, prefix + name)


def existing_tensors(model: Any, modules: list[torch.nn.Module]) -> frozenset[int]:
    """Ids of tensors the model can reach without being given them: in plain attributes, closures and globals."""
    found: set[int] = set()
    seen: set[int] = set()

    def search(value: Any, depth: int) -> None:
        if isinstance(value, torch.Tensor):
            found.add(id(value))
        elif depth and id(value) not in seen and not isinstance(value, (torch.nn.Module, type, str, bytes, int, float)):
            seen.add(id(value))
            if isinstance(value, dict):
                items: Any = list(value.values())
            elif isinstance(value, (list, tuple, set)):
                items = list(value)
            else:
                items = list(getattr(value, "__dict__", {}).values())
            for item in items:
                search(item, depth - 1)

    functions = {getattr(type(module), "forward", None) for module in modules}  # a scripted one's class has none
    for module in modules:
        for value in list(module.__dict__.values()):
            search(value, 3)
    for function in (*functions, *(() if isinstance(model, torch.nn.Module) else (model,))):
        for _, value in _closed_over(function):
            if not isinstance(value, type(torch)):
                search(value, 2)
    return frozenset(found)


def _reachable(function: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """What a function sees, and what the functions among that see: ``vmap(f)`` closes over ``f``."""
    found = _closed_over(function)
    yield from found
    if depth:
        for _, value in found:
            inner = getattr(value, "func", value)  # of a partial
            home = str(getattr(inner, "__module__", None))
            if isinstance(inner, FunctionType) and not home.startswith("torch."):
                yield from _reachable(value, depth - 1)


def _closed_over(function: Any) -> list[tuple[str, Any]]:
    """Variables that a function sees: its closure, the globals it names, the arguments of a partial."""
    if hasattr(function, "func") and hasattr(function, "keywords"):
        return [
            *_closed_over(function.func),
            *((f"arg{i}", v) for i, v in enumerate(function.args)),
            *function.keywords.items(),
        ]
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return [(k, v) for k, v in vars(function).items()] if hasattr(function, "__dict__") else []
    found: list[tuple[str, Any]] = []
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:  # an empty cell
            continue
    names = getattr(function, "__globals__", {})
    found.extend((name, names[name]) for name in code.co_names if name in names)
    return found


class Declarations:
    """Declares each parameter, buffer and plain tensor attribute once; later names of the same tensor are tied."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self._by_id: dict[int, Parameter] = {}
        self._by_address: dict[int, list[tuple[torch.Tensor, Parameter]]] = {}

    def declare(self, modules: list[torch.nn.Module], paths: dict[int, str]) -> None:
        for module in modules:
            path = paths[id(module)]
            prefix = f"{path}." if path else ""
            for name, tensor in module._parameters.items():
                if tensor is not None:
                    self._add(tensor, prefix + name, PARAMETER, tensor.requires_grad)
            if module._buffers:
                transient = module._non_persistent_buffers_set
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        self._add(buffer, prefix + name, CONSTANT if name in transient else BUFFER, False)
        # Plain tensor attributes come last: most are a second name for something declared above.
        is_tensor: dict[
            type, bool
        ] = {}  # isinstance on a tensor class takes 0.3 µs, and a model has thousands of attributes
        for module in modules:
            for name, value in module.__dict__.items():
                kind = type(value)
                if kind not in is_tensor:
                    is_tensor[kind] = issubclass(kind, torch.Tensor)
                if is_tensor[kind] and id(value) not in self._by_id:
                    path = paths[id(module)]
                    self._add(value, f"{path}.{name}" if path else name, CONSTANT, False)
        self.tracer.reserve_names()

    def _add(self, tensor: torch.Tensor, name: str, kind: str, trainable: bool) -> None:
        if is_functorch_wrapped_tensor(tensor):  # put in the place of a parameter for the moment, by functional_call
            return
        key = id(tensor)
        first = self._by_id.get(key)
        if first is not None:
            first.tied += (name,)
            return
        # Two tensor objects over one storage, as `b.weight.data = a.weight.data` makes them, are one weight.
        # Meta, empty and sparse tensors have no address.
        address = tensor.data_ptr() if type(tensor) in _PLAIN and tensor.layout is torch.strided else 0
        if address and address in self._by_address:
            for other, parameter in self._by_address[address]:
                if other.shape == tensor.shape and other.stride() == tensor.stride() and other.dtype is tensor.dtype:
                    parameter.tied += (name,)
                    self._by_id[key] = parameter
                    self.tracer.declare(tensor, parameter)
                    return
        dtype = NAMES.get(tensor.dtype)
        if dtype is None:
            raise ModelError(f"{kind} {name!r} has dtype {tensor.dtype}, which multiprof does not know")
        parameter = Parameter(TensorSpec(tuple(tensor.shape), dtype, name), kind, trainable, name)
        self._by_id[key] = parameter
        if address:
            self._by_address.setdefault(address, []).append((tensor, parameter))
        self.tracer.declare(tensor, parameter)


_NESTED = 4  # functions within functions that are looked into

_PLAIN = (torch.Tensor, torch.nn.Parameter, getattr(torch.nn, "Buffer", torch.Tensor))
