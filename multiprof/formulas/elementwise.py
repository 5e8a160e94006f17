"""Elementwise arithmetic: one row each, the primitives an output element takes.

Roots, powers, logarithms and trigonometric functions are one exp each; rounding is a cast; selecting, comparing and
absolute values are cmps; logical and bit operations are ints whatever they work on.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, element_symbols, elementwise, formula, on_integers
from multiprof.formulas._primitives import power, primitives
from multiprof.ir import Layer

_TRANSCENDENTAL = (
    *("sqrt", "rsqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erf", "erfc", "erfinv"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh"),
)
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_LOGICAL = ("logical_not", "logical_and", "logical_or", "logical_xor")
_BITWISE = ("bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left", "shift_right")


def _sum(layer: Layer) -> Cost:
    y = layer.y.numel
    terms = {"elementwise": primitives(layer, adds=y)}
    # A constant operand is multiplied by alpha ahead of time.
    if layer.attrs.get("alpha", 1) != 1 and "x1" in layer.inputs:
        terms["alpha"] = primitives(layer, muls=y)
    return Cost(terms)


@formula("add", symbols=element_symbols)
def add(layer: Layer) -> Cost:
    """elementwise: |y| adds; alpha: |y| muls

    x0 + alpha·x1, without the product where alpha is 1 or x1 is a constant.
    """
    return _sum(layer)


@formula("sub", symbols=element_symbols)
def sub(layer: Layer) -> Cost:
    """elementwise: |y| adds; alpha: |y| muls

    x0 − alpha·x1, without the product where alpha is 1 or x1 is a constant.
    """
    return _sum(layer)


@formula("addcmul", symbols=element_symbols)
def addcmul(layer: Layer) -> Cost:
    """elementwise: |y| muls, |y| adds; value: |y| muls

    x0 + value·x1·x2, without the second product where value is 1.
    """
    y = layer.y.numel
    terms = {"elementwise": primitives(layer, muls=y, adds=y)}
    if layer.attrs.get("value", 1) != 1:
        terms["value"] = primitives(layer, muls=y)
    return Cost(terms)


@formula("addcdiv", symbols=element_symbols)
def addcdiv(layer: Layer) -> Cost:
    """elementwise: |y| divs, |y| adds; value: |y| muls

    x0 + value·x1/x2, without the product where value is 1.
    """
    y = layer.y.numel
    terms = {"elementwise": primitives(layer, divs=y, adds=y)}
    if layer.attrs.get("value", 1) != 1:
        terms["value"] = primitives(layer, muls=y)
    return Cost(terms)


@formula("pow", symbols=element_symbols, source="the special cases of ATen's pow kernel")
def pow_(layer: Layer) -> Cost:
    """square: |y| muls; cube: 2·|y| muls; reciprocal: |y| divs; power: |y| exps

    As runtimes execute a constant exponent: 2 is a product, 3 two, −1 a division, 1 nothing; ½ (sqrt), −½ (rsqrt) and
    every other exponent, constant or not, one evaluation.
    """
    exponent = layer.attrs.get("exponent")
    y = layer.y.numel
    if exponent is None:
        return Cost({"power": primitives(layer, exps=y)})
    term, primitive, each = power(exponent)
    return Cost({term: primitives(layer, **{primitive: each * y})} if each else {})


def _bounds(layer: Layer) -> int:
    """B: how many bounds there are; an adapter that names neither means both."""
    attrs = layer.attrs
    if "min" not in attrs and "max" not in attrs:
        return 2
    return (attrs.get("min") is not None) + (attrs.get("max") is not None)


def _clip_symbols(layer: Layer) -> Mapping[str, int]:
    """|y|: elements of y; B: how many of the two bounds there are"""
    return {"|y|": layer.y.numel, "B": _bounds(layer)}


@formula("clip", symbols=_clip_symbols)
def clip(layer: Layer) -> Cost:
    """elementwise: B·|y| cmps

    min(max(x, lower), upper)
    """
    return Cost({"elementwise": primitives(layer, cmps=_bounds(layer) * layer.y.numel)})


@formula("floor_div", symbols=element_symbols)
def floor_div(layer: Layer) -> Cost:
    """elementwise: |y| divs, |y| casts

    ⌊x0/x1⌋: a division and a rounding; on integers it is one operation.
    """
    y = layer.y.numel
    if on_integers(layer):
        return Cost({"elementwise": Counts(ints=y)})
    return Cost({"elementwise": Counts(divs=y, casts=y)})


FORMULAS = (
    add,
    sub,
    addcmul,
    addcdiv,
    pow_,
    clip,
    floor_div,
    elementwise("mul", muls=1, source="x0·x1"),
    elementwise("div", divs=1, source="x0/x1"),
    elementwise("remainder", divs=1, source="one remainder, which counts as a division"),
    elementwise("reciprocal", divs=1, source="1/x"),
    elementwise("square", muls=1, source="x·x"),
    elementwise("neg", adds=1, source="0 − x"),
    elementwise("abs", cmps=1, source="x or −x by the sign of x"),
    elementwise("sign", cmps=2, source="1 where x > 0, −1 where x < 0, else 0: two selections"),
    elementwise("maximum", "minimum", cmps=1, source="the larger, or the smaller, of two"),
    elementwise("where", cmps=1, source="a selection; the condition is a layer of its own"),
    elementwise("masked_fill", cmps=1, source="a selection; the mask is a layer of its own"),
    elementwise("lerp", adds=2, muls=1, source="x0 + t·(x1 − x0)"),
    elementwise("cast", casts=1, source="one conversion"),
    elementwise("floor", "ceil", "round", "trunc", casts=1, source="rounding counts as a conversion"),
    elementwise("frac", casts=1, adds=1, source="x − trunc(x)"),
    elementwise(*_TRANSCENDENTAL, exps=1, source="one evaluation"),
    elementwise(*_COMPARISONS, cmps=1, source="one comparison"),
    elementwise("special", exps=1, source="one evaluation"),
    elementwise("logit", adds=1, divs=1, exps=1, source="ln(x/(1 − x))"),
    elementwise("sinc", muls=1, exps=1, divs=1, cmps=1, source="πx, its sine, the quotient, and 1 where x is 0"),
    elementwise("hypot", muls=2, adds=1, exps=1, source="√(x0² + x1²)"),
    elementwise(
        "logaddexp", cmps=2, adds=2, exps=2, source="max + log1p(e^(min − max)), as in the running logcumsumexp"
    ),
    elementwise("xlogy", "xlog1py", exps=1, muls=1, cmps=1, source="x0·ln x1 (one evaluation), and 0 where x0 is 0"),
    elementwise("copysign", cmps=1, source="|x0| or −|x0|: a selection"),
    elementwise("conj", adds=1, source="the imaginary part turned round"),
    elementwise("angle", exps=1, source="atan2 of the two parts"),
    elementwise("polar", exps=2, muls=2, source="x0·cos x1 and x0·sin x1"),
    elementwise("cross", muls=2, adds=1, source="an element is a difference of two products"),
    elementwise("is_nan", cmps=1, source="x ≠ x"),
    elementwise("is_inf", cmps=2, source="|x| = ∞: absolute value, comparison"),
    elementwise("is_finite", cmps=2, source="|x| < ∞: absolute value, comparison"),
    elementwise(*_LOGICAL, ints=1, source="one logical operation"),
    elementwise(*_BITWISE, ints=1, source="one bit operation"),
)
