"""Images and sequences in the order that torch's kernels take: batch, channels, spatial dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.layouts import image_axes
from multiprof_benchmark.lower.reading import NotLoweredError
from multiprof_benchmark.lower.torch.table import Tensor

View = Callable[[Tensor], Tensor]
MEMORY = {2: torch.channels_last, 3: torch.channels_last_3d}


class Images:
    """How tensors of a layer's ``data_format`` are seen as (N, C, spatial …) and back: views, no data are moved.

    A channels-last tensor seen so is in torch's channels_last memory format, of which its kernels have their own.
    """

    def __init__(self, layer: Layer, rank: int) -> None:
        x = layer.x
        data_format = layer.attrs.get("data_format") or "NC" + "DHW"[3 - rank :]
        if len(data_format) != x.rank:
            raise NotLoweredError(f"the format {data_format!r} of a tensor of rank {x.rank}")
        batch, channels, spatial = image_axes(data_format, rank)
        self.rank = rank
        self.perm = (*(() if batch is None else (batch,)), channels, *spatial)
        self.batched = batch is not None
        self.last = data_format.endswith("C")
        self.plain = self.perm == tuple(range(x.rank))
        self.inverse = tuple(self.perm.index(i) for i in range(x.rank))
        self.spatial = spatial
        self.channels = channels

    def sizes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The spatial sizes in a shape of the framework's own order."""
        return tuple(shape[axis] for axis in self.spatial)

    def first(self, x: Tensor) -> Tensor:
        if not self.plain:
            x = x.permute(self.perm)
        return x if self.batched else x.unsqueeze(0)

    def back(self, y: Tensor) -> Tensor:
        if not self.batched:
            y = y.squeeze(0)
        return y if self.plain else y.permute(self.inverse)

    def wrap(self, function: View) -> View:
        """The function on (N, C, …) as one on tensors of the layer's own order."""
        if self.plain and self.batched:
            return function
        return lambda x: self.back(function(self.first(x)))

    def weight(self, perm: Sequence[int], shape: Sequence[int]) -> View:
        """Lays a weight out as torch takes it, channels last in memory where the data are."""
        memory = MEMORY.get(self.rank) if self.last else None

        def lay(w: Tensor) -> Tensor:
            w = w.permute(tuple(perm)).reshape(tuple(shape))
            return w.contiguous(memory_format=memory) if memory is not None else w.contiguous()

        return lay


def padder(pairs: Sequence[tuple[int, int]], value: float = 0.0) -> View:
    """Pads the trailing dimensions by pairs, or crops them where a number is negative."""
    flat = [n for pair in reversed(pairs) for n in pair]
    return lambda x: F.pad(x, flat, value=value)
