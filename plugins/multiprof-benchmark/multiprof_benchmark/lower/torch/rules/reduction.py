"""Reductions along axes, and sums that run along one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multiprof import Layer
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule


def axes_of(layer: Layer) -> tuple[int, ...]:
    """The reduced axes: all of them where none is named."""
    axis = layer.attrs.get("axis")
    if axis is None:
        return tuple(range(layer.x.rank))
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _one_by_one(function: Callable[..., Tensor]) -> Callable[[Tensor, tuple[int, ...]], Tensor]:
    def reduce(x: Tensor, axes: tuple[int, ...]) -> Tensor:
        for axis in sorted(axes, reverse=True):
            x = function(x, axis)
        return x

    return reduce


def _along(x: Tensor, axes: tuple[int, ...], function: Callable[[Tensor, int], Any]) -> Any:
    """Several axes as if they were one."""
    if len(axes) == 1:
        return function(x, axes[0])
    rest = [i for i in range(x.dim()) if i not in axes]
    return function(x.permute((*rest, *axes)).flatten(len(rest)), -1)


_OVER_AXES: dict[str, Callable[[Tensor, tuple[int, ...]], Tensor]] = {
    "sum": lambda x, axes: x.sum(axes),
    "mean": lambda x, axes: (x if x.is_floating_point() or x.is_complex() else x.float()).mean(axes),
    "max": lambda x, axes: torch.amax(x, axes),
    "min": lambda x, axes: torch.amin(x, axes),
    "prod": _one_by_one(torch.prod),
    "any": _one_by_one(torch.any),
    "all": _one_by_one(torch.all),
    "logsumexp": lambda x, axes: torch.logsumexp(x, axes),
    "count_nonzero": lambda x, axes: torch.count_nonzero(x, axes),
}


@rule(*_OVER_AXES)
def reduction(layer: Layer, context: Context) -> Kernel:
    axes, y, kind = axes_of(layer), shape_of(layer.y), context.type_of(layer.y)
    function = _OVER_AXES[layer.op]
    if not axes:  # nothing is reduced
        return Kernel(lambda x: x.reshape(y).to(kind))
    places = layer.outputs.get("indices")
    if places is not None and layer.op in ("max", "min"):
        pick = torch.max if layer.op == "max" else torch.min
        shape, whole = shape_of(places), context.type_of(places)

        def with_indices(x: Tensor) -> tuple[Tensor, Tensor]:
            values, indices = _along(x, axes, lambda x, axis: tuple(pick(x, axis)))
            return values.reshape(y), indices.reshape(shape).to(whole)

        return Kernel(with_indices)

    def run(x: Tensor) -> Tensor:
        made = function(x, axes).reshape(y)
        return made if made.dtype == kind else made.to(kind)

    return Kernel(run)


@rule("argmax", "argmin")
def position(layer: Layer, context: Context) -> Kernel:
    axes, y, kind = axes_of(layer), shape_of(layer.y), context.type_of(layer.y)
    function = torch.argmax if layer.op == "argmax" else torch.argmin
    return Kernel(lambda x: _along(x, axes, lambda x, axis: function(x, axis)).reshape(y).to(kind))


_RUNNING: dict[str, Callable[..., Tensor]] = {
    "cumsum": torch.cumsum, "cumprod": torch.cumprod, "logcumsumexp": torch.logcumsumexp,
}  # fmt: skip


@rule(*_RUNNING)
def running(layer: Layer, context: Context) -> Kernel:
    axis, kind, function = axes_of(layer)[0], context.type_of(layer.y), _RUNNING[layer.op]
    return Kernel(lambda x: function(x, axis).to(kind))


@rule("cummax", "cummin")
def running_extreme(layer: Layer, context: Context) -> Kernel:
    axis, function = axes_of(layer)[0], torch.cummax if layer.op == "cummax" else torch.cummin
    places = layer.outputs.get("indices")
    if places is None:
        return Kernel(lambda x: function(x, axis)[0])
    kind = context.type_of(places)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        values, indices = function(x, axis)
        return values, indices.to(kind)

    return Kernel(run)


@rule("variance", "std")
def spread(layer: Layer, context: Context) -> Kernel:
    axes, y = axes_of(layer), shape_of(layer.y)
    correction = layer.attrs.get("correction", 0)
    correction = 0 if correction is None else correction
    function = torch.var_mean if layer.op == "variance" else torch.std_mean
    mean = layer.outputs.get("mean")
    if mean is None:
        alone = torch.var if layer.op == "variance" else torch.std
        return Kernel(lambda x: alone(x, axes, correction=correction).reshape(y))
    shape = shape_of(mean)
    first = next(iter(layer.outputs)) == "y"

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        spread, middle = function(x, axes, correction=correction)
        both = spread.reshape(y), middle.reshape(shape)
        return both if first else both[::-1]

    return Kernel(run)


@rule("norm")
def norm(layer: Layer, context: Context) -> Kernel:
    axes, y = axes_of(layer), shape_of(layer.y)
    order = layer.attrs.get("ord", 2)
    order = 2.0 if order is None or order == "fro" else float(order)
    return Kernel(lambda x: torch.linalg.vector_norm(x, order, axes).reshape(y))
