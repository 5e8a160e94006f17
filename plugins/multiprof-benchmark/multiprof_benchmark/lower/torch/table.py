"""The table of lowerings onto torch: canonical op → a function that makes the kernel of a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.layouts import UnknownLayoutError
from multiprof_benchmark.lower.reading import NotLoweredError

Tensor = torch.Tensor
Result = Tensor | tuple[Tensor, ...]
Prepare = Callable[[Tensor], Tensor]
# weight, bias, and what each output channel is multiplied by and added -> weight, bias
Rescale = Callable[[Tensor, "Tensor | None", Tensor, Tensor], tuple[Tensor, Tensor]]

DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16"),
        *("float32", "float64", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e4m3fnuz"),
        *("float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    )
}
# Types narrower than a byte have no tensors: they are stored one element a byte.
WIDENED: Mapping[str, torch.dtype] = {
    "int2": torch.int8, "int4": torch.int8, "uint2": torch.uint8, "uint4": torch.uint8,
}  # fmt: skip
_FLOATS = frozenset(("float16", "bfloat16", "float32", "float64"))


@dataclass(slots=True)
class Kernel:
    """What runs a layer: ``run`` takes its operands by role and returns its outputs in their order.

    ``prepare`` lays an operand out for ``run``: once where it is a weight, else on every run. ``fixed`` are further
    tensors that ``run`` is given by name. ``rescale`` folds a batch norm behind the layer into its prepared operands.
    ``notes`` say where the program differs from the layer in what it computes, never in shapes.
    """

    run: Callable[..., Result]
    prepare: Mapping[str, Prepare] = field(default_factory=dict)
    fixed: Mapping[str, Tensor] = field(default_factory=dict)
    rescale: Rescale | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule must know beside its layer: the framework, for layouts that no attribute names, and the dtype that
    stands in place of every floating-point one (``None``: as the graph has it)."""

    framework: str = ""
    dtype: torch.dtype | None = None

    def type_of(self, spec: TensorSpec) -> torch.dtype:
        if self.dtype is not None and spec.dtype in _FLOATS:
            return self.dtype
        found = DTYPES.get(spec.dtype) or WIDENED.get(spec.dtype)
        if found is None:
            raise NotLoweredError(f"torch has no tensors of {spec.dtype or 'an unknown type'}")
        return found


Rule = Callable[[Layer, Context], "Kernel | Callable[..., Result]"]
# A framework's name with ".*" stands for all of its foreign ops that are not entered themselves.
RULES: dict[str, Rule] = {}
# Ops whose time or result depends on the values they are given, not on shapes alone.
VALUE_DEPENDENT = frozenset(
    ("sort", "topk", "unique", "nonzero", "bucketize", "histogram", "nms", "roi_pool", "roi_align", "cholesky")
)


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Enter a function as the lowering of ``ops``."""

    def enter(function: Rule) -> Rule:
        for op in ops:
            RULES[op] = function
        return function

    return enter


def broadcast(*shapes: Sequence[int]) -> tuple[int, ...] | None:
    """The common shape of operands; ``None`` where there is none."""
    try:
        return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except RuntimeError:
        return None


def kernel_of(layer: Layer, context: Context) -> Kernel:
    """The kernel of a layer; `NotLoweredError` says why there is none."""
    make = RULES.get(layer.op) or RULES.get(f"{layer.op.partition('.')[0]}.*")
    if make is None:
        raise NotLoweredError("no lowering of this op onto torch")
    try:
        made = make(layer, context)
    except (UnknownLayoutError, KeyError, ValueError, TypeError, IndexError) as error:
        # an attribute that is missing (KeyError), None, or not what the vocabulary says
        what = f"attribute or role {error} is missing" if isinstance(error, KeyError) else str(error)
        raise NotLoweredError(what) from error
    return made if isinstance(made, Kernel) else Kernel(made)
