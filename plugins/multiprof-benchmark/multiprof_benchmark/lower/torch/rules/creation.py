"""Tensors out of nothing. ``like`` is a tensor on the program's device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from multiprof import Layer
from multiprof_benchmark.lower.reading import shape_of
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, rule


def _placed(run: Callable[..., Tensor]) -> Kernel:
    return Kernel(run, fixed={"like": torch.empty(0)})


@rule("fill", "constant")
def fill(layer: Layer, context: Context) -> Kernel:
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    value: Any = layer.attrs.get("value", 0)
    if not isinstance(value, (bool, int, float, complex)):
        value = 0
    if layer.op == "fill" and "value" in layer.attrs and layer.attrs["value"] is None:
        # memory as it is: zeros stand in, which are finite; an allocation is all that either costs at first
        return _placed(lambda like, **_: torch.zeros(y, dtype=kind, device=like.device))
    return _placed(lambda like, **_: torch.full(y, value, dtype=kind, device=like.device))


@rule("arange")
def arange(layer: Layer, context: Context) -> Kernel:
    """0, 1, … unless start and step are said."""
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    start, step = layer.attrs.get("start") or 0, layer.attrs.get("step") or 1
    count = layer.y.numel
    return _placed(lambda like, **_: (torch.arange(count, device=like.device) * step + start).to(kind).reshape(y))


@rule("random")
def random(layer: Layer, context: Context) -> Kernel:
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    normal = "normal" in str(layer.attrs.get("distribution"))
    if kind.is_floating_point:
        function = torch.randn if normal else torch.rand
        return _placed(lambda like, **_: function(y, dtype=kind, device=like.device))
    return _placed(lambda like, **_: torch.randint(0, 2, y, device=like.device).to(kind))


@rule("eye")
def eye(layer: Layer, context: Context) -> Kernel:
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    diagonal = int(layer.attrs.get("diagonal") or 0)

    def run(like: Tensor) -> Tensor:
        ones = torch.ones(y[-2:], dtype=kind, device=like.device)
        return (torch.triu(ones, diagonal) * torch.tril(ones, diagonal)).expand(y)

    return _placed(run)


@rule("prior_box")
def prior_box(layer: Layer, context: Context) -> Kernel:
    """Anchors follow from shapes: they are the same in every run, so nothing is computed but their copy."""
    y, kind = shape_of(layer.y), context.type_of(layer.y)
    return Kernel(lambda anchors, **_: anchors.clone(), fixed={"anchors": torch.rand(y).to(kind)})
