"""Order and selection against the algorithms, run on the inputs that cost them most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.sorting import FORMULAS, merge_sort, tree_selection
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import Index

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}


def sorted_by_merging(items: Sequence[Counted]) -> list[Counted]:
    if len(items) < 2:
        return list(items)
    half = (len(items) + 1) // 2
    left, right = sorted_by_merging(items[:half]), sorted_by_merging(items[half:])
    result = []
    while left and right:
        result.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
    return result + left + right


def hardest(values: list[int]) -> list[int]:
    """An order of sorted values in which every merge takes turns between its halves, up to the last element."""
    if len(values) < 2:
        return values
    return hardest(values[::2]) + hardest(values[1::2])


def scalars(tally: Tally, values: Sequence[int]) -> list[Counted]:
    return [tally.scalar(float(value)) for value in values]


def comparisons(algorithm: Callable[[list[Counted]], object], values: Sequence[int]) -> int:
    tally = Tally()
    with tally.term("sort"):
        algorithm(scalars(tally, values))
    return tally.cost.counts.cmps


@pytest.mark.parametrize("n", range(1, 8))
def test_no_order_takes_merge_sort_more(n: int) -> None:
    assert max(comparisons(sorted_by_merging, order) for order in permutations(range(n))) == merge_sort(n)


@given(st.integers(1, 4), st.integers(0, 40), st.booleans())
def test_sort(make: Make, agree: Agree, lines: int, n: int, positions: bool) -> None:
    tally = Tally()
    for _ in range(lines):
        with tally.term("sort"):
            result = sorted_by_merging(scalars(tally, hardest(list(range(n)))))
        assert [item.value for item in result] == list(range(n))
    layer = make("sort", {"x": (lines, n)}, {"y": (lines, n)}, axis=1, n=n)
    if positions:  # an argsort: positions alone
        layer.outputs = {"indices": TensorSpec((lines, n), "int64", "indices")}
    agree(TABLE["sort"], layer, tally)


def selected(items: Sequence[Counted], k: int) -> list[Counted]:
    """The k largest in order: of the trees of what is compared already the two smallest meet, until one is left."""
    number = len(items)
    trees = [(1, i, (item, [])) for i, item in enumerate(items)]
    heapify(trees)
    found = []
    for _ in range(k):
        while len(trees) > 1:
            (size, _, a), (other, _, b) = heappop(trees), heappop(trees)
            winner, beaten = (a, (other, b)) if a[0] > b[0] else (b, (size, a))
            winner[1].append(beaten)
            heappush(trees, (size + other, number, winner))
            number += 1
        _, _, (largest, below) = trees.pop()
        found.append(largest)
        for size, tree in below:
            heappush(trees, (size, number, tree))
            number += 1
    return found


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(1, 7) for k in range(1, n + 1)])
def test_topk(make: Make, n: int, k: int) -> None:
    worst = 0
    for order in permutations(range(n)):
        tally = Tally()
        with tally.term("select"):
            found = selected(scalars(tally, order), k)
        assert [item.value for item in found] == list(range(n - 1, n - k - 1, -1))
        worst = max(worst, tally.cost.counts.cmps)
    layer = make("topk", {"x": (3, n)}, {"y": (3, k)}, axis=1, n=n, k=k)
    assert TABLE["topk"].price(layer) == Cost({"select": Counts(cmps=3 * worst)})


def test_selection_from_one_to_all() -> None:
    # the largest of n takes n − 1 comparisons, all of them in order what sorting takes
    assert [tree_selection(1000, 1), tree_selection(1000, 1000)] == [999, merge_sort(1000)]
    # 1000·10 − 1024 + 1
    assert merge_sort(1000) == 8977
    # the best 5 of 1000 classes: 999 − 4 + Σ⌈log₂ j⌉ over 997 … 1000 = 995 + 4·10
    assert tree_selection(1000, 5) == 1035
    # more than there are: all
    assert tree_selection(3, 10) == merge_sort(3)
    assert [tree_selection(0, 0), tree_selection(5, 0), merge_sort(0), merge_sort(1)] == [0, 0, 0, 0]


@pytest.mark.parametrize("op", ["sort", "topk", "unique"])
def test_integers_count_apart(make: Make, op: str) -> None:
    layer = make(op, {"x": (2, 8)}, {"y": (2, 8)}, "int64", axis=1, n=8, k=8)
    counts = TABLE[op].price(layer).counts
    assert counts.flops == 0 < counts.ints


@pytest.mark.parametrize("rows", [False, True])
@given(values=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_unique(make: Make, rows: bool, values: list[int]) -> None:
    """Never more than the figure, whatever the values; a row of two compares both elements at most."""
    tally = Tally()
    with tally.term("sort"):
        items = sorted_by_merging(scalars(tally, values))
    with tally.term("neighbours"):
        for i in range(1, len(items)):
            items[i - 1] < items[i]  # noqa: B015  # counted
    n = len(values)
    shape, axis = ((n, 2), 0) if rows else ((n,), None)
    terms = TABLE["unique"].price(make("unique", {"x": shape}, {"y": shape}, axis=axis)).terms
    each = 2 if rows else 1
    assert terms["sort"].cmps >= each * tally.terms.get("sort", Counts()).cmps
    assert terms["neighbours"].cmps == each * (n - 1)
    assert terms["sort"].cmps == each * comparisons(sorted_by_merging, hardest(list(range(n))))


@given(st.lists(st.integers(0, 4), max_size=3).map(tuple))
def test_nonzero(make: Make, shape: Index) -> None:
    tally = Tally()
    with tally.term("compare"):
        x = tally.array(shape)
        for index in x.indices():
            x[index] < 0  # noqa: B015  # a comparison is a comparison
    layer = make("nonzero", {"x": shape}, {"y": (len(shape), None)})
    layer.outputs["y"].dtype = "int64"
    assert TABLE["nonzero"].price(layer).counts == (tally.cost.counts if tally.terms else Counts())
    layer.inputs["x"].dtype = "bool"
    assert TABLE["nonzero"].price(layer).flops == 0


@pytest.mark.parametrize("count", range(18))
def test_bucketize(make: Make, count: int) -> None:
    """Every value, between and beside the boundaries: the longest search is the figure."""
    boundaries = [2.0 * i for i in range(count)]
    longest = 0
    for value in range(-1, 2 * count + 1):
        tally = Tally()
        low, high = 0, count
        with tally.term("search"):
            while low < high:
                middle = (low + high) // 2
                if tally.scalar(value) < boundaries[middle]:
                    high = middle
                else:
                    low = middle + 1
        assert low == sum(b <= value for b in boundaries)
        longest = max(longest, tally.cost.counts.cmps)
    layer = make("bucketize", {"x": (3, 5), "boundaries": (count,)}, {"y": (3, 5)})
    assert TABLE["bucketize"].price(layer).counts == Counts(cmps=15 * longest)


@given(st.integers(0, 20))
def test_histogram(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    x = tally.array((n,))
    bins = [tally.scalar(0, integer=True) for _ in range(4)]
    for index in x.indices():
        with tally.term("place"):
            inside = x[index] >= -1.0, x[index] <= 1.0
            place = ((x[index] - -1.0) * 2.0).cast(int)
        assert all(inside)
        with tally.term("count"):
            bins[int(place.value)] = bins[int(place.value)] + 1
    assert sum(item.value for item in bins) == n
    layer = make("histogram", {"x": (n,)}, {"y": (4,)})
    layer.outputs["y"].dtype = "int32"
    agree(TABLE["histogram"], layer, tally)
    layer.inputs["x"].dtype = "int32"
    assert TABLE["histogram"].price(layer).counts == Counts(ints=3 * n)


@given(st.integers(1, 3), st.integers(1, 20))
def test_mode(make: Make, lines: int, n: int) -> None:
    """Sorted lines, their neighbours compared, and a counter for every element."""
    tally = Tally()
    for _ in range(lines):
        with tally.term("sort"):
            ordered = sorted_by_merging(scalars(tally, hardest(list(range(n)))))
        longest = run = 0
        for i, item in enumerate(ordered):
            same = False
            if i:
                with tally.term("neighbours"):
                    same = item <= ordered[i - 1]
            with tally.term("runs"):
                tally.count("ints")
            run = run + 1 if same else 1
            longest = max(longest, run)
        assert longest == 1  # all are different
    layer = make("mode", {"x": (lines, n)}, {"y": (lines,)}, axis=(1,), n=n)
    assert {term: counts for term, counts in TABLE["mode"].price(layer).terms.items() if counts} == tally.terms


def test_rows_with_boundaries_of_their_own(make: Make) -> None:
    """4 rows of 9 boundaries: a binary search among 9 takes at most 4 steps."""
    layer = make("bucketize", {"x": (4, 5), "boundaries": (4, 9)}, {"y": (4, 5)})
    assert TABLE["bucketize"].price(layer).counts == Counts(cmps=4 * 5 * 4)


def test_what_depends_on_values_says_so(make: Make) -> None:
    layer = make("sort", {"x": (3,)}, {"y": (3,)}, n=3)
    assert {op for op, rule in TABLE.items() if rule.bound and rule.bound(layer)} == {
        "sort",
        "topk",
        "mode",
        "unique",
        "bucketize",
    }


def test_what_is_unknown_or_missing_is_said(make: Make) -> None:
    with pytest.raises(UnknownDimensionError, match="n is data-dependent"):
        TABLE["sort"].price(make("sort", {"x": (3, None)}, {"y": (3, None)}, n=None))
    with pytest.raises(PluginError, match="requires the attribute k"):
        TABLE["topk"].price(make("topk", {"x": (3,)}, {"y": (3,)}, n=3))
    with pytest.raises(UnknownDimensionError):
        TABLE["unique"].price(make("unique", {"x": (None,)}, {"y": (None,)}))
