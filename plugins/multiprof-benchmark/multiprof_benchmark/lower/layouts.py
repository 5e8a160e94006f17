"""Where the channels of an image stand, and the dimensions of a weight.

A Graph keeps the shapes of its framework. ``data_format`` names the dimensions of x and y; those of a weight follow
from its shape. Where two orders fit, as in a 3×3 convolution of 3 channels to 3, the one that the framework uses is
taken first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from math import prod

from multiprof import Layer

_SPATIAL = {1: ("L", "W", "H", "D"), 2: ("H", "W"), 3: ("D", "H", "W")}
# Frameworks that put channels last where nothing else tells.
CHANNELS_LAST = frozenset(("keras", "tensorflow", "tflite", "jax"))


class UnknownLayoutError(Exception):
    """The dimensions do not fit any order known."""


def image_axes(data_format: str, rank: int) -> tuple[int | None, int, tuple[int, ...]]:
    """Positions of batch (``None`` without one), channels and spatial dimensions in a tensor of that format.

    Spatial letters that are the usual ones are taken in their usual order (D, H, W), others from left to right.
    """
    if "C" not in data_format:
        raise UnknownLayoutError(f"the format {data_format!r} has no channels")
    batch = data_format.find("N")
    channels = data_format.index("C")
    rest = [i for i, letter in enumerate(data_format) if letter not in "NC"]
    if len(rest) != rank:
        raise UnknownLayoutError(f"the format {data_format!r} has not {rank} spatial dimensions")
    usual = _SPATIAL.get(rank, ())
    if rank > 1 and all(data_format[i] in usual for i in rest):
        rest.sort(key=lambda i: usual.index(data_format[i]))
    return (None if batch < 0 else batch), channels, tuple(rest)


def channel_axis(shape: Sequence[int | None], channels: int, framework: str) -> int:
    """The axis of a norm's channels, which no attribute names: dimension 1, or the last one."""
    if len(shape) < 2:
        return len(shape) - 1
    last = len(shape) - 1
    order = (last, 1) if framework in CHANNELS_LAST else (1, last)
    for axis in [*order, *range(len(shape))]:
        if shape[axis] == channels:
            return int(axis)
    raise UnknownLayoutError(f"no dimension of {tuple(shape)} has {channels} elements")


def conv_weight(layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a convolution's weight becomes (C_o, C_i/G, kernel …): a permutation, and the shape to give it then."""
    a = layer.attrs
    kernel, groups = tuple(a["kernel_size"]), a["groups"]
    wanted = (a["out_channels"], a["in_channels"] // groups, *kernel)
    return _order(_shape(layer), wanted, _last(layer), transposed=False)


def conv_transpose_weight(layer: Layer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a deconvolution's weight becomes (C_i, C_o/G, kernel …): a permutation, and the shape to give it then."""
    a = layer.attrs
    kernel, groups = tuple(a["kernel_size"]), a["groups"]
    wanted = (a["in_channels"], a["out_channels"] // groups, *kernel)
    return _order(_shape(layer), wanted, _last(layer), transposed=True)


def _shape(layer: Layer) -> tuple[int, ...]:
    shape = layer.inputs["weight"].shape
    if None in shape:
        raise UnknownLayoutError(f"the weight has the shape {shape}")
    return tuple(d for d in shape if d is not None)


def _last(layer: Layer) -> bool:
    return str(layer.attrs.get("data_format", "NC")).endswith("C")


def _order(
    shape: tuple[int, ...], wanted: tuple[int, ...], last: bool, transposed: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Permutation and final shape; ``wanted`` is (first, second, kernel …), where the first is C_o, transposed C_i."""
    if len(shape) == len(wanted):
        for perm in _usual(len(shape), last, transposed):
            if tuple(shape[i] for i in perm) == wanted:
                return perm, wanted
        depthwise = _depthwise(shape, wanted)
        if depthwise is not None:
            return depthwise, wanted
        for perm in permutations(range(len(shape))):
            if tuple(shape[i] for i in perm) == wanted:
                return perm, wanted
    if prod(shape) == prod(wanted):
        return tuple(range(len(shape))), wanted
    raise UnknownLayoutError(f"a weight of the shape {shape} does not give {wanted}")


def _usual(rank: int, last: bool, transposed: bool) -> Iterator[tuple[int, ...]]:
    """The orders in use, those of the data's layout first: OIHW (and IOHW), HWIO (transposed HWOI), OHWI."""
    kernel = tuple(range(rank - 2))
    first = tuple(range(rank))
    hwio = (rank - 1, rank - 2, *kernel)  # also HWOI of a transposed one, whose own first dimension is C_i
    ohwi = (0, rank - 1, *range(1, rank - 1))
    if transposed:
        ohwi = (rank - 1, 0, *range(1, rank - 1))
    swapped = (1, 0, *range(2, rank))
    yield from (hwio, ohwi, first, swapped) if last else (first, hwio, ohwi, swapped)


def _depthwise(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """(kernel …, C, multiplier), and (1, kernel …, C·multiplier): one filter for each output channel."""
    rank = len(shape)
    if wanted[1] != 1:
        return None
    if shape[: rank - 2] == wanted[2:] and shape[-2] * shape[-1] == wanted[0]:
        return (rank - 2, rank - 1, *range(rank - 2))
    if shape[0] == 1 and shape[1:-1] == wanted[2:] and shape[-1] == wanted[0]:
        return (rank - 1, 0, *range(1, rank - 1))
    return None


__all__ = [
    "CHANNELS_LAST",
    "UnknownLayoutError",
    "channel_axis",
    "conv_transpose_weight",
    "conv_weight",
    "image_axes",
]
