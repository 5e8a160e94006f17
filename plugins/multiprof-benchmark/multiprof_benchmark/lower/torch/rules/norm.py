"""Normalisation."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.layouts import channel_axis
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Prepare, Tensor, rule


def _eps(layer: Layer) -> float:
    eps = layer.attrs.get("eps")
    return 1e-5 if eps is None else float(eps)


def _channels(layer: Layer, context: Context) -> int:
    axis = layer.attrs.get("axis")
    if isinstance(axis, int):
        return axis
    return channel_axis(layer.x.shape, layer.attrs["channels"], context.framework)


@rule("batch_norm")
def batch_norm(layer: Layer, context: Context) -> Kernel:
    eps, x = _eps(layer), shape_of(layer.x)
    channels, axis = int(layer.attrs["channels"]), _channels(layer, context)
    own = bool(layer.attrs.get("batch_stats")) or not {"mean", "var"} <= layer.inputs.keys()
    flat: dict[str, Prepare] = {role: lambda t: t.reshape(-1) for role in layer.inputs if role != "x"}
    statistics = [role for role in layer.outputs if role != "y"]
    axes = [i for i in range(len(x)) if i != axis]

    def run(
        x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, mean: Tensor | None = None,
        var: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:  # fmt: skip
        seen = x.reshape(-1, channels) if axis == x.dim() - 1 else _first(axis, x)
        y = F.batch_norm(seen, None if own else mean, None if own else var, weight, bias, own, 0.0, eps)
        y = y.reshape(x.shape) if axis == x.dim() - 1 else _back(axis, y)
        if not statistics:
            return y
        made = {"batch_mean": x.mean(axes), "batch_var": x.var(axes, correction=0)}
        return (y, *[made[role].reshape(layer.outputs[role].shape) for role in statistics])  # type: ignore[arg-type]

    return Kernel(run, flat)


def _trailing(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The last dimensions of a shape that hold ``size`` elements."""
    for start in range(len(shape) - 1, -1, -1):
        if prod(shape[start:]) == size:
            return shape[start:]
    raise NotLoweredError(f"{size} elements normalised together in {shape} are not the last dimensions")


def _affine(role_shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return role_shape == wanted or prod(role_shape) == prod(wanted)


@rule("layer_norm")
def layer_norm(layer: Layer, context: Context) -> Kernel:
    eps, x = _eps(layer), shape_of(layer.x)
    wanted = _trailing(x, int(layer.attrs["normalized_size"]))
    roles = [role for role in ("weight", "bias") if role in layer.inputs]
    inside = all(_affine(shape_of(layer.inputs[role]), wanted) for role in roles)
    outputs = list(layer.outputs)
    shapes = {role: shape_of(spec) for role, spec in layer.outputs.items()}

    def run(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        w, b = (weight, bias) if inside else (None, None)
        if len(outputs) > 1:
            y, mean, rstd = torch.native_layer_norm(x, wanted, w, b, eps)
        else:
            y = F.layer_norm(x, wanted, w, b, eps)
        if not inside:
            y = y if weight is None else y * weight
            y = y if bias is None else y + bias
        if len(outputs) == 1:
            return y
        made = {"y": y, "mean": mean, "rstd": rstd}
        return tuple(made[role].reshape(shapes[role]) for role in outputs)

    lay: dict[str, Prepare] = {role: lambda t: t.reshape(wanted) for role in roles} if inside else {}
    return Kernel(run, lay)


@rule("rms_norm")
def rms_norm(layer: Layer, context: Context) -> Kernel:
    eps, x = _eps(layer), shape_of(layer.x)
    wanted = _trailing(x, int(layer.attrs["normalized_size"]))
    inside = "weight" not in layer.inputs or _affine(shape_of(layer.inputs["weight"]), wanted)
    outputs = {role: shape_of(spec) for role, spec in layer.outputs.items()}
    axes = list(range(len(x) - len(wanted), len(x)))

    def run(x: Tensor, weight: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        y = F.rms_norm(x, wanted, weight if inside else None, eps)
        if weight is not None and not inside:
            y = y * weight
        if len(outputs) == 1:
            return y
        made = {"y": y, "mean": x.mean(axes), "rstd": torch.rsqrt(x.square().mean(axes) + eps)}
        return tuple(made[role].reshape(shape) for role, shape in outputs.items())

    return Kernel(run, {"weight": lambda t: t.reshape(wanted)} if inside else {})


def _first(axis: int, x: Tensor) -> Tensor:
    return x if axis == 1 else x.movedim(axis, 1)


def _back(axis: int, y: Tensor) -> Tensor:
    return y if axis == 1 else y.movedim(1, axis)


@rule("group_norm")
def group_norm(layer: Layer, context: Context) -> Kernel:
    eps, groups, axis = _eps(layer), int(layer.attrs["groups"]), _channels(layer, context)
    channels = int(layer.attrs["channels"])
    roles = [role for role in ("weight", "bias") if role in layer.inputs]
    inside = all(layer.inputs[role].numel == channels for role in roles)

    def run(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        w, b = (weight, bias) if inside else (None, None)
        y = _back(axis, F.group_norm(_first(axis, x), groups, w, b, eps))
        if inside:
            return y
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    return Kernel(run, {role: lambda t: t.reshape(-1) for role in roles} if inside else {})


@rule("instance_norm")
def instance_norm(layer: Layer, context: Context) -> Kernel:
    eps, axis = _eps(layer), _channels(layer, context)
    given = bool(layer.attrs.get("running_stats"))
    flat: dict[str, Prepare] = {role: lambda t: t.reshape(-1) for role in layer.inputs if role != "x"}

    def run(
        x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, mean: Tensor | None = None,
        var: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        statistics = (mean, var) if given else (None, None)
        return _back(axis, F.instance_norm(_first(axis, x), *statistics, weight, bias, not given, 0.0, eps))

    return Kernel(run, flat)


@rule("local_response_norm")
def local_response_norm(layer: Layer, context: Context) -> Kernel:
    a, axis = layer.attrs, _channels(layer, context)
    size, alpha = int(a["size"]), float(a.get("alpha") or 1e-4)
    beta, k = float(a.get("beta") or 0.75), float(a.get("k") or 1.0)
    return Kernel(lambda x: _back(axis, F.local_response_norm(_first(axis, x), size, alpha, beta, k)))


@rule("lp_normalize")
def lp_normalize(layer: Layer, context: Context) -> Kernel:
    axis, p, eps = tuple(layer.attrs["axis"]), float(layer.attrs["p"]), float(layer.attrs.get("eps") or 0.0)

    def run(x: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, p, axis, keepdim=True)
        return x / (length + eps)

    return Kernel(run)
