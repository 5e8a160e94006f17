"""Operators outside the vocabulary: recorded under their qualified name, with the schema's arguments by name."""

from __future__ import annotations

from typing import Any

import torch

from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import VIEW, WRITE

_PLAIN = (bool, int, float, str, type(None))


def foreign_name(func: Any) -> str:
    """``namespace.operator`` of a torch callable: of its schema where it has one, else where it stands in torch."""
    namespace = getattr(func, "namespace", None)
    if namespace:  # an OpOverload
        return f"{namespace}.{func._opname}"
    qualified = getattr(func, "_qualified_op_name", None)
    if qualified:  # an OpOverloadPacket
        return str(qualified).replace("::", ".")
    name = getattr(func, "__name__", type(func).__name__)
    if hasattr(torch.ops.aten, name):  # a builtin that is the operator of the same name
        return f"aten.{name}"
    module = getattr(func, "__module__", None) or "torch"
    return f"{module.removeprefix('torch.')}.{name}"


def plain(value: Any) -> Any:
    """An argument as a value that can stand in a report: numbers, strings, and tuples of them."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (tuple, list)):
        return tuple(plain(v) for v in value)
    if isinstance(value, (torch.dtype, torch.device, torch.layout, torch.memory_format)):
        return str(value).removeprefix("torch.")
    return type(value).__name__


def emit_foreign(tracer: Tracer, name: str, func: Any, args: Any, kwargs: Any, results: list[torch.Tensor]) -> None:
    """Emit ``torch.<name>`` with tensors as inputs and everything else as attributes, under the schema's names."""
    schema = getattr(func, "_schema", None)
    if schema is None and hasattr(func, "overloads"):  # a packet of one overload has that overload's schema
        overloads = func.overloads()
        schema = getattr(func, overloads[0])._schema if len(overloads) == 1 else None
    names = [a.name for a in schema.arguments] if schema else []
    inputs: dict[str, torch.Tensor | None] = {}
    attrs: dict[str, Any] = {}
    writes: list[tuple[str, torch.Tensor]] = []
    shared: dict[str, list[str]] = {}
    for i, value in enumerate(args):
        _argument(names[i] if i < len(names) else f"arg{i}", value, inputs, attrs)
    for key, value in kwargs.items():
        _argument(key, value, inputs, attrs)
    if schema:
        for argument in schema.arguments:
            info = argument.alias_info
            tensor = inputs.get(argument.name)
            if info is None or tensor is None:
                continue
            if info.is_write:
                writes.append((argument.name, tensor))
            for mark in info.before_set:
                shared.setdefault(mark, []).append(argument.name)
    if len(writes) == 1 and all(r is writes[0][1] for r in results):
        tracer.write(f"torch.{name}", writes[0][1], inputs, attrs, role=writes[0][0])
        return
    outputs: dict[str, torch.Tensor] = {}
    aliases: list[tuple[str, str, str]] = []
    for role, tensor in writes:
        outputs[f"{role}_out"] = tensor
        aliases.append((f"{role}_out", role, WRITE))
    fresh = [r for r in results if all(r is not t for _, t in writes)]
    for i, tensor in enumerate(fresh):
        outputs["y" if len(fresh) == 1 else f"y{i}"] = tensor
    if schema and not writes and len(shared) == 1:
        (roles,) = shared.values()
        returned = [bool(r.alias_info) for r in schema.returns]
        if len(roles) == 1 and all(returned):
            aliases.extend((role, roles[0], VIEW) for role in outputs)
    tracer.emit(f"torch.{name}", inputs, outputs, attrs, "", tuple(aliases))


def _argument(name: str, value: Any, inputs: dict[str, torch.Tensor | None], attrs: dict[str, Any]) -> None:
    if isinstance(value, torch.Tensor):
        inputs[name] = value
    elif isinstance(value, (tuple, list)) and any(isinstance(v, torch.Tensor) for v in value):
        for i, item in enumerate(value):
            if isinstance(item, torch.Tensor):
                inputs[f"{name}{i}"] = item
    else:
        attrs[name] = plain(value)
