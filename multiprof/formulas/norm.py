"""Normalisation, from the definitions.

One group of n elements that share statistics, y = (x − mean)·rsqrt(variance + ε)·weight + bias, takes

    mean               n − 1 adds, 1 div
    x − mean           n adds
    their squares      n muls
    variance           n − 1 adds, 1 div
    rsqrt(variance+ε)  1 add, 1 exp
    normalised         n muls                   together 3·n − 1 adds, 2·n muls, 2 divs, 1 exp
    weight, bias       n muls, n adds           where there are any

For M groups with n·M = |y| that is 3·|y| − M adds, 2·|y| muls, 2·M divs and M exps, and |y| muls and |y| adds more; n
does not occur, so only the number of groups M tells one norm from another. Layer norm over 8, affine: 31 adds, 24 muls,
2 divs, 1 exp. Biased and unbiased variance differ in a constant divisor alone.

With *given* statistics, weight, bias, mean and variance make one factor and one summand per channel ahead of time.

Sources: Ioffe and Szegedy 2015 (batch), Ba et al. 2016 (layer), Ulyanov et al. 2016 (instance), Wu and He 2018 (group),
Zhang and Sennrich 2019 (root mean square), Krizhevsky et al. 2012 (local response).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from multiprof.cost import Cost, Counts, formula
from multiprof.formulas._primitives import P_NORM, known_shape, p_norm, primitives, sizes
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def _groups(layer: Layer) -> int:
    """M: how many groups share statistics; 0 for an empty tensor."""
    elements = layer.y.numel
    if not elements:
        return 0
    match layer.op:
        case "batch_norm":
            return size(layer, "channels")
        case "group_norm":
            return size(layer, "batch") * size(layer, "groups")
        case "instance_norm":
            return size(layer, "batch") * size(layer, "channels")
        case _:
            return elements // size(layer, "normalized_size")


def _symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; M: groups of elements that share statistics"""
    return {"|y|": layer.y.numel, "M": _groups(layer)}


def _from_data(layer: Layer) -> Cost:
    """Statistics computed from x itself."""
    y, groups = layer.y.numel, _groups(layer)
    terms = {"norm": Counts(adds=3 * y - groups, muls=2 * y, divs=2 * groups, exps=groups)}
    if "weight" in layer.inputs:
        terms["scale"] = Counts(muls=y)
    if "bias" in layer.inputs:
        terms["shift"] = Counts(adds=y)
    return Cost(terms)


def _given(layer: Layer) -> Cost:
    """Statistics that stand in the model: x times a factor plus a summand."""
    y = layer.y.numel
    return Cost({"affine": Counts(adds=y, muls=y)})


@formula("batch_norm", symbols=_symbols, source="Ioffe and Szegedy 2015")
def batch_norm(layer: Layer) -> Cost:
    """affine: |y| muls, |y| adds; norm: 3·|y| − M adds, 2·|y| muls, 2·M divs, M exps; scale: |y| muls; shift: |y| adds

    With given statistics the affine term alone: statistics, weight and bias make one factor and one summand a channel
    ahead of time. With statistics from the batch (``batch_stats``) the others: M = C channels.
    """
    return _from_data(layer) if layer.attrs.get("batch_stats") else _given(layer)


@formula("instance_norm", symbols=_symbols, source="Ulyanov et al. 2016")
def instance_norm(layer: Layer) -> Cost:
    """affine: |y| muls, |y| adds; norm: 3·|y| − M adds, 2·|y| muls, 2·M divs, M exps; scale: |y| muls; shift: |y| adds

    M = N·C groups. With given statistics (``running_stats``) it is a batch norm: the affine term alone.
    """
    return _given(layer) if layer.attrs.get("running_stats") else _from_data(layer)


@formula("layer_norm", symbols=_symbols, source="Ba et al. 2016")
def layer_norm(layer: Layer) -> Cost:
    """norm: 3·|y| − M adds, 2·|y| muls, 2·M divs, M exps; scale: |y| muls; shift: |y| adds

    M = |y|/n groups of n = ``normalized_size`` elements.
    """
    return _from_data(layer)


@formula("group_norm", symbols=_symbols, source="Wu and He 2018")
def group_norm(layer: Layer) -> Cost:
    """norm: 3·|y| − M adds, 2·|y| muls, 2·M divs, M exps; scale: |y| muls; shift: |y| adds

    M = N·G groups.
    """
    return _from_data(layer)


@formula("rms_norm", symbols=_symbols, source="Zhang and Sennrich 2019")
def rms_norm(layer: Layer) -> Cost:
    """norm: |y| adds, 2·|y| muls, M divs, M exps; scale: |y| muls

    y = x·rsqrt(mean(x²) + ε)·weight. For n elements: n squares, n − 1 adds, 1 div, 1 add for ε, 1 rsqrt, n muls.
    M = |y|/n groups of n = ``normalized_size`` elements.
    """
    y, groups = layer.y.numel, _groups(layer)
    terms = {"norm": Counts(adds=y, muls=2 * y, divs=groups, exps=groups)}
    if "weight" in layer.inputs:
        terms["scale"] = Counts(muls=y)
    return Cost(terms)


def _window(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; n: neighbouring channels in a sum"""
    return {"|y|": layer.y.numel, "n": size(layer, "size")}


@formula("local_response_norm", symbols=_window, source="Krizhevsky et al. 2012, section 3.3")
def local_response_norm(layer: Layer) -> Cost:
    """norm: n·|y| adds, 2·|y| muls, |y| exps, |y| divs

    y = x/(k + α/n·Σx²)^β, the sum over n = ``size`` neighbouring channels, absent ones counted as zeros. An element:
    its square (each is taken once), n − 1 adds, 1 mul by the constant α/n, 1 add of k, 1 power, 1 div.
    """
    y = layer.y.numel
    return Cost({"norm": primitives(layer, adds=size(layer, "size") * y, muls=2 * y, divs=y, exps=y)})


def _axis(layer: Layer) -> int:
    """M: how many lines are divided by a norm of their own."""
    shape = known_shape(layer.x)
    return layer.x.numel // prod(shape[a] for a in sizes(layer, "axis")) if layer.x.numel else 0


def _lp_symbols(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; M: how many groups are divided by a norm of their own"""
    return {"|x|": layer.x.numel, "M": _axis(layer)}


# The first line of the docstring is made here, from the mathematics of all p-norms.
def _lp_normalize(layer: Layer) -> Cost:
    x, groups = layer.x.numel, _axis(layer)
    terms = p_norm(layer, float(size(layer, "p")), x, groups, x - groups)
    if layer.attrs.get("eps"):
        terms["epsilon"] = primitives(layer, adds=groups)
    return Cost(terms | {"divide": primitives(layer, divs=x)})


_lp_normalize.__doc__ = f"""{P_NORM.format(joins="|x| − M", results="M")}; epsilon: M adds; divide: |x| divs

    x/(Σ|x|ᵖ + ε)^(1/p) over the elements of a group; the terms that a p does not need are not there.
    """
lp_normalize = formula("lp_normalize", symbols=_lp_symbols, source="ONNX operator LpNormalization")(_lp_normalize)


FORMULAS = (batch_norm, instance_norm, layer_norm, group_norm, rms_norm, local_response_norm, lp_normalize)
