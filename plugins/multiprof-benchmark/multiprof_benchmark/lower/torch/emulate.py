"""Layers on integers that torch has no kernels for: computed on the real numbers that the integers stand for.

Shapes, dtypes and traffic are those of the integers; the time of the arithmetic is that of float32, which the result
says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from multiprof import Layer, TensorSpec
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.torch.rules.quantization import grid, limits
from multiprof_benchmark.lower.torch.table import DTYPES, WIDENED, Context, Kernel, Prepare, Tensor, kernel_of

NOTE = "computed in float32: torch has no kernel on these integers"
_DOTS = frozenset(("conv", "conv_transpose", "linear", "matmul", "einsum", "attention", "lstm", "gru", "rnn"))
# These take integers as they are.
_AS_THEY_ARE = frozenset(
    (
        *("reshape", "transpose", "slice", "split", "expand", "repeat", "flip", "roll", "copy", "identity", "gather"),
        *("index", "pad", "concat", "stack", "unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "cast"),
        *("quantize", "dequantize", "requantize", "dynamic_quantize", "embedding", "dropout", "where", "one_hot"),
        *("index_put", "scatter", "constant", "fill"),
    )
)


def is_emulated(layer: Layer) -> bool:
    """Whether the layer computes on integers that stand for real numbers, or forms dot products of integers."""
    if layer.op in _AS_THEY_ARE or "." in layer.op:
        return False
    specs = [*layer.inputs.values(), *layer.outputs.values()]
    if any(_stored(spec) for spec in specs):
        return True
    return layer.op in _DOTS and any("int" in spec.dtype for spec in layer.inputs.values())


def _stored(spec: TensorSpec) -> bool:
    return spec.quant is not None and "int" in spec.dtype


def emulated(layer: Layer, context: Context) -> Kernel:
    """The kernel of a layer on integers: theirs in, theirs out, float32 between."""
    whole = layer.op in _DOTS  # every integer operand is a number there, also one without a scale
    given = {role: spec for role, spec in layer.inputs.items() if _stored(spec) or (whole and "int" in spec.dtype)}
    made = {role: spec for role, spec in layer.outputs.items() if "int" in spec.dtype and role != "indices"}
    real = replace(
        layer,
        inputs={r: _real(s) if r in given else s for r, s in layer.inputs.items()},
        outputs={r: _real(s) if r in made else s for r, s in layer.outputs.items()},
    )
    kernel = kernel_of(real, replace(context, dtype=None))
    before = {role: _to_real(spec) for role, spec in given.items()}
    after = [_to_stored(made[role]) if role in made else None for role in layer.outputs if not role.startswith("alias")]
    prepare: dict[str, Prepare] = {}
    for role in {*before, *kernel.prepare}:
        prepare[role] = _then(before.get(role), kernel.prepare.get(role))

    def run(**operands: Tensor) -> Tensor | tuple[Tensor, ...]:
        y = kernel.run(**operands)
        if isinstance(y, tuple):
            return tuple(t if f is None else f(t) for t, f in zip(y, after, strict=True))
        (back,) = after
        return y if back is None else back(y)

    return Kernel(run, prepare, kernel.fixed, None, (*kernel.notes, NOTE))


def _real(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(spec.shape, "float32", spec.name)


def _then(first: Prepare | None, second: Prepare | None) -> Prepare:
    if first is None or second is None:
        found = first or second
        assert found is not None
        return found
    return lambda t: second(first(t))


def _to_real(spec: TensorSpec) -> Callable[[Tensor], Tensor]:
    if spec.quant is None:
        return lambda t: t.float()
    scale, zero = grid(spec)
    return lambda t: (t.float() - zero.to(t.device)) * scale.to(t.device)


def _to_stored(spec: TensorSpec) -> Callable[[Tensor], Tensor]:
    kind = DTYPES.get(spec.dtype) or WIDENED.get(spec.dtype)
    if kind is None:
        raise NotLoweredError(f"torch has no tensors of {spec.dtype}")
    low, high = limits(spec.dtype)
    if spec.quant is None:
        return lambda t: t.clamp(low, high).to(kind)
    scale, zero = grid(spec)
    return lambda t: (torch.round(t / scale.to(t.device)) + zero.to(t.device)).clamp(low, high).to(kind)
