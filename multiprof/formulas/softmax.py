"""Softmax, its logarithm and its limit, by the definitions that do not overflow: the maximum is taken off first."""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._primitives import primitives
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def _groups(layer: Layer) -> int:
    """M: how many groups of n elements are normalised together; 0 for an empty tensor."""
    elements = layer.y.numel
    return elements // size(layer, "n") if elements else 0


def _symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; M: groups of elements that are normalised together"""
    return {"|y|": layer.y.numel, "M": _groups(layer)}


@formula("softmax", symbols=_symbols)
def softmax(layer: Layer) -> Cost:
    """softmax: |y| − M cmps, 2·|y| − M adds, |y| exps, |y| divs

    e^(x − max)/Σe^(x − max). n elements: n − 1 cmps, n adds, n exps, n − 1 adds, n divs; M = |y|/n groups.
    """
    y, groups = layer.y.numel, _groups(layer)
    return Cost({"softmax": Counts(cmps=y - groups, adds=2 * y - groups, exps=y, divs=y)})


@formula("log_softmax", symbols=_symbols)
def log_softmax(layer: Layer) -> Cost:
    """softmax: |y| − M cmps, 3·|y| − M adds, |y| + M exps

    (x − max) − log Σe^(x − max). n elements: n − 1 cmps, n adds, n exps, n − 1 adds, 1 exp (the logarithm), n adds;
    M = |y|/n groups.
    """
    y, groups = layer.y.numel, _groups(layer)
    return Cost({"softmax": Counts(cmps=y - groups, adds=3 * y - groups, exps=y + groups)})


@formula("hardmax", symbols=_symbols)
def hardmax(layer: Layer) -> Cost:
    """maximum: |y| − M cmps

    Where the maximum stands comes with the comparison: n − 1 cmps for n elements; the ones and zeros are written.
    """
    return Cost({"maximum": primitives(layer, cmps=layer.y.numel - _groups(layer))})


FORMULAS = (softmax, log_softmax, hardmax)
