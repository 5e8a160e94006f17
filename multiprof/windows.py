"""What the elements along a dimension see of the input, and how elementwise ops and windows move that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from multiprof.ir import ALIAS_ROLE, Layer, TensorSpec

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Axis:
    """What the elements along one dimension see: ``size`` positions of a grid, ``jump`` positions apart.

    The grid is dimension ``dim`` of the input, or, after upsampling, a finer one laid over ``coarse``: of d + 1
    neighbouring positions on it the outermost are at most ⌊(d + reach)/factor⌋ coarse elements apart.
    """

    dim: int
    size: Number = 1
    jump: Number = 1
    coarse: Axis | None = None
    factor: Number = 1
    reach: Number = 0

    def window(self, reach: int, stride: Number) -> Axis:
        """After a window over this axis whose last element lies ``reach`` elements behind the first."""
        return replace(self, size=self.size + reach * self.jump, jump=self.jump * stride)

    def finer(self, factor: Number, reach: Number) -> Axis:
        """After upsampling: the elements of a new grid over this axis."""
        if factor <= 0:
            raise ValueError(f"upsampling by {factor}")
        return Axis(self.dim, 1, 1, self, factor, reach)

    def repeated(self, factor: Fraction) -> Axis:
        """After element ⌊o/factor⌋ was taken for every o: neighbours d apart come from at most ⌈d/factor⌉ apart."""
        return self.finer(factor, Fraction(factor.numerator - 1, factor.denominator))

    def extent(self, elements: int = 1) -> int:
        """Positions of the input that so many neighbouring elements see."""
        positions = ceil(self.size + (elements - 1) * self.jump)
        if self.coarse is None:
            return positions
        return self.coarse.extent(int((positions - 1 + self.reach) // self.factor) + 1)

    @property
    def pitch(self) -> Fraction:
        """Positions of the input between two neighbouring elements, on average."""
        return Fraction(self.jump) / self.factor * (1 if self.coarse is None else self.coarse.pitch)


# What each dimension of a tensor sees; None where that is no window (channels, mixed dimensions, whatever is unknown).
Axes = tuple[Axis | None, ...]
# The Axes of a tensor by its spec; None for a tensor that does not depend on the input.
Look = Callable[[TensorSpec], Axes | None]


def nothing(layer: Layer, look: Look) -> Axes:
    """Every output element may see everything."""
    return (None,) * layer.y.rank if "y" in layer.outputs or "y0" in layer.outputs else ()


def through(layer: Layer, look: Look) -> Axes:
    """Elementwise, with broadcasting: each element sees what the same place of every operand sees."""
    y = layer.y.shape
    operands = [(spec.shape, look(spec)) for role, spec in layer.inputs.items() if not role.startswith(ALIAS_ROLE)]
    result = []
    for place in range(1, len(y) + 1):  # from the last dimension
        met: list[Axis | None] = []
        for shape, axes in operands:
            if axes is None or place > len(shape):
                continue
            axis = axes[-place]
            if shape[-place] == y[-place]:
                met.append(axis)
            elif shape[-place] == 1 and axis is not None:  # repeated: neighbours see the same
                met.append(replace(axis, jump=0))
            else:
                met.append(None)
        result.append(meet(met))
    return tuple(reversed(result))


def meet(met: Sequence[Axis | None]) -> Axis | None:
    """The widest of axes that see the same dimension at the same pace."""
    axes = [axis for axis in met if axis is not None]
    if not axes or len(axes) < len(met):
        return None
    pitches = {axis.pitch for axis in axes} - {0}
    if len({axis.dim for axis in axes}) > 1 or len(pitches) > 1:
        return None
    widest = max(axes, key=lambda axis: axis.extent())
    pitch = pitches.pop() if pitches else Fraction(0)
    return widest if widest.pitch == pitch else Axis(widest.dim, widest.extent(), pitch)


def spatial_places(layer: Layer) -> list[int]:
    """Which dimensions of ``x`` and ``y`` a window slides over: those of the data format that are not N or C."""
    order = str(layer.attrs.get("data_format") or "")
    rank = layer.x.rank
    if len(order) == rank:
        return [position for position, letter in enumerate(order) if letter not in "NC"]
    window = layer.attrs.get("kernel_size") or layer.attrs.get("output_size") or range(max(0, rank - 2))
    return list(range(rank))[rank - len(window) :]  # channels first


def _slide(layer: Layer, look: Look, move: Callable[[Axis, int], Axis | None]) -> Axes:
    """Spatial dimensions moved by ``move(axis, number of the dimension)``; channels are mixed, the batch stays."""
    x = look(layer.x)
    spatial = spatial_places(layer)
    if x is None or layer.y.rank != len(x) or any(not 0 <= position < len(x) for position in spatial):
        return nothing(layer, look)
    order = str(layer.attrs.get("data_format") or "")
    batch = order.find("N") if len(order) == len(x) else len(x) - len(spatial) - 2  # -1: there is none
    result: list[Axis | None] = [None] * len(x)
    if batch >= 0:
        result[batch] = x[batch]
    for number, position in enumerate(spatial):
        axis = x[position]
        result[position] = None if axis is None else move(axis, number)
    return tuple(result)


def _per_dim(layer: Layer, name: str, number: int, default: int) -> int:
    values = layer.attrs.get(name) or ()
    return int(values[number]) if number < len(values) else default


def conv(layer: Layer, look: Look) -> Axes:
    def move(axis: Axis, n: int) -> Axis:
        reach = (_per_dim(layer, "kernel_size", n, 1) - 1) * _per_dim(layer, "dilation", n, 1)
        return axis.window(reach, _per_dim(layer, "stride", n, 1))

    return _slide(layer, look, move)


def pool(layer: Layer, look: Look) -> Axes:
    def move(axis: Axis, n: int) -> Axis:
        kernel = _per_dim(layer, "kernel_size", n, 1)
        return axis.window((kernel - 1) * _per_dim(layer, "dilation", n, 1), _per_dim(layer, "stride", n, kernel))

    return _slide(layer, look, move)


def conv_transpose(layer: Layer, look: Look) -> Axes:
    """Output o sees inputs i with o = i·t + m·d, 0 ≤ m < k: of outputs n apart, at most ⌊(n + (k − 1)·d)/t⌋ apart."""

    def move(axis: Axis, n: int) -> Axis:
        reach = (_per_dim(layer, "kernel_size", n, 1) - 1) * _per_dim(layer, "dilation", n, 1)
        return axis.finer(_per_dim(layer, "stride", n, 1), reach)

    return _slide(layer, look, move)


def adaptive(layer: Layer, look: Look) -> Axes:
    """Window number i of m over n elements runs from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉; the longest counts."""

    def move(axis: Axis, number: int) -> Axis | None:
        n, m = _per_dim(layer, "input_size", number, 0), _per_dim(layer, "output_size", number, 0)
        if not n or not m:
            return None
        longest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
        return axis.window(longest - 1, Fraction(n, m))

    return _slide(layer, look, move)


# Input elements between the outermost two that an interpolated element is made of.
_TAPS = {"nearest": 0, "nearest-exact": 0, "linear": 1, "bilinear": 1, "trilinear": 1, "bicubic": 3}


def resize(layer: Layer, look: Look) -> Axes:
    reach = _TAPS.get(str(layer.attrs.get("mode")))
    if reach is None or layer.attrs.get("antialias"):
        return nothing(layer, look)
    spatial = spatial_places(layer)

    def move(axis: Axis, number: int) -> Axis | None:
        before, after = layer.x.shape[spatial[number]], layer.y.shape[spatial[number]]
        return axis.window(reach, 1).repeated(Fraction(after, before)) if before and after else None

    return _slide(layer, look, move)


def reduce(layer: Layer, look: Look) -> Axes:
    x, axis = look(layer.x), layer.attrs.get("axis")
    if x is None or not isinstance(axis, (tuple, list)):
        return nothing(layer, look)
    result: list[Axis | None] = []
    for position, one in enumerate(x):
        extent = layer.x.shape[position]
        if position not in axis:
            result.append(one)
        elif layer.attrs.get("keepdim"):
            result.append(None if one is None or not extent else one.window(extent - 1, extent))
    return tuple(result)


def along(layer: Layer, look: Look) -> Axes:
    """Same shape, but every element sees its whole line along ``axis``: softmax, running sums, flips, rotations."""
    axis = layer.attrs.get("axis")
    whole = axis if isinstance(axis, (tuple, list)) else range(layer.y.rank) if axis is None else (axis,)
    passed = through(layer, look)
    return tuple(None if place in whole or place - len(passed) in whole else a for place, a in enumerate(passed))


def linear(layer: Layer, look: Look) -> Axes:
    x = look(layer.x)
    if x is None or "equation" in layer.attrs:
        return nothing(layer, look)
    return (*x[:-1], None)


def embedding(layer: Layer, look: Look) -> Axes:
    x = look(layer.x)
    return nothing(layer, look) if x is None else (*x, None)


__all__ = [
    "Axes",
    "Axis",
    "Look",
    "adaptive",
    "along",
    "conv",
    "conv_transpose",
    "embedding",
    "linear",
    "meet",
    "nothing",
    "pool",
    "reduce",
    "resize",
    "spatial_places",
    "through",
]
