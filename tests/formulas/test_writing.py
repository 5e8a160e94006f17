"""Writes that combine, against loops that write."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import PluginError
from multiprof.formulas.writing import FORMULAS
from multiprof.ir import WRITE, Layer, TensorSpec
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import maximum, minimum, positions

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
COMBINE: dict[str, tuple[str, Callable[[Counted, Counted], Counted]]] = {
    "sum": ("sum", lambda a, b: a + b),
    "mean": ("sum", lambda a, b: a + b),
    "prod": ("prod", lambda a, b: a * b),
    "amax": ("extreme", maximum),
    "amin": ("extreme", minimum),
}
REDUCE = st.sampled_from(list(COMBINE))


class Writer:
    """A tensor that takes in values one by one, and for a mean how many there were."""

    def __init__(self, tally: Tally, y: Array, reduce: str) -> None:
        self.tally, self.y, self.reduce = tally, y, reduce
        self.counts = {index: tally.scalar(0, integer=True) for index in y.indices()}

    def write(self, index: tuple[int, ...], value: Counted) -> None:
        term, combine = COMBINE[self.reduce]
        with self.tally.term(term):
            self.y[index] = combine(self.y[index], value)
        if self.reduce == "mean":
            with self.tally.term("mean"):
                self.counts[index] = self.counts[index] + 1

    def finish(self) -> None:
        if self.reduce == "mean":
            with self.tally.term("mean"):
                for index in self.y.indices():
                    self.y[index] = self.y[index] / max(self.counts[index].value, 1)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), REDUCE)
def test_scatter_reduce(make: Make, agree: Agree, rows: int, width: int, written: int, reduce: str) -> None:
    tally = Tally()
    writer = Writer(tally, tally.array((rows, width)), reduce)
    src = tally.array((written, width))
    for i, j in src.indices():
        writer.write(((3 * i + j) % rows, j), src[i, j])
    writer.finish()
    shapes = {"x": (rows, width), "indices": (written, width), "src": (written, width)}
    layer = make("scatter_reduce", shapes, {"y": (rows, width)}, axis=0, reduce=reduce)
    agree(TABLE["scatter_reduce"], layer, tally)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), REDUCE)
def test_index_reduce_along_one_axis(make: Make, agree: Agree, rows: int, width: int, named: int, reduce: str) -> None:
    """x[:, i] takes in src, for positions that may repeat."""
    tally = Tally()
    writer = Writer(tally, tally.array((width, rows)), reduce)
    src = tally.array((width, named))
    for i, j in src.indices():
        writer.write((i, (j * j) % rows), src[i, j])
    writer.finish()
    shapes = {"x": (width, rows), "x0": (named,), "src": (width, named)}
    agree(TABLE["index_reduce"], make("index_reduce", shapes, {"y": (width, rows)}, axes=(1,), reduce=reduce), tally)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 3), REDUCE)
def test_segment_reduce(make: Make, agree: Agree, segments: list[int], width: int, reduce: str) -> None:
    tally = Tally()
    start = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -9e9, "amin": 9e9}[reduce]
    writer = Writer(tally, tally.array((4, width), fill=start), reduce)
    x = tally.array((len(segments), width))
    for i, j in x.indices():
        writer.write((segments[i], j), x[i, j])
    writer.finish()
    if reduce == "amax":
        for s, j in positions((4, width)):
            met = [x[i, j].value for i, segment in enumerate(segments) if segment == s]
            assert writer.y[s, j].value == max(met, default=-9e9)
    shapes = {"x": (len(segments), width), "segments": (len(segments),)}
    agree(TABLE["segment_reduce"], make("segment_reduce", shapes, {"y": (4, width)}, reduce=reduce), tally)


def test_a_single_value_is_added_everywhere_it_is_spread(make: Make) -> None:
    layer = make("index_reduce", {"x": (2, 16, 8), "src": ()}, {"y": (2, 16, 8)}, axes=(1,), reduce="sum")
    layer.inputs["x0"] = TensorSpec((3,), "int64", "i")
    assert TABLE["index_reduce"].price(layer) == Cost({"sum": Counts(adds=2 * 3 * 8)})
    layer.inputs["x0"] = TensorSpec((2, 16), "bool", "mask")
    layer.attrs["axes"] = (0,)
    assert TABLE["index_reduce"].price(layer) == Cost({"sum": Counts(adds=2 * 16 * 8)})


def test_integers_count_apart(make: Make) -> None:
    layer = make("scatter_reduce", {"x": (9,), "indices": (5,), "src": (5,)}, {"y": (9,)}, "int64", reduce="sum")
    assert TABLE["scatter_reduce"].price(layer).counts == Counts(ints=5)


def test_the_part_is_read_and_written(make: Make) -> None:
    layer = make("scatter_reduce", {"x": (100, 4), "src": (2, 4)}, {"y": (100, 4)}, axis=0, reduce="sum")
    layer.inputs["indices"] = TensorSpec((2, 4), "int64", "indices")
    layer.aliases = (("y", "x", WRITE),)
    # 8 indices of 8 bytes, 8 source elements, 8 elements read and written
    assert TABLE["scatter_reduce"].traffic(layer) == (8 * 8 + 8 * 4 + 8 * 4, 8 * 4)
    layer.aliases = ()
    assert TABLE["scatter_reduce"].traffic(layer) == (8 * 8 + 8 * 4 + 8 * 4 + 400 * 4, 400 * 4 + 8 * 4)


@pytest.mark.parametrize("op", TABLE)
@pytest.mark.parametrize("attrs", [{}, {"reduce": "median"}])
def test_a_reduction_must_be_named(make: Make, op: str, attrs: dict[str, str]) -> None:
    shapes = {"x": (4,), "indices": (4,), "segments": (4,), "x0": (4,), "src": (4,)}
    with pytest.raises(PluginError, match="one of sum, mean, prod, amax, amin"):
        TABLE[op].price(make(op, shapes, {"y": (4,)}, **attrs))
