"""Writes that combine: every element written meets the one that is there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multiprof.cost import Cost, Counts, Formula, Traffic, formula, moved_bytes
from multiprof.errors import PluginError
from multiprof.formulas._primitives import primitives
from multiprof.formulas.shape import combines_by_index, written_elements
from multiprof.ir import Layer

_PRIMITIVES = {"sum": "adds", "mean": "adds", "prod": "muls", "amax": "cmps", "amin": "cmps"}


def _combined(layer: Layer, elements: int) -> dict[str, Counts]:
    """The term of the reduction that the layer names, and for a mean how many elements met, and the division."""
    reduce = layer.attrs.get("reduce")
    if reduce not in _PRIMITIVES:
        raise PluginError(
            f"layer {layer.name}: {layer.op} has the attribute reduce {reduce!r}; one of {', '.join(_PRIMITIVES)}"
        )
    term = "sum" if reduce == "mean" else "extreme" if reduce in ("amax", "amin") else reduce
    terms = {term: primitives(layer, **{_PRIMITIVES[reduce]: elements})}
    if reduce == "mean":
        terms["mean"] = primitives(layer, ints=elements, divs=layer.y.numel)
    return terms


_MATHEMATICS = "sum: {0} adds; prod: {0} muls; extreme: {0} cmps; mean: {0} ints, |y| divs"


def _formula(
    op: str, symbol: str, meaning: str, details: str, count: Callable[[Layer], int], traffic: Callable[[Layer], Traffic]
) -> Formula:
    def symbols(layer: Layer) -> Mapping[str, int]:
        return {symbol: count(layer), "|y|": layer.y.numel}

    def price(layer: Layer) -> Cost:
        return Cost(_combined(layer, count(layer)))

    symbols.__doc__ = f"{symbol}: {meaning}; |y|: elements of y"
    price.__doc__ = f"{_MATHEMATICS.format(symbol)}\n\n{details}"
    return formula(op, symbols=symbols, traffic=traffic)(price)


_DETAILS = (
    "One term, by ``reduce``: sum, prod, amax or amin; a mean is a sum, which counts what met, and a division for "
    "every element of y. "
)

FORMULAS = (
    _formula(
        "scatter_reduce",
        "|i|",
        "elements that are written",
        _DETAILS + "Every index brings one element of src.",
        lambda layer: layer.inputs["indices"].numel,
        combines_by_index,
    ),
    _formula(
        "index_reduce",
        "|i|",
        "elements that are written",
        _DETAILS + "A single value that a mask spreads may meet all of x, and counts so.",
        written_elements,
        combines_by_index,
    ),
    _formula(
        "segment_reduce",
        "|x|",
        "elements of x",
        _DETAILS + "Segments start from nothing (0, 1, ∓∞), as in ``fold``: how many of them are empty is not known.",
        lambda layer: layer.x.numel,
        moved_bytes,
    ),
)
