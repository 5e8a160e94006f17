"""Reductions: n = |x|/|y| elements make one. Joining n elements takes n − 1 operations, |x| − |y| in all."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from multiprof.cost import Cost, Counts, Formula, formula, on_integers
from multiprof.errors import PluginError
from multiprof.formulas._primitives import P_NORM, input_and_output, known_shape, p_norm, primitives
from multiprof.ir import Layer


def _joins(layer: Layer) -> int:
    """|x| − |y|, and 0 for a reduction over nothing, which is a constant."""
    return max(layer.x.numel - layer.y.numel, 0)


def _join(*ops: str, primitive: str, source: str) -> Formula:
    """The formula of ops that join elements by one primitive."""

    def price(layer: Layer) -> Cost:
        return Cost({"reduce": primitives(layer, **{primitive: _joins(layer)})})

    return Formula(ops, price, f"reduce: |x| − |y| {primitive}", input_and_output, source=source)


@formula("mean", symbols=input_and_output)
def mean(layer: Layer) -> Cost:
    """reduce: |x| − |y| adds, |y| divs

    n − 1 adds and 1 div.
    """
    return Cost({"reduce": primitives(layer, adds=_joins(layer), divs=layer.y.numel)})


def _spread(layer: Layer) -> Counts:
    x, y = layer.x.numel, layer.y.numel
    return Counts(adds=x + 2 * _joins(layer), muls=x, divs=2 * y)


@formula("variance", symbols=input_and_output)
def variance(layer: Layer) -> Cost:
    """variance: 3·|x| − 2·|y| adds, |x| muls, 2·|y| divs

    Σ(x − mean)²/(n − correction). The mean: n − 1 adds, 1 div; the differences: n adds; their squares: n muls; the
    sum: n − 1 adds, 1 div.
    """
    return Cost({"variance": _spread(layer)})


@formula("std", symbols=input_and_output)
def std(layer: Layer) -> Cost:
    """variance: 3·|x| − 2·|y| adds, |x| muls, 2·|y| divs; root: |y| exps

    The square root of the variance.
    """
    return Cost({"variance": _spread(layer), "root": Counts(exps=layer.y.numel)})


def _norm(layer: Layer) -> Cost:
    order = layer.attrs.get("ord")
    p = 2.0 if order is None else float(order)
    return Cost(p_norm(layer, p, layer.x.numel, layer.y.numel, _joins(layer)))


_norm.__doc__ = f"""{P_NORM.format(joins="|x| − |y|", results="|y|")}

    (Σ|x|ᵖ)^(1/p), p = ``ord``, 2 unless said; the terms that a p does not need are not there.
    """
norm = formula("norm", symbols=input_and_output)(_norm)


def _distance_symbols(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of all differences, |y|·n; |y|: elements of y"""
    width = known_shape(layer.inputs["x0"])[-1]
    return {"|x|": layer.y.numel * width, "|y|": layer.y.numel}


def _distance(layer: Layer) -> Cost:
    p = layer.attrs.get("p")
    if p is None:
        raise PluginError(f"layer {layer.name}: the op distance requires the attribute p, which is not there")
    s = _distance_symbols(layer)
    elements, y = s["|x|"], s["|y|"]
    terms = p_norm(layer, float(p), elements, y, max(elements - y, 0))
    return Cost({"difference": primitives(layer, adds=elements)} | terms)


_distance.__doc__ = f"""difference: |x| adds; {P_NORM.format(joins="|x| − |y|", results="|y|")}

    (Σ|a − b|ᵖ)^(1/p) over rows a and b of n elements; the terms that a p does not need are not there.
    """
distance = formula("distance", symbols=_distance_symbols)(_distance)


@formula("logsumexp", symbols=input_and_output)
def logsumexp(layer: Layer) -> Cost:
    """reduce: |x| − |y| cmps, 2·|x| adds, |x| + |y| exps

    max + log Σe^(x − max): n − 1 cmps, n adds, n exps, n − 1 adds, 1 exp (the logarithm), 1 add.
    """
    x, y, joins = layer.x.numel, layer.y.numel, _joins(layer)
    return Cost({"reduce": Counts(cmps=joins, adds=x + joins + y, exps=x + y)})


@formula("count_nonzero", symbols=input_and_output)
def count_nonzero(layer: Layer) -> Cost:
    """reduce: |x| cmps, |x| − |y| ints

    A comparison with 0 an element, and the addition of integers.
    """
    x, joins = layer.x.numel, _joins(layer)
    if on_integers(layer):
        return Cost({"reduce": Counts(ints=x + joins)})
    return Cost({"reduce": Counts(cmps=x, ints=joins)})


def _lines(layer: Layer) -> int:
    """M: how many lines a running sum or product goes along; without an axis, the flattened tensor is one line."""
    shape = known_shape(layer.x)
    elements = prod(shape)
    if not elements:
        return 0
    axis = layer.attrs.get("axis")
    if axis is None:
        return 1
    axes = (axis,) if isinstance(axis, int) else axis
    return elements // prod(shape[a] for a in axes) if shape else 1


def _running_symbols(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; M: lines that the running value goes along"""
    return {"|x|": layer.x.numel, "M": _lines(layer)}


def _running(op: str, primitive: str) -> Formula:
    def price(layer: Layer) -> Cost:
        return Cost({"reduce": primitives(layer, **{primitive: layer.x.numel - _lines(layer)})})

    details = "M = |x|/n lines of n elements, n − 1 operations each: the running value of an element takes in the next."
    return Formula((op,), price, f"reduce: |x| − M {primitive}", _running_symbols, details=details)


@formula("logcumsumexp", symbols=_running_symbols)
def logcumsumexp(layer: Layer) -> Cost:
    """reduce: 2·(|x| − M) cmps, 2·(|x| − M) adds, 2·(|x| − M) exps

    M = |x|/n lines of n elements; n − 1 times log(eᵃ + eᵇ) = max(a, b) + log1p(e^(min(a, b) − max(a, b))).
    """
    joins = 2 * (layer.x.numel - _lines(layer))
    return Cost({"reduce": Counts(cmps=joins, adds=joins, exps=joins)})


@formula("fold", symbols=input_and_output, source="ATen's col2im")
def fold(layer: Layer) -> Cost:
    """sum: |x| adds

    Every element of the columns is added to the image, which starts at zero; what falls on padding counts as well.
    """
    return Cost({"sum": primitives(layer, adds=layer.x.numel)})


FORMULAS = (
    _join("sum", primitive="adds", source="n − 1 adds"),
    _join("prod", primitive="muls", source="n − 1 muls"),
    _join("max", "min", primitive="cmps", source="n − 1 cmps"),
    _join("argmax", "argmin", primitive="cmps", source="n − 1 cmps; the position comes with the comparison"),
    _join("any", "all", primitive="ints", source="n − 1 logical operations"),
    mean,
    variance,
    std,
    norm,
    distance,
    logsumexp,
    count_nonzero,
    _running("cumsum", "adds"),
    _running("cumprod", "muls"),
    _running("cummax", "cmps"),
    _running("cummin", "cmps"),
    logcumsumexp,
    fold,
)
