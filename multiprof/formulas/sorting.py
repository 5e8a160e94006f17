"""Order and selection. How many comparisons a runtime makes depends on the values and on its algorithm; what stands
here is what the best-known algorithms need in the worst case, and is stated as an upper bound where it is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from multiprof.cost import Cost, Counts, formula, on_integers
from multiprof.formulas._primitives import known_shape, primitives
from multiprof.formulas._sizes import size
from multiprof.ir import Layer


def merge_sort(n: int) -> int:
    """Comparisons of merge sort on n elements, at most: Σ⌈log₂ j⌉ over j = 1 … n, which is n·⌈log₂ n⌉ − 2^⌈log₂ n⌉ + 1.

    Source: Knuth, The Art of Computer Programming, volume 3, sections 5.2.4 and 5.3.1, equation (3).
    """
    if n < 1:
        return 0
    levels = (n - 1).bit_length()
    return n * levels - (1 << levels) + 1


def tree_selection(n: int, k: int) -> int:
    """Comparisons that find the k largest of n elements in order, at most: n − k + Σ⌈log₂ j⌉ over j = n + 2 − k … n.

    The largest takes n − 1, each further one a path through the tree of those already compared; k = n is sorting.
    Source: Kislitsyn 1964, in Knuth, volume 3, section 5.3.3, equation (6).
    """
    if n < 1 or k < 1:
        return 0
    k = min(k, n)
    return n - k + merge_sort(n) - merge_sort(n + 1 - k)


def _lines(layer: Layer, n: int) -> int:
    """M: lines along the axis; 0 for an empty tensor."""
    elements = layer.x.numel
    return elements // n if elements else 0


def _worst(layer: Layer) -> str:
    return "an upper bound: how much is compared depends on the values"


def _sort_symbols(layer: Layer) -> Mapping[str, int]:
    """M: lines along the axis; C: comparisons of one line of n elements, n·⌈log₂ n⌉ − 2^⌈log₂ n⌉ + 1"""
    n = size(layer, "n")
    return {"M": _lines(layer, n), "C": merge_sort(n)}


@formula("sort", symbols=_sort_symbols, bound=_worst, source="Knuth, The Art of Computer Programming 3, 5.2.4")
def sort(layer: Layer) -> Cost:
    """sort: M·C cmps

    Merge sort in the worst case. Positions move with their elements.
    """
    n = size(layer, "n")
    return Cost({"sort": primitives(layer, cmps=_lines(layer, n) * merge_sort(n))})


def _topk_symbols(layer: Layer) -> Mapping[str, int]:
    """M: lines along the axis; C: comparisons of one line of n elements, n − k + Σ⌈log₂ j⌉ over j = n + 2 − k … n"""
    n = size(layer, "n")
    return {"M": _lines(layer, n), "C": tree_selection(n, size(layer, "k"))}


@formula(
    "topk",
    symbols=_topk_symbols,
    bound=_worst,
    source="Kislitsyn 1964; Knuth, The Art of Computer Programming 3, 5.3.3",
)
def topk(layer: Layer) -> Cost:
    """select: M·C cmps

    Tree selection in the worst case: n − 1 for k = 1, what merge sort takes for k = n.
    """
    n = size(layer, "n")
    return Cost({"select": primitives(layer, cmps=_lines(layer, n) * tree_selection(n, size(layer, "k")))})


def _mode_symbols(layer: Layer) -> Mapping[str, int]:
    """M: lines along the axis; n: elements of one; C: comparisons that sort it, n·⌈log₂ n⌉ − 2^⌈log₂ n⌉ + 1"""
    n = size(layer, "n")
    return {"M": _lines(layer, n), "n": n, "C": merge_sort(n)}


@formula("mode", symbols=_mode_symbols, bound=_worst, source="ATen's mode: sort, then count runs of equal neighbours")
def mode(layer: Layer) -> Cost:
    """sort: M·C cmps; neighbours: M·(n − 1) cmps; runs: M·n ints

    Merge sort in the worst case, the comparison of every neighbour, and for every element the length of its run.
    """
    lines, n, comparisons = _mode_symbols(layer).values()
    return Cost(
        {
            "sort": primitives(layer, cmps=lines * comparisons),
            "neighbours": primitives(layer, cmps=lines * max(n - 1, 0)),
            "runs": Counts(ints=lines * n),
        }
    )


def _rows(layer: Layer) -> tuple[int, int]:
    """How many things are told apart, and how many elements each has: one, or a whole row along the axis."""
    shape = known_shape(layer.x)
    axis = layer.attrs.get("axis")
    if axis is None:
        return prod(shape), 1
    count = shape[axis]
    return count, prod(shape) // count if count else 0


def _unique_symbols(layer: Layer) -> Mapping[str, int]:
    """E: elements of one thing told apart from others; R: how many things; C: comparisons that sort them"""
    rows, each = _rows(layer)
    return {"E": each, "R": rows, "C": merge_sort(rows)}


@formula("unique", symbols=_unique_symbols, bound=_worst, source="numpy.unique: sort, then compare neighbours")
def unique(layer: Layer) -> Cost:
    """sort: E·C cmps; neighbours: E·(R − 1) cmps

    Merge sort in the worst case, and the comparison of every neighbour. Rows compare element by element, at most all.
    """
    rows, each = _rows(layer)
    if not rows:
        return Cost()
    return Cost(
        {
            "sort": primitives(layer, cmps=each * merge_sort(rows)),
            "neighbours": primitives(layer, cmps=each * (rows - 1)),
        }
    )


def _elements(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x"""
    return {"|x|": layer.x.numel}


@formula("nonzero", symbols=_elements)
def nonzero(layer: Layer) -> Cost:
    """compare: |x| cmps

    A comparison with 0 an element. How many positions there are is known only afterwards.
    """
    x = layer.x
    # the positions are integers, whatever is compared
    return Cost({"compare": Counts(ints=x.numel) if x.is_integer else Counts(cmps=x.numel)})


def _search_symbols(layer: Layer) -> Mapping[str, int]:
    """|x|: elements of x; S: steps of a binary search among the b boundaries of a row, ⌈log₂(b + 1)⌉"""
    return {"|x|": layer.x.numel, "S": known_shape(layer.inputs["boundaries"])[-1].bit_length()}


@formula("bucketize", symbols=_search_symbols, bound=_worst, source="Knuth, The Art of Computer Programming 3, 6.2.1")
def bucketize(layer: Layer) -> Cost:
    """search: |x|·S cmps

    Binary search; a step is saved where an element meets the shorter half.
    """
    symbols = _search_symbols(layer)
    return Cost({"search": primitives(layer, cmps=symbols["|x|"] * symbols["S"])})


@formula("histogram", symbols=_elements)
def histogram(layer: Layer) -> Cost:
    """place: |x| adds, |x| muls, 2·|x| cmps, |x| casts; count: |x| ints

    (x − lower)·(bins/width), rounded down, and two comparisons with the borders; then the bin goes up by one. An
    integer is its own bin, with the two comparisons.
    """
    x = layer.x.numel
    if on_integers(layer):
        return Cost({"place": Counts(ints=2 * x), "count": Counts(ints=x)})
    return Cost({"place": Counts(adds=x, muls=x, cmps=2 * x, casts=x), "count": Counts(ints=x)})


FORMULAS = (sort, topk, mode, unique, nonzero, bucketize, histogram)
