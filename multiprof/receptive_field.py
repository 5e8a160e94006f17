"""How much of the input one element of a tensor sees, by the recurrence over windows.

With s the positions of the input that an element sees along a dimension and j the input positions between two
neighbouring elements (1 and 1 at the input), a window of k elements, dilation d and stride t gives

    s' = s + (k − 1)·d·j,    j' = j·t

(Dumoulin & Visin 2016, arXiv:1603.07285; Araujo, Norris & Sim 2019, doi:10.23915/distill.00021). Where paths meet, the
widest counts; after upsampling, where neighbours differ, the element that sees most. Only the extent is followed:
padding and the border of the input do not cut it, and normalisation passes it on, since its statistics are no window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from multiprof import layout, windows
from multiprof.errors import ModelError
from multiprof.ir import ALIAS_ROLE, Graph, Layer, TensorSpec
from multiprof.ops import family
from multiprof.windows import Axes, Axis, Look


@dataclass(slots=True)
class ReceptiveField:
    """``size``: input positions that one element sees; ``jump``: input positions between two neighbouring elements.

    Both have one entry per dimension of the input that windows slide over; a jump is a fraction after upsampling.
    """

    size: tuple[int, ...]
    jump: tuple[Fraction, ...]


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField]:
    """The receptive field of the first output of every layer that has one, by layer name."""
    axes: dict[str, Axes] = {spec.name: tuple(Axis(dim) for dim in range(spec.rank)) for spec in graph.inputs}

    def look(spec: TensorSpec) -> Axes | None:
        return axes.get(spec.name)

    slid: set[int] = set()  # dimensions of the input that windows slide over: the spatial ones
    for layer in graph.layers:
        if not any(spec.name in axes for role, spec in layer.inputs.items() if not role.startswith(ALIAS_ROLE)):
            continue  # computed from weights alone
        rule = _RULES.get(layer.op) or _FAMILY_RULES.get(family(layer.op)) or windows.nothing
        try:
            if layer.op in _SLIDING:
                slid.update(axis.dim for axis in _slid_over(layer, look))
            found = rule(layer, look)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ModelError(f"layer {layer.name}: its attributes are none of op {layer.op}: {error!r}") from error
        for spec in layer.outputs.values():
            axes[spec.name] = found if len(found) == spec.rank else (None,) * spec.rank
    fields = {}
    for layer in graph.layers:
        first = next((axes[spec.name] for spec in layer.outputs.values() if spec.name in axes), ())
        by_dim = {axis.dim: axis for axis in first if axis is not None and axis.dim in slid}
        if slid and by_dim.keys() == slid:
            seen = [by_dim[dim] for dim in sorted(slid)]
            fields[layer.name] = ReceptiveField(tuple(a.extent() for a in seen), tuple(a.pitch for a in seen))
    return fields


def _slid_over(layer: Layer, look: Look) -> list[Axis]:
    """The axes over which the layer slides a window."""
    x = look(layer.x) or ()
    return [axis for place in windows.spatial_places(layer) if place < len(x) and (axis := x[place]) is not None]


_SLIDING = frozenset(
    ("conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool", "resize")
)

_Rule = Callable[[Layer, Look], Axes]
_RULES: Mapping[str, _Rule] = {
    "conv": windows.conv,
    "conv_transpose": windows.conv_transpose,
    "linear": windows.linear,
    "rotary_embedding": windows.linear,  # channels meet, positions do not
    "embedding": windows.embedding,
    "max_pool": windows.pool,
    "avg_pool": windows.pool,
    "lp_pool": windows.pool,
    "adaptive_avg_pool": windows.adaptive,
    "adaptive_max_pool": windows.adaptive,
    "resize": windows.resize,
    "pixel_shuffle": layout.shuffle,
    "pixel_unshuffle": layout.shuffle,
    "softmax": windows.along,
    "log_softmax": windows.along,
    "hardmax": windows.along,
    "cumsum": windows.along,
    "cumprod": windows.along,
    "cummax": windows.along,
    "cummin": windows.along,
    "logcumsumexp": windows.along,
    "flip": windows.along,
    "roll": windows.along,
    "fold": windows.nothing,
    "pad": layout.pad,
    "concat": layout.concat,
    "stack": layout.stack,
    "split": layout.same_extent,
    "slice": layout.same_extent,
    "repeat": layout.same_extent,
    "expand": windows.through,
    "reshape": layout.reshape,
    "transpose": layout.transpose,
    "triangle": windows.through,
    "channel_shuffle": windows.through,
    "copy": windows.through,
    "dropout": windows.through,
    "identity": windows.through,
}
_FAMILY_RULES: Mapping[str, _Rule] = {
    "elementwise": windows.through,
    "activation": windows.through,
    "normalization": windows.through,
    "quantization": windows.through,
    "reduction": windows.reduce,
}

__all__ = ["ReceptiveField", "receptive_fields"]
