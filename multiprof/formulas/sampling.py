"""Sampling at computed places: unlike a resize, the places are not known ahead of time, so they count as well."""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import PluginError, UnsupportedOpError
from multiprof.ir import Layer


def interpolations(dims: int) -> int:
    """Steps a + t·(b − a) of one value between 2^D neighbours: half as many along every further dimension, 2^D − 1."""
    return (1 << dims) - 1


def _cubics(dims: int) -> int:
    """Sums of four weighted values, in one value between 4^D neighbours: 4^(D − 1) + … + 4 + 1."""
    return ((1 << 2 * dims) - 1) // 3


def _mode(layer: Layer) -> str:
    mode: str | None = layer.attrs.get("mode")
    if mode is None:
        raise PluginError(f"layer {layer.name}: the op grid_sample requires the attribute mode, which is not there")
    if mode not in ("nearest", "bilinear", "bicubic"):
        raise UnsupportedOpError(f"layer {layer.name}: grid_sample has no formula for the mode {mode!r}")
    return mode


def _symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; |g|: coordinates in the grid; A: additions that place one, 1 where corners align, else 2;
    I: interpolations of an output element; E: elements along an axis whose place is limited, 4 for bicubic, else 1
    """
    mode, dims = _mode(layer), layer.x.rank - 2
    return {
        "|y|": layer.y.numel,
        "|g|": layer.inputs["grid"].numel,
        "A": 1 if layer.attrs.get("align_corners") else 2,
        "I": _cubics(dims) if mode == "bicubic" else interpolations(dims),
        "E": 4 if mode == "bicubic" else 1,
    }


@formula(
    "grid_sample",
    symbols=_symbols,
    source="Jaderberg et al. 2015, section 3.3; ATen's grid_sampler; Keys 1981 for bicubic",
)
def grid_sample(layer: Layer) -> Cost:
    """place: A·|g| adds, |g| muls, |g| casts; clip: 2·E·|g| cmps; reflect: 3·E·|g| adds, 2·E·|g| cmps, 2·E·|g| divs, E·|g| casts; fraction: |g| adds; kernel: 13·|g| adds, 12·|g| muls; linear: 2·I·|y| adds, I·|y| muls; cubic: 3·I·|y| adds, 4·I·|y| muls

    place: a coordinate in [−1, 1] becomes one in elements, (g + 1)·(size − 1)/2 or (g + 1)·size/2 − 1/2, and is
    rounded. What lies outside is 0 as padding is (nothing), or limited to the border (2 cmps), or reflected before
    that: |p − low| mod span, turned round or not by ⌊|p − low|/span⌋.
    nearest: nothing more. bilinear: I = 2^D − 1 interpolations a + t·(b − a) an element, t once a coordinate. bicubic:
    four weights a coordinate (3 adds for the distances; 3 muls, 2 adds for each of the near ones and 3 muls, 3 adds for
    each of the far ones), then I = 1 + 4 + … sums of 4 weighted values.
    """  # noqa: E501  # the mathematics is one line
    s = _symbols(layer)
    mode, y, g, inside = _mode(layer), s["|y|"], s["|g|"], s["E"] * s["|g|"]
    terms = {"place": Counts(adds=s["A"] * g, muls=g, casts=g)}
    padding = layer.attrs.get("padding_mode", "zeros")
    if padding in ("border", "reflection"):
        terms["clip"] = Counts(cmps=2 * inside)
    if padding == "reflection":
        terms["reflect"] = Counts(adds=3 * inside, cmps=2 * inside, divs=2 * inside, casts=inside)
    if mode != "nearest":
        terms["fraction"] = Counts(adds=g)
    if mode == "bilinear":
        terms["linear"] = Counts(adds=2 * s["I"] * y, muls=s["I"] * y)
    elif mode == "bicubic":
        terms["kernel"] = Counts(adds=13 * g, muls=12 * g)
        terms["cubic"] = Counts(adds=3 * s["I"] * y, muls=4 * s["I"] * y)
    return Cost(terms)


def _affine_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: coordinates in the grid; D: dimensions of a place"""
    return {"|y|": layer.y.numel, "D": _dims(layer)}


def _dims(layer: Layer) -> int:
    """D from the matrix of D × (D + 1), or from its elements in a row."""
    elements = layer.inputs["theta"].shape[-1]
    if layer.inputs["theta"].rank > 2:
        return (elements or 0) - 1
    return 3 if elements == 12 else 2


@formula("affine_grid", symbols=_affine_symbols, source="Jaderberg et al. 2015, equation (1)")
def affine_grid(layer: Layer) -> Cost:
    """affine: D·|y| muls, D·|y| adds

    θ·(place, 1): a coordinate is a sum of D products and the shift; the places themselves are a constant.
    """
    work = _dims(layer) * layer.y.numel
    return Cost({"affine": Counts(muls=work, adds=work)})


FORMULAS = (grid_sample, affine_grid)
