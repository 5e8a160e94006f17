"""Normalisation: batch, instance, layer, group, root mean square and local response norm."""

from __future__ import annotations

from math import prod
from typing import Any

import torch

from multiprof.adapters.torch.rules._common import Tensor, ambiguous, is_canonical, plain
from multiprof.adapters.torch.table import rule
from multiprof.adapters.torch.tracer import Tracer

_FLOATS = frozenset((torch.float32, torch.float64, torch.float16, torch.bfloat16))


def _answerable(t: Tracer, x: Tensor, *others: Tensor | None) -> bool:
    """One floating dtype, nothing empty, and strides that leave torch no choice but a contiguous result."""
    if t.forced is not None:
        return True
    shape = x.shape
    if x.dtype not in _FLOATS or 0 in shape or not plain(t, x, *others):
        return False
    return not (ambiguous(shape) or len(shape) == 5) or is_canonical(x)


def _fits(shape: tuple[int, ...], *tensors: Tensor | None) -> bool:
    return all(tensor is None or tensor.shape == shape for tensor in tensors)


@rule("F.batch_norm")
def batch_norm(
    t: Tracer,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """With given statistics, or with the batch's own. Running statistics that are to be updated are left to torch."""
    shape = input.shape
    if len(shape) < 2:
        return NotImplemented
    channels = shape[1]
    if not training:
        if running_mean is None or running_var is None or eps < 0:
            return NotImplemented
    elif running_mean is not None or running_var is not None or eps <= 0 or input.numel() == channels:
        return NotImplemented
    if not _fits((channels,), running_mean, running_var, weight, bias) or not isinstance(momentum, (int, float)):
        return NotImplemented
    if not _answerable(t, input, running_mean, running_var, weight, bias):
        return NotImplemented
    y = t.new(shape, input.dtype)
    inputs = {"x": input, "weight": weight, "bias": bias, "mean": running_mean, "var": running_var}
    t.emit("batch_norm", inputs, {"y": y}, {"eps": eps, "channels": channels, "batch_stats": bool(training)})
    return y


@rule("torch.batch_norm")
def torch_batch_norm(
    t: Tracer,
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return batch_norm(t, input, running_mean, running_var, weight, bias, training, momentum, eps)


@rule("F.instance_norm")
def instance_norm(
    t: Tracer,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """With each sample's own statistics, or with given ones. Updates of running statistics are left to torch."""
    shape = input.shape
    if len(shape) < 3 or eps <= 0 or not isinstance(momentum, (int, float)):
        return NotImplemented
    batch, channels = shape[0], shape[1]
    given = running_mean is not None and running_var is not None
    if use_input_stats:
        if running_mean is not None or running_var is not None or input.numel() == batch * channels:
            return NotImplemented
    elif not given:
        return NotImplemented
    if not _fits((channels,), running_mean, running_var, weight, bias):
        return NotImplemented
    if not _answerable(t, input, running_mean, running_var, weight, bias):
        return NotImplemented
    y = t.new(shape, input.dtype)
    inputs = {"x": input, "weight": weight, "bias": bias, "mean": running_mean, "var": running_var}
    attrs = {"eps": eps, "channels": channels, "batch": batch, "running_stats": not use_input_stats}
    t.emit("instance_norm", inputs, {"y": y}, attrs)
    return y


@rule("torch.instance_norm")
def torch_instance_norm(
    t: Tracer,
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    return instance_norm(t, input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@rule("F.layer_norm", "torch.layer_norm")
def layer_norm(
    t: Tracer,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    """The result is contiguous, whatever the strides of the input are."""
    sizes, dtype = tuple(normalized_shape), input.dtype
    shape = input.shape
    if not sizes or shape[-len(sizes) :] != sizes or not _fits(sizes, weight, bias) or 0 in shape:
        return NotImplemented
    if dtype not in _FLOATS or input.layout is not torch.strided or not isinstance(eps, (int, float)):
        return NotImplemented
    if (weight is not None and weight.dtype is not dtype) or (bias is not None and bias.dtype is not dtype):
        return NotImplemented
    y = t.new(shape, dtype)
    inputs = {"x": input, "weight": weight, "bias": bias}
    t.emit("layer_norm", inputs, {"y": y}, {"eps": eps, "normalized_size": prod(sizes)})
    return y


@rule("F.group_norm", "torch.group_norm")
def group_norm(
    t: Tracer,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    shape = input.shape
    if len(shape) < 2 or num_groups < 1 or not isinstance(eps, (int, float)):
        return NotImplemented
    batch, channels = shape[0], shape[1]
    if channels % num_groups or not _fits((channels,), weight, bias) or input.numel() == num_groups:
        return NotImplemented
    if not _answerable(t, input, weight, bias):
        return NotImplemented
    y = t.new(shape, input.dtype)
    attrs = {"eps": eps, "groups": num_groups, "channels": channels, "batch": batch}
    t.emit("group_norm", {"x": input, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y


@rule("F.rms_norm", "torch.rms_norm")
def rms_norm(
    t: Tracer, input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Any:
    """Without ``eps`` torch takes the machine epsilon of the input's dtype."""
    sizes = tuple(normalized_shape)
    shape = input.shape
    if not sizes or shape[-len(sizes) :] != sizes or not _fits(sizes, weight):
        return NotImplemented
    if not _answerable(t, input, weight):
        return NotImplemented
    y = t.new(shape, input.dtype)
    small = torch.finfo(input.dtype).eps if eps is None else eps
    t.emit("rms_norm", {"x": input, "weight": weight}, {"y": y}, {"eps": small, "normalized_size": prod(sizes)})
    return y


@rule("F.local_response_norm")
def local_response_norm(
    t: Tracer, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    shape = input.shape
    if len(shape) < 3 or size < 1 or not _answerable(t, input) or not is_canonical(input):
        return NotImplemented
    y = t.new(shape, input.dtype)
    attrs = {"size": size, "channels": shape[1], "alpha": alpha, "beta": beta, "k": k}
    t.emit("local_response_norm", {"x": input}, {"y": y}, attrs)
    return y


@rule(aten=("native_batch_norm", "_native_batch_norm_legit_functional"))
def native_batch_norm(
    t: Tracer, input: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> Any:
    return _recorded_batch_norm(t, input, weight, bias, mean, var, training, eps)


@rule(aten=("cudnn_batch_norm", "miopen_batch_norm", "batch_norm"))
def vendor_batch_norm(
    t: Tracer,
    input: Tensor,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Any:
    return _recorded_batch_norm(t, input, weight, bias, mean, var, training, eps)


@rule(aten="_native_batch_norm_legit")
def legit_batch_norm(t: Tracer, input: Tensor, weight: Any, bias: Any, *rest: Any) -> Any:
    """With (mean, var, training, momentum, eps), or without statistics (training, momentum, eps)."""
    mean, var = rest[:2] if len(rest) == 5 else (None, None)
    return _recorded_batch_norm(t, input, weight, bias, mean, var, rest[-3], rest[-1])


@rule(aten=("_native_batch_norm_legit_no_training", "_batch_norm_no_update"))
def batch_norm_given(
    t: Tracer, input: Tensor, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> Any:
    return _recorded_batch_norm(t, input, weight, bias, mean, var, False, eps)


def _recorded_batch_norm(
    t: Tracer, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, eps: float
) -> Any:
    if training and (mean is not None or var is not None):
        return NotImplemented  # also updates them
    inputs = {"x": x, "weight": weight, "bias": bias, "mean": mean, "var": var}
    y = t.new(x.shape, x.dtype)
    t.emit("batch_norm", inputs, {"y": y}, {"eps": eps, "channels": x.shape[1], "batch_stats": bool(training)})
    return y


@rule(aten=("native_layer_norm", "layer_norm"))
def native_layer_norm(t: Tracer, input: Tensor, normalized_shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    y = t.new(input.shape, input.dtype)
    inputs = {"x": input, "weight": weight, "bias": bias}
    t.emit("layer_norm", inputs, {"y": y}, {"eps": eps, "normalized_size": prod(normalized_shape)})
    return y


@rule(aten="native_group_norm")
def native_group_norm(
    t: Tracer, input: Tensor, weight: Any, bias: Any, batch: int, channels: int, inner: int, groups: int, eps: float
) -> Any:
    y = t.new(input.shape, input.dtype)
    attrs = {"eps": eps, "groups": groups, "channels": channels, "batch": batch}
    t.emit("group_norm", {"x": input, "weight": weight, "bias": bias}, {"y": y}, attrs)
    return y


@rule(aten=("_fused_rms_norm", "rms_norm"))
def fused_rms_norm(t: Tracer, input: Tensor, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    y = t.new(input.shape, input.dtype)
    small = torch.finfo(input.dtype).eps if eps is None else eps
    attrs = {"eps": small, "normalized_size": prod(normalized_shape)}
    t.emit("rms_norm", {"x": input, "weight": weight}, {"y": y}, attrs)
    return y
