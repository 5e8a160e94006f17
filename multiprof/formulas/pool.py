"""Pooling: what a window of elements takes, times the windows. Padding counts as if it were data."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod

from multiprof.cost import Cost, formula
from multiprof.formulas._primitives import P_NORM, p_norm, primitives, sizes
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def _elements(layer: Layer) -> int:
    """K: the elements of the window."""
    return prod(sizes(layer, "kernel_size"))


def _window(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; K: elements of the window"""
    return {"|y|": layer.y.numel, "K": _elements(layer)}


def _inputs_and_window(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; |y|: elements of y; K: elements of the window"""
    return {"|x|": layer.x.numel, "|y|": layer.y.numel, "K": _elements(layer)}


@formula("max_pool", symbols=_window)
def max_pool(layer: Layer) -> Cost:
    """window: |y|·(K − 1) cmps

    Where the maximum stands comes with the comparison.
    """
    return Cost({"window": primitives(layer, cmps=layer.y.numel * (_elements(layer) - 1))})


@formula("avg_pool", symbols=_window)
def avg_pool(layer: Layer) -> Cost:
    """window: |y|·(K − 1) adds, |y| divs

    The division is one whatever the divisor (with padding, without it, or given).
    """
    y = layer.y.numel
    return Cost({"window": primitives(layer, adds=y * (_elements(layer) - 1), divs=y)})


# The first line of the docstring is made here, from the mathematics of all p-norms.
def _lp_pool(layer: Layer) -> Cost:
    y = layer.y.numel
    joins = y * (_elements(layer) - 1)
    return Cost(p_norm(layer, float(size(layer, "p")), layer.x.numel, y, joins))


_lp_pool.__doc__ = f"""{P_NORM.format(joins="|y|·(K − 1)", results="|y|")}

    (Σ|x|ᵖ)^(1/p) over the K elements of the window; each input element is raised once, not once a window.
    """
lp_pool = formula("lp_pool", symbols=_inputs_and_window)(_lp_pool)


def _covered(layer: Layer) -> int:
    """W: the elements of all windows together, one that lies in two windows counted twice.

    Along an axis, window i of ``out`` reaches from ⌊i·in/out⌋ to ⌈(i + 1)·in/out⌉. The sum of those sizes is
    in + out − gcd(in, out): Σ⌈j·in/out⌉ over 1 … out exceeds Σ⌊j·in/out⌋ by 1 for every j but the gcd(in, out) at
    which the quotient is whole, and Σ⌊j·in/out⌋ over 1 … out exceeds that over 0 … out − 1 by in.
    """
    outputs = sizes(layer, "output_size")
    windows = prod(outputs)
    if not windows:
        return 0
    spatial = prod(n + m - gcd(n, m) for n, m in zip(sizes(layer, "input_size"), outputs, strict=True))
    return layer.y.numel // windows * spatial


def _adaptive(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; W: elements of all windows together, counted in each that they lie in"""
    return {"|y|": layer.y.numel, "W": _covered(layer)}


@formula("adaptive_avg_pool", symbols=_adaptive)
def adaptive_avg_pool(layer: Layer) -> Cost:
    """window: W − |y| adds, |y| divs

    Window i of ``out`` along an axis reaches from ⌊i·in/out⌋ to ⌈(i + 1)·in/out⌉; windows may overlap. Global average
    pooling: W = |x|.
    """
    y = layer.y.numel
    return Cost({"window": primitives(layer, adds=_covered(layer) - y, divs=y)})


@formula("adaptive_max_pool", symbols=_adaptive)
def adaptive_max_pool(layer: Layer) -> Cost:
    """window: W − |y| cmps

    The windows are those of the adaptive average.
    """
    return Cost({"window": primitives(layer, cmps=_covered(layer) - layer.y.numel)})


FORMULAS = (max_pool, avg_pool, lp_pool, adaptive_avg_pool, adaptive_max_pool)
