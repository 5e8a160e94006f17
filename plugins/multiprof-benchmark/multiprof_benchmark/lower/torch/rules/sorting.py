"""Order and selection; what they give, and some of their time, depends on values."""

from __future__ import annotations

import torch

from multiprof import Layer
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule


def _axis(layer: Layer) -> int:
    axis = layer.attrs.get("axis")
    return layer.x.rank - 1 if axis is None else int(axis)


def _chosen(layer: Layer, context: Context, values: Tensor, indices: Tensor) -> tuple[Tensor, ...]:
    both = {"y": values, "indices": indices}
    return tuple(both[role].reshape(shape_of(spec)).to(context.type_of(spec)) for role, spec in layer.outputs.items())


@rule("sort")
def sort(layer: Layer, context: Context) -> Kernel:
    axis, down, stable = _axis(layer), bool(layer.attrs.get("descending")), bool(layer.attrs.get("stable"))
    return Kernel(lambda x: _chosen(layer, context, *torch.sort(x, dim=axis, descending=down, stable=stable)))


@rule("topk")
def topk(layer: Layer, context: Context) -> Kernel:
    a, axis, k = layer.attrs, _axis(layer), int(layer.attrs["k"])
    largest, ordered = bool(a.get("largest", True)), bool(a.get("sorted", True))
    return Kernel(lambda x: _chosen(layer, context, *torch.topk(x, k, axis, largest, ordered)))


@rule("nonzero")
def nonzero(layer: Layer, context: Context) -> Kernel:
    columns = layer.y.rank == 2 and layer.y.shape[0] == layer.x.rank and layer.y.shape[1] != layer.x.rank
    kind = context.type_of(layer.y)
    return Kernel(lambda x: (torch.nonzero(x).t() if columns else torch.nonzero(x)).to(kind))


@rule("unique")
def unique(layer: Layer, context: Context) -> Kernel:
    names = {"y": 0, "inverse": 1, "indices": 1, "counts": 2}
    axis = layer.attrs.get("axis")

    def run(x: Tensor) -> tuple[Tensor, ...]:
        made = torch.unique(x, return_inverse=True, return_counts=True, dim=axis)
        return tuple(made[names[role]].to(context.type_of(spec)) for role, spec in layer.outputs.items())

    return Kernel(run)


@rule("bucketize")
def bucketize(layer: Layer, context: Context) -> Kernel:
    right, kind = bool(layer.attrs.get("right")), context.type_of(layer.y)
    return Kernel(lambda x, boundaries: torch.bucketize(x, boundaries, right=right).to(kind))


@rule("histogram")
def histogram(layer: Layer, context: Context) -> Kernel:
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    return Kernel(lambda x: torch.histc(x.float(), y[0]).to(kind))
