"""What several families share: primitive counts that know integer arithmetic, and the price of a power."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import cast

from multiprof.cost import Counts, on_integers
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.ir import Layer, TensorSpec


def primitives(layer: Layer, **amounts: int) -> Counts:
    """`Counts` of the amounts given by name; on integer tensors all but the casts are ``ints``."""
    if on_integers(layer):
        casts = amounts.pop("casts", 0)
        return Counts(ints=sum(amounts.values()), casts=casts)
    return Counts(**amounts)


def input_and_output(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; |y|: elements of y"""
    return {"|x|": layer.x.numel, "|y|": layer.y.numel}


def sizes(layer: Layer, name: str) -> tuple[int, ...]:
    """The tuple attribute ``name`` of integers.

    Raises `UnknownDimensionError` where one of them is ``None`` (data-dependent) and `PluginError` where the adapter
    left out an attribute that the vocabulary requires.
    """
    value: tuple[int, ...] | None = layer.attrs.get(name)
    if value is None:
        raise PluginError(f"layer {layer.name}: the op {layer.op} requires the attribute {name}, which is not there")
    if None in value:
        raise UnknownDimensionError(f"layer {layer.name}: {name} {value} is data-dependent")
    return value


def known_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape of a tensor; raises `UnknownDimensionError` where a dimension is data-dependent."""
    spec.numel  # noqa: B018  # asked for its error
    return cast("tuple[int, ...]", spec.shape)


def power(exponent: float) -> tuple[str, str, int]:
    """How runtimes raise to a constant exponent: the term, the primitive, and how many of it an element takes.

    Small powers are products and quotients, roots have instructions of their own (1 exp each), everything else is one
    evaluation of pow. Source: the special cases of ATen's ``pow`` kernel.
    """
    if exponent == 2:
        return "square", "muls", 1
    if exponent == 3:
        return "cube", "muls", 2
    if exponent == -1:
        return "reciprocal", "divs", 1
    if exponent == 1:
        return "copy", "exps", 0
    return "power", "exps", 1


def p_norm(layer: Layer, p: float, elements: int, results: int, joins: int) -> dict[str, Counts]:
    """Terms of (Σ|x|ᵖ)^(1/p), of which ``results`` are made from ``elements`` in all by ``joins`` additions.

    p = 2 squares and takes the root, p = 1 sums absolute values, p = ±∞ compares them, p = 0 counts what is not 0;
    every other p takes the absolute value where p is not even, the power, the sum and the root.
    """
    absolute = {"abs": primitives(layer, cmps=elements)}
    if p in (inf, -inf):
        return absolute | {"extreme": primitives(layer, cmps=joins)}
    if p in (0, 1):
        return absolute | {"sum": primitives(layer, adds=joins)}
    term, primitive, each = power(p)
    return (
        ({} if p % 2 == 0 else absolute)
        | {term: primitives(layer, **{primitive: each * elements})}
        | {"sum": primitives(layer, adds=joins), "root": primitives(layer, exps=results)}
    )


# The mathematics of `p_norm`, with what replaces ``{joins}`` and ``{results}``; terms that a p does not need are not
# there.
P_NORM = (
    "abs: |x| cmps; square: |x| muls; cube: 2·|x| muls; reciprocal: |x| divs; power: |x| exps; "
    "sum: {joins} adds; extreme: {joins} cmps; root: {results} exps"
)
