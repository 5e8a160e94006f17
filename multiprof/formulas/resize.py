"""Interpolation to another size.

The weights of an interpolation depend on a position along one axis alone, so that they are a table for each axis, made
ahead of time; what is counted is what every output element takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod

from multiprof.cost import Cost, formula
from multiprof.errors import PluginError, UnsupportedOpError
from multiprof.formulas._primitives import known_shape, primitives
from multiprof.ir import Layer

# One-dimensional interpolations a + t·(b − a) of one output element: of 2 values, of 4 by way of 2, of 8 by way of 4.
_INTERPOLATIONS = {"linear": 1, "bilinear": 3, "trilinear": 7}

# Half the width of the filter, in input elements where the input is not shrunk (Keys 1981 for the cubic one).
_RADIUS = {"linear": 1, "bilinear": 1, "trilinear": 1, "bicubic": 2}


def _mode(layer: Layer) -> str:
    mode: str | None = layer.attrs.get("mode")
    if mode is None:
        raise PluginError(f"layer {layer.name}: the op resize requires the attribute mode, which is not there")
    if mode.startswith("nearest"):
        return "nearest"
    if mode not in _RADIUS and mode != "area":
        raise UnsupportedOpError(f"layer {layer.name}: resize has no formula for the mode {mode!r}")
    return mode


def _covered(layer: Layer) -> int:
    """W: the elements of all windows together, which tile the input as those of adaptive average pooling do.

    Along an axis they are in + out − gcd(in, out); an axis that keeps its size gives just that size, so that the order
    of the axes does not matter.
    """
    pairs = zip(known_shape(layer.x), known_shape(layer.y), strict=True)
    return prod(n + m - gcd(n, m) if n and m else 0 for n, m in pairs)


def _taps(size: int, out: int, radius: int) -> int:
    """The taps of all ``out`` filters along an axis of ``size``, cut off at the borders.

    Filter i is centred at (i + ½)·s with s = size/out and reaches r·max(s, 1) to both sides; a tap counts where its
    centre lies within: from ⌊c − r + ½⌋ to ⌊c + r + ½⌋. Source: ATen's antialiased upsampling, as in Pillow.
    """
    reach = radius * 2 * max(size, out)  # this, the centres and the half are in units of 1/(2·out): exact integers
    unit = 2 * out
    total = 0
    for centre in range(size, 2 * size * out, 2 * size):
        total += min((centre + reach + out) // unit, size) - max((centre - reach + out) // unit, 0)
    return total


def _filtered(layer: Layer) -> tuple[int, int]:
    """T taps and E elements made from them, in one pass for each axis that changes, the last one first."""
    elements, taps, made = layer.x.numel, 0, 0
    if not layer.y.numel:
        return 0, 0
    for size, out in reversed(list(zip(known_shape(layer.x), known_shape(layer.y), strict=True))):
        if size == out:
            continue
        lines = elements // size
        elements = lines * out
        taps += lines * _taps(size, out, _RADIUS[_mode(layer)])
        made += elements
    return taps, made


def _symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; I: interpolations of an output element, 1, 3 or 7; W: elements of all windows together;
    T: taps of all filters together; E: elements that the passes make, one pass for each axis that changes
    """
    mode = _mode(layer)
    symbols = {"|y|": layer.y.numel}
    if mode == "area":
        symbols["W"] = _covered(layer)
    elif mode in _RADIUS and layer.attrs.get("antialias"):
        symbols["T"], symbols["E"] = _filtered(layer)
    elif mode in _INTERPOLATIONS:
        symbols["I"] = _INTERPOLATIONS[mode]
    return symbols


@formula("resize", symbols=_symbols, source="Keys 1981 for bicubic")
def resize(layer: Layer) -> Cost:
    """linear: 2·I·|y| adds, I·|y| muls; cubic: 15·|y| adds, 20·|y| muls; area: W − |y| adds, |y| divs; filter: T − E adds, T muls

    One term, by mode. nearest: a gather, nothing. linear, bilinear, trilinear: I = 1, 3, 7 interpolations
    a + t·(b − a). bicubic: 4 cubic interpolations along one axis and 1 along the other, each the sum of 4 weighted
    values (4 muls, 3 adds). area: an average over a window, as in adaptive average pooling. With ``antialias`` the
    filter is stretched where the input shrinks and applied along one axis after the other.
    """  # noqa: E501  # the mathematics is one line
    mode, y = _mode(layer), layer.y.numel
    if mode == "nearest":
        return Cost()
    if mode == "area":
        return Cost({"area": primitives(layer, adds=_covered(layer) - y, divs=y)})
    if layer.attrs.get("antialias"):
        taps, made = _filtered(layer)
        return Cost({"filter": primitives(layer, adds=taps - made, muls=taps)})
    if mode == "bicubic":
        return Cost({"cubic": primitives(layer, adds=15 * y, muls=20 * y)})
    steps = _INTERPOLATIONS[mode]
    return Cost({"linear": primitives(layer, adds=2 * steps * y, muls=steps * y)})


FORMULAS = (resize,)
