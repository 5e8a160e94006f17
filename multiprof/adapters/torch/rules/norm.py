"""Normalisation."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, Unsure, between, is_regular, new_elementwise, new_solid
from multiprof.adapters.torch.rules._promotion import FLOATS, number
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_Optional = Tensor | None


def _check(t: Tracer, x: Tensor, shape: tuple[int, ...], *tensors: _Optional) -> None:
    """Raise `Unsure` unless ``x`` is real and not empty, and weights and statistics have its dtype and this shape."""
    if t.forced is not None:
        return
    dtype = x.dtype
    if dtype not in FLOATS or 0 in x.shape:
        raise Unsure
    for tensor in tensors:
        if tensor is None:
            continue
        if tensor.dtype is not dtype or tensor.shape != shape or (len(shape) > 1 and not is_regular(tensor)):
            raise Unsure


# -- batch norm and instance norm -------------------------------------------------------------------------------------


def _batch_norm(
    t: Tracer,
    x: Tensor,
    weight: _Optional,
    bias: _Optional,
    mean: _Optional,
    var: _Optional,
    training: bool,
    eps: float,
    momentum: float,
) -> Tensor:
    """With ``training`` the statistics are those of the batch, towards which given ones move by ``momentum``."""
    shape = x.shape
    if len(shape) < 2 or (not training and (mean is None or var is None)):
        raise Unsure
    channels = shape[1]
    _check(t, x, (channels,), weight, bias, mean, var)
    if training and t.forced is None and x.numel() == channels:
        raise Unsure  # one value per channel has no variance
    y = new_elementwise(t, (x,), shape, x.dtype, False)
    attrs = {"eps": eps, "channels": channels, "batch_stats": bool(training)}
    if not training:
        t.emit("batch_norm", {"x": x, "weight": weight, "bias": bias, "mean": mean, "var": var}, {"y": y}, attrs)
        return y
    inputs = {"x": x, "weight": weight, "bias": bias}
    running = {"batch_mean": mean, "batch_var": var}
    moving = {role: (kept, between(kept.shape, kept.dtype)) for role, kept in running.items() if kept is not None}
    t.emit("batch_norm", inputs, {"y": y} | {role: batch for role, (_, batch) in moving.items()}, attrs)
    for kept, batch in moving.values():
        t.write("lerp", kept, {"x0": kept, "x1": batch}, {"scalar": momentum}, "x0")
    return y


@rule("F.batch_norm")
def batch_norm(
    t: Tracer,
    input: Tensor,
    running_mean: _Optional,
    running_var: _Optional,
    weight: _Optional = None,
    bias: _Optional = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if eps < 0 or (training and eps == 0):
        return NotImplemented
    return _batch_norm(t, input, weight, bias, running_mean, running_var, training, eps, momentum)


@rule("torch.batch_norm")
def torch_batch_norm(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    running_mean: _Optional,
    running_var: _Optional,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return _batch_norm(t, input, weight, bias, running_mean, running_var, training, eps, momentum)


@rule(aten=("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"))
def native_batch_norm(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    running_mean: _Optional,
    running_var: _Optional,
    training: bool,
    momentum: float,
    eps: float,
) -> Any:
    return _batch_norm(t, input, weight, bias, running_mean, running_var, training, eps, momentum)


@rule(aten=("_native_batch_norm_legit", "_native_batch_norm_legit_functional"))
def native_batch_norm_legit(t: Tracer, input: Tensor, weight: _Optional, bias: _Optional, *rest: Any) -> Any:
    """The overload without statistics leaves them out: (…, training, momentum, eps)."""
    mean, var, training, momentum, eps = rest if len(rest) == 5 else (None, None, *rest)
    return _batch_norm(t, input, weight, bias, mean, var, training, eps, momentum)


@rule(aten=("_native_batch_norm_legit_no_training", "_batch_norm_no_update"))
def native_batch_norm_inference(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    running_mean: _Optional,
    running_var: _Optional,
    momentum: float,
    eps: float,
) -> Any:
    return _batch_norm(t, input, weight, bias, running_mean, running_var, False, eps, momentum)


@rule(aten=("_batch_norm_with_update", "_batch_norm_with_update_functional"))
def native_batch_norm_update(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    running_mean: _Optional,
    running_var: _Optional,
    momentum: float,
    eps: float,
) -> Any:
    return _batch_norm(t, input, weight, bias, running_mean, running_var, True, eps, momentum)


def _instance_norm(
    t: Tracer, x: Tensor, weight: _Optional, bias: _Optional, mean: _Optional, var: _Optional, own: bool, eps: float
) -> Tensor:
    """With ``own`` every channel of every sample has its own statistics; else they are given.

    Given ones that are to move towards the batch's are left to torch, which makes a batch norm of it.
    """
    shape = x.shape
    if own and (mean is not None or var is not None):
        raise Unsure
    if len(shape) < 3 or (not own and (mean is None or var is None)) or (own and prod(shape[2:]) == 1):
        raise Unsure
    channels = shape[1]
    _check(t, x, (channels,), weight, bias, mean, var)
    y = new_solid(t, x, shape, x.dtype)
    t.emit(
        "instance_norm",
        {"x": x, "weight": weight, "bias": bias, "mean": mean, "var": var},
        {"y": y},
        {"eps": eps, "channels": channels, "batch": shape[0], "running_stats": not own},
    )
    return y


@rule("F.instance_norm")
def instance_norm(
    t: Tracer,
    input: Tensor,
    running_mean: _Optional = None,
    running_var: _Optional = None,
    weight: _Optional = None,
    bias: _Optional = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    return _instance_norm(t, input, weight, bias, running_mean, running_var, use_input_stats, eps)


@rule("torch.instance_norm")
def torch_instance_norm(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    running_mean: _Optional,
    running_var: _Optional,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return _instance_norm(t, input, weight, bias, running_mean, running_var, use_input_stats, eps)


# -- layer, root-mean-square and group norm ---------------------------------------------------------------------------


def _normalized(x: Tensor, normalized_shape: Any) -> tuple[int, ...]:
    shape = tuple(normalized_shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise Unsure
    return shape


@rule("F.layer_norm", "torch.layer_norm")
def layer_norm(
    t: Tracer,
    input: Tensor,
    normalized_shape: Any,
    weight: _Optional = None,
    bias: _Optional = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    return _layer_norm(t, input, normalized_shape, weight, bias, eps)


@rule(aten="native_layer_norm")
def _layer_norm(t: Tracer, input: Tensor, normalized_shape: Any, weight: _Optional, bias: _Optional, eps: float) -> Any:
    shape = _normalized(input, normalized_shape)
    _check(t, input, shape, weight, bias)
    y = new_solid(t, input, input.shape, input.dtype)
    attrs = {"eps": eps, "normalized_size": prod(shape)}
    t.emit("layer_norm", {"x": input, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y


@rule("F.rms_norm", "torch.rms_norm", aten=("rms_norm", "_fused_rms_norm"))
def rms_norm(
    t: Tracer, input: Tensor, normalized_shape: Any, weight: _Optional = None, eps: float | None = None
) -> Any:
    shape = _normalized(input, normalized_shape)
    _check(t, input, shape, weight)
    if t.forced is None and not is_regular(input):
        return NotImplemented
    y = t.new(input.shape, input.dtype)
    attrs = {"eps": torch.finfo(input.dtype).eps if eps is None else eps, "normalized_size": prod(shape)}
    t.emit("rms_norm", {"x": input, "weight": weight}, {"y": y}, attrs)
    return y


def _group_norm(t: Tracer, x: Tensor, groups: int, weight: _Optional, bias: _Optional, eps: float) -> Tensor:
    batch, channels = x.shape[:2]
    if groups < 1 or channels % groups or x.numel() == groups:  # one value per group has no variance
        raise Unsure
    _check(t, x, (channels,), weight, bias)
    y = new_solid(t, x, x.shape, x.dtype)
    attrs = {"eps": eps, "groups": groups, "channels": channels, "batch": batch}
    t.emit("group_norm", {"x": x, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y


@rule("F.group_norm", "torch.group_norm")
def group_norm(
    t: Tracer,
    input: Tensor,
    num_groups: int,
    weight: _Optional = None,
    bias: _Optional = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    return _group_norm(t, input, num_groups, weight, bias, eps)


@rule(aten="native_group_norm")
def native_group_norm(
    t: Tracer,
    input: Tensor,
    weight: _Optional,
    bias: _Optional,
    batch: int,
    channels: int,
    positions: int,
    groups: int,
    eps: float,
) -> Any:
    attrs = {"eps": eps, "groups": groups, "channels": channels, "batch": batch}
    y = t.new(input.shape, input.dtype)
    t.emit("group_norm", {"x": input, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y


# -- across channels, and of vectors ----------------------------------------------------------------------------------


@rule("F.local_response_norm")
def local_response_norm(
    t: Tracer, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """One layer for the squares, the moving average and the quotient of which torch makes it."""
    rank = input.dim()
    if rank < 3 or size < 1 or (rank > 4 and not input.is_contiguous()):  # torch views it as of rank 4
        return NotImplemented
    _check(t, input, ())
    y = new_elementwise(t, (input,), input.shape, input.dtype, False)
    attrs = {"size": size, "channels": input.shape[1], "alpha": alpha, "beta": beta, "k": k}
    t.emit("local_response_norm", {"x": input}, {"y": y}, attrs)
    return y


@rule("F.normalize")
def normalize(t: Tracer, input: Tensor, p: Any = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """x over its norm, the norm at least ``eps``."""
    if out is not None or input.dtype not in FLOATS or type(dim) is not int or 0 in input.shape:
        return NotImplemented
    rank = input.dim()
    if not -rank <= dim < rank or number(p) < 0:
        return NotImplemented
    axis = dim % rank
    y = new_elementwise(t, (input,), input.shape, input.dtype, False)
    shape = [1 if i == axis else n for i, n in enumerate(input.shape)]
    length, limited = between(shape, input.dtype), between(shape, input.dtype)
    t.emit("norm", {"x": input}, {"y": length}, {"axis": (axis,), "keepdim": True, "ord": p}, "norm")
    t.emit("clip", {"x": length}, {"y": limited}, {"min": eps, "max": None}, "clip")
    t.emit("div", {"x0": input, "x1": limited}, {"y": y}, None, "div")
    return y
