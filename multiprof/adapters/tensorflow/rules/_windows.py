"""Windows over images: strides, dilation and padding of a node, in the order of the spatial axes."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import same_padding
from multiprof.adapters.tensorflow.node import Node
from multiprof.ir import Shape

Pairs = tuple[tuple[int, int], ...]


class Axes:
    """Where channels and space are: ``NHWC`` and its like, unless the node says otherwise."""

    def __init__(self, node: Node, rank: int, spatial: int | None = None) -> None:
        self.rank = rank
        self.count = rank - 2 if spatial is None else spatial
        said = node.attr("data_format") or ""
        self.first = said in ("NCHW", "NCDHW", "NCW", "CHANNELS_FIRST", "NCHW_VECT_C")
        start = 2 if self.first else 1
        self.spatial = range(start, start + self.count)
        self.channel = 1 if self.first else rank - 1
        self.format = {1: "NCL", 2: "NCHW", 3: "NCDHW"} if self.first else {1: "NLC", 2: "NHWC", 3: "NDHWC"}

    def sizes(self, shape: Shape) -> Shape:
        return tuple(shape[i] for i in self.spatial)

    def pick(self, node: Node, name: str) -> tuple[int, ...]:
        """The spatial part of an attribute that has a number for every axis; one for all where it has a single one."""
        values = node.attr(name)
        if not values:
            return (1,) * self.count
        if len(values) == self.rank:
            return tuple(int(values[i]) for i in self.spatial)
        return tuple(int(v) for v in values) if len(values) == self.count else (int(values[0]),) * self.count

    def data_format(self) -> dict[str, str]:
        return {"data_format": self.format[self.count]} if self.count in self.format else {}


def padding(
    node: Node, axes: Axes, sizes: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Pairs | None:
    """Padding as pairs; ``None`` where it follows from an unknown size. ``sizes`` are those of the padded image."""
    mode = node.attr("padding", "VALID")
    if mode == "EXPLICIT":
        flat = node.attr("explicit_paddings") or node.attr("padding_list") or []
        if len(flat) == 2 * axes.rank:
            return tuple((int(flat[2 * i]), int(flat[2 * i + 1])) for i in axes.spatial)
        if len(flat) == 2 * axes.count:
            return tuple((int(flat[2 * i]), int(flat[2 * i + 1])) for i in range(axes.count))
        raise node.fail(f"it has {len(flat)} explicit paddings for {axes.rank} axes")
    if mode != "SAME":
        return ((0, 0),) * axes.count
    pairs = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        if n is None:
            return None
        pairs.append(same_padding(n, k, s, d))
    return tuple(pairs)


def known(node: Node, sizes: Shape, what: str) -> tuple[int, ...]:
    """Sizes that must be known; `ModelError` naming the node."""
    if None in sizes:
        raise node.fail(f"nobody knows the size of its {what}, {sizes}")
    return tuple(n for n in sizes if n is not None)


def attrs_of(axes: Axes, kernel: Any, stride: Any, pairs: Any, dilation: Any) -> dict[str, Any]:
    return {"kernel_size": kernel, "stride": stride, "padding": pairs, "dilation": dilation} | axes.data_format()


__all__ = ["Axes", "Pairs", "attrs_of", "known", "padding"]
