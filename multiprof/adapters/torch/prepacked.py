"""Modules that torch.ao.quantization has converted: integer kernels, whose weights are packed into objects of C++.

torch has no such kernels for tensors without values, and no views of quantised ones. So a quantised tensor is a float
one here, with the shape it has, and its name stands for integers (`Tracer.quantised`): every rule for real numbers
serves. Results keep the type of their operands, as torch's kernels have it; what rescales them is part of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from multiprof.adapters.torch.dtypes import NAMES
from multiprof.adapters.torch.rules import activation, conv, embedding, join, linear, norm, recurrent
from multiprof.adapters.torch.rules._common import Tensor, between
from multiprof.adapters.torch.table import RULES, WHOLE, rule
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import Parameter, Quant, TensorSpec

_ops = torch.ops.quantized


# -- to integers and back ----------------------------------------------------------------------------------------------


@rule("torch.quantize_per_tensor")
def quantize_per_tensor(t: Tracer, input: Tensor, scale: Any, zero_point: Any, dtype: torch.dtype) -> Any:
    if input.dtype is not torch.float32:
        return NotImplemented
    y = between(input.shape, input.dtype)
    t.emit("quantize", {"x": input}, {"y": y}, {"dtype": NAMES[dtype]})
    return t.quantise(y, NAMES[dtype], _quant(t, scale, zero_point))


def _quant(t: Tracer, scale: Any, zero_point: Any) -> Quant:
    """Scale and zero point, which may be buffers of the module; 1 and 0 where those have no values."""
    given = [t.values.get(id(v), v) if isinstance(v, Tensor) else v for v in (scale, zero_point)]
    if any(isinstance(v, Tensor) and v.is_meta for v in given):
        return Quant((1.0,), (0,))
    return Quant((float(given[0]),), (int(given[1]),))


@rule("torch.dequantize", "Tensor.dequantize")
def dequantize(t: Tracer, input: Tensor) -> Any:
    if id(input) not in t.quantised:
        return NotImplemented
    y = between(input.shape, input.dtype)
    t.emit("dequantize", {"x": input}, {"y": y}, {"dtype": "float32"})
    return t.real_again(y)


def _dynamically(t: Tracer, x: Tensor) -> Tensor:
    """Real numbers made integers by their own range, as dynamic kernels begin."""
    y = between(x.shape, x.dtype)
    t.emit("dynamic_quantize", {"x": x}, {"y": y}, {"dtype": "uint8"})
    return t.quantise(y, "uint8", Quant((1.0,), (0,)))


# -- packed weights ----------------------------------------------------------------------------------------------------


def _unpacked(t: Tracer, packed: Any, unpack: Callable[[Any], Any]) -> tuple[Tensor, Tensor | None]:
    """The weight and bias in an object, as tensors without values that are known as parameters of the module."""
    known = t.packed.get(id(packed))
    if known is None:
        weight, bias = unpack(packed)
        stored = _HALF if unpack is _ops.linear_unpack_fp16 else ""
        known = _declared(t, weight, "weight", stored), None if bias is None else _declared(t, bias, "bias")
        t.packed[id(packed)] = known
        t.alive.append(packed)
    return known


_HALF = "float16"  # unpacked as float32


def _declared(t: Tracer, tensor: Tensor, name: str, stored: str = "") -> Tensor:
    scope = t.frames[-1].scope
    twin = torch.empty(tensor.shape, dtype=torch.float32, device="meta")
    quant = None
    if tensor.is_quantized:
        if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            quant = Quant((tensor.q_scale(),), (tensor.q_zero_point(),))
        else:
            scales, points = tensor.q_per_channel_scales().tolist(), tensor.q_per_channel_zero_points().tolist()
            quant = Quant(tuple(scales), tuple(map(int, points)), tensor.q_per_channel_axis())
    full = t.unique(f"{scope}.{name}" if scope else name)
    spec = TensorSpec(tuple(tensor.shape), stored or NAMES[tensor.dtype], full, quant)
    t.declare(twin, Parameter(spec, trainable=False, source=full))
    return twin


# -- products ----------------------------------------------------------------------------------------------------------


def _register(name: str, *more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        for one in (name, *more):
            WHOLE[f"quantized.{one}"] = function
        return function

    return keep


def _finish(t: Tracer, y: Any, activate: bool, scale: Any = None, zero_point: Any = None) -> Any:
    """The activation that is fused into a kernel, and the scale of its result."""
    if y is NotImplemented:
        return y
    if activate:
        activation.relu(t, y, True)
    if scale is not None:
        t.quantise(y, t.specs[id(y)].dtype, _quant(t, scale, zero_point))
    return y


def _linear(activate: bool) -> Callable[..., Any]:
    def apply(t: Tracer, x: Tensor, packed: Any, scale: float, zero_point: int) -> Any:
        w, b = _unpacked(t, packed, _ops.linear_unpack)
        return _finish(t, linear.linear(t, x, w, b), activate, scale, zero_point)

    return apply


def _linear_dynamic(activate: bool, half: bool) -> Callable[..., Any]:
    def apply(t: Tracer, x: Tensor, packed: Any, reduce_range: bool = False) -> Any:
        w, b = _unpacked(t, packed, _ops.linear_unpack_fp16 if half else _ops.linear_unpack)
        operand = x if half else _dynamically(t, x)
        if half:  # stored in half the bytes, multiplied as float32
            wide = between(w.shape, w.dtype)
            t.emit("cast", {"x": w}, {"y": wide}, {"dtype": "float32"})
            w = wide
        y = linear.linear(t, operand, w, b)
        return y if y is NotImplemented else _finish(t, t.real_again(y), activate)

    return apply


for _name, _made in (
    ("linear", _linear(False)), ("linear_relu", _linear(True)),
    ("linear_dynamic", _linear_dynamic(False, False)), ("linear_relu_dynamic", _linear_dynamic(True, False)),
    ("linear_dynamic_fp16", _linear_dynamic(False, True)), ("linear_relu_dynamic_fp16", _linear_dynamic(True, True)),
):  # fmt: skip
    _register(_name)(_made)


def _convolution(rank: int, transposed: bool, activate: bool, dynamic: bool) -> Callable[..., Any]:
    kind = f"conv_transpose{rank}d" if transposed else f"conv{rank}d"
    # One-dimensional weights are packed as two-dimensional ones, and so are their strides and paddings.
    about = f"{'conv_transpose' if transposed else 'conv'}{max(rank, 2)}d"

    def apply(t: Tracer, x: Tensor, packed: Any, scale: Any = None, zero_point: Any = None) -> Any:
        w, b = _unpacked(t, packed, getattr(_ops, f"{kind}_unpack"))

        def of(what: str) -> list[int]:
            return [int(n) for n in getattr(_ops, f"{about}_{what}")(packed)][-rank:]

        groups = int(getattr(_ops, f"{about}_groups")(packed))
        operand = _dynamically(t, x) if dynamic else x
        if transposed:
            more = (of("stride"), of("padding"), of("output_padding"), groups, of("dilation"))
        else:
            more = (of("stride"), of("padding"), of("dilation"), groups)  # type: ignore[assignment]
        y = getattr(conv, kind)(t, operand, w, b, *more)
        if y is NotImplemented:
            return y
        return _finish(t, t.real_again(y), activate) if dynamic else _finish(t, y, activate, scale, zero_point)

    return apply


for _rank in (1, 2, 3):
    for _activate in (False, True):
        _register(f"conv{_rank}d{'_relu' if _activate else ''}")(_convolution(_rank, False, _activate, False))
    _register(f"conv{_rank}d_dynamic")(_convolution(_rank, False, False, True))
    _register(f"conv_transpose{_rank}d")(_convolution(_rank, True, False, False))
    _register(f"conv_transpose{_rank}d_dynamic")(_convolution(_rank, True, False, True))


# -- arithmetic, norms, activations ------------------------------------------------------------------------------------


def _binary(function: Any, activate: bool) -> Callable[..., Any]:
    def apply(t: Tracer, a: Any, b: Any, scale: Any = None, zero_point: Any = None) -> Any:
        return _finish(t, RULES[function](t, a, b), activate, scale, zero_point)

    return apply


for _name, _function in (("add", torch.add), ("mul", torch.mul)):
    for _activate in (False, True):
        _tail = "_relu" if _activate else ""
        _register(f"{_name}{_tail}", f"{_name}_scalar{_tail}")(_binary(_function, _activate))
_register("matmul")(_binary(torch.matmul, False))


def _concatenated(activate: bool) -> Callable[..., Any]:
    def apply(t: Tracer, tensors: Sequence[Tensor], dim: int, scale: Any = None, zero_point: Any = None) -> Any:
        return _finish(t, join.cat(t, tensors, dim), activate, scale, zero_point)

    return apply


_register("cat")(_concatenated(False))
_register("cat_relu")(_concatenated(True))


def _batch_norm(activate: bool) -> Callable[..., Any]:
    def apply(
        t: Tracer, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, eps: float, scale: Any, zero_point: Any
    ) -> Any:
        y = norm.batch_norm(t, x, mean, var, weight, bias, False, 0.0, eps)
        return _finish(t, y, activate, scale, zero_point)

    return apply


_register("batch_norm", "batch_norm1d", "batch_norm2d", "batch_norm3d")(_batch_norm(False))
_register("batch_norm_relu", "batch_norm2d_relu", "batch_norm3d_relu")(_batch_norm(True))


def _normalised(function: Callable[..., Any], between_x_and_weight: int) -> Callable[..., Any]:
    def apply(
        t: Tracer, x: Tensor, *rest: Any, output_scale: Any = None, output_zero_point: Any = None, **named: Any
    ) -> Any:
        own, given = rest[:between_x_and_weight], list(rest[between_x_and_weight:])
        weight, bias, eps = (given.pop(0) if given else named[name] for name in ("weight", "bias", "eps"))
        scale, zero_point = given or (output_scale, output_zero_point)
        return _finish(t, function(t, x, *own, weight, bias, eps), False, scale, zero_point)

    return apply


_register("layer_norm")(_normalised(norm.layer_norm, 1))
_register("group_norm")(_normalised(norm.group_norm, 1))
_register("instance_norm")(
    _normalised(lambda t, x, w, b, eps: norm.instance_norm(t, x, None, None, w, b, True, 0.0, eps), 0)
)


def _elementwise(function: Any, arguments: int) -> Callable[..., Any]:
    """A function of one element with some ``arguments`` of its own, then the scale and zero point of the result."""

    def apply(t: Tracer, x: Tensor, *rest: Any, **named: Any) -> Any:
        rest = (*rest, *named.values())
        own = rest[:arguments]
        scale, point = (*rest[arguments : arguments + 2], None, None)[:2]
        return _finish(t, RULES[function](t, x, *own), False, scale, point)

    return apply


_register("hardswish")(_elementwise(torch._C._nn.hardswish, 0))
_register("sigmoid")(_elementwise(torch.sigmoid, 0))
_register("relu6")(_elementwise(torch._C._nn.relu6, 0))
_register("softmax")(_elementwise(torch.softmax, 1))


@_register("leaky_relu")
def _leaky_relu(t: Tracer, x: Tensor, slope: float, inplace: bool, scale: Any, point: Any) -> Any:
    return _finish(t, RULES[torch._C._nn.leaky_relu](t, x, slope), False, scale, point)


@_register("embedding_byte", "embedding_4bit")
def _embedding(t: Tracer, packed: Any, indices: Tensor, pruned_weights: bool = False) -> Any:
    w, _ = _unpacked(t, packed, lambda p: (_ops.embedding_bag_unpack(p), None))
    return embedding.embedding(t, w, indices)


# -- recurrent networks, quantised dynamically -------------------------------------------------------------------------


def _cells(t: Tracer, params: Sequence[Any]) -> list[Tensor] | None:
    """The weights of every layer and direction in torch's order, out of the objects that hold them."""
    found: list[Tensor] = []
    for number, cell in enumerate(params):
        known = t.cells.get(id(cell))
        if known is None:
            kind, biases, _, _, packed = cell.__getstate__()[0]
            if kind not in ("quantized_dynamic", "quantized_fp16"):
                return None
            half = kind == "quantized_fp16"
            pairs = [(_ops.linear_unpack_fp16 if half else _ops.linear_unpack)(holder) for holder in packed]
            both = ("ih", "hh")
            known = [
                _declared(t, weight, f"weight_{name}_{number}", _HALF if half else "")
                for name, (weight, _) in zip(both, pairs, strict=True)
            ]
            known += [
                _declared(t, bias, f"bias_{name}_{number}")
                for name, bias in zip(both, biases or [bias for _, bias in pairs], strict=True)
            ]
            t.cells[id(cell)] = known
            t.alive.append(cell)
        found += known
    return found


def _recurrent(function: Callable[..., Any]) -> Callable[..., Any]:
    def apply(t: Tracer, input: Tensor, hx: Any, params: Any, *rest: Any, **_: Any) -> Any:
        if any(isinstance(p, Tensor) for p in params):
            return NotImplemented
        weights = _cells(t, params)
        return NotImplemented if weights is None else function(t, input, hx, weights, *rest)

    return apply


WHOLE["aten.quantized_lstm"] = _recurrent(recurrent.lstm)
WHOLE["aten.quantized_gru"] = _recurrent(recurrent.gru)
