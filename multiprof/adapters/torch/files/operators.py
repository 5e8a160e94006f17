"""The operators that a file may name: those registered with torch, and plain arithmetic on numbers. Nothing else."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

import torch
from torch._ops import OpOverload

from multiprof.adapters.torch.table import RULES, Direct, passthrough

_ARITHMETIC = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "abs", "eq", "ne", "lt", "le", "gt", "ge",
    "and_", "or_", "not_", "xor", "lshift", "rshift", "getitem", "truth", "index",
)  # fmt: skip
_ON_NUMBERS: dict[str, Callable[..., Any]] = {f"_operator.{name}": getattr(operator, name) for name in _ARITHMETIC}
_ON_NUMBERS |= {
    f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc", "sqrt", "log2", "log", "exp", "prod")
}
_ON_NUMBERS |= {
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_sum": sum,
    "torch.sym_not": operator.not_,
    "torch.sym_ite": lambda condition, yes, no: yes if condition else no,
    "torch._sym_sqrt": math.sqrt,
    "torch._sym_log2": math.log2,
}

# Operators that read or write files.
_REFUSED = frozenset(("aten.from_file", "aten.save", "aten.load", "aten.import_ir_module"))
# Checks that an exporter leaves behind: they compute nothing of the model.
CHECKS = frozenset(
    f"aten.{name}"
    for name in (
        "_assert_async", "_assert_scalar", "_assert_tensor_metadata", "_functional_assert_async",
        "_functional_assert_scalar", "sym_constrain_range", "sym_constrain_range_for_size",
    )
)  # fmt: skip


def number_function(target: str) -> Callable[..., Any] | None:
    """What computes with numbers alone under the name that torch.export gives it."""
    return _ON_NUMBERS.get(target)


def overload(target: str) -> OpOverload | None:
    """The operator ``torch.ops.namespace.name.overload``; ``None`` where no such one is registered here."""
    parts = target.split(".")
    if len(parts) != 5 or parts[:2] != ["torch", "ops"] or not is_registered(parts[2], parts[3]):
        return None
    found = getattr(getattr(getattr(torch.ops, parts[2]), parts[3]), parts[4], None)
    return found if isinstance(found, OpOverload) else None


def with_rule(name: str) -> Callable[..., Any] | None:
    """torch's own function for an aten operator, where it takes the operator's arguments and a rule answers it.

    The operator itself would be taken apart by torch before anything sees it.
    """
    if name not in _FOUND:
        _FOUND[name] = _find(name)
    return _FOUND[name]


_FOUND: dict[str, Callable[..., Any] | None] = {}
_BUILTIN = (BuiltinFunctionType, MethodDescriptorType)  # functions written in Python take arguments of their own


def _find(name: str) -> Callable[..., Any] | None:
    for home in (torch._C._VariableFunctions, torch._C._nn, torch.Tensor):
        found = getattr(home, name, None)
        rule = RULES.get(found) if isinstance(found, _BUILTIN) else None
        if rule is not None and rule is not passthrough and type(rule) is not Direct:
            return found
    return None


def is_registered(namespace: str, name: str) -> bool:
    """Whether torch has this operator, and a file may call it. Asking ``torch.ops`` itself would make attributes."""
    if not (namespace.isidentifier() and name.isidentifier()) or namespace.startswith("__") or name.startswith("__"):
        return False
    if f"{namespace}.{name}" in _REFUSED:
        return False
    return bool(torch._C._jit_get_schemas_for_operator(f"{namespace}::{name}"))


__all__ = ["CHECKS", "is_registered", "number_function", "overload", "with_rule"]
