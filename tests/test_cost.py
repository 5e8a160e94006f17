"""Counts and costs add up; traffic by hand; the three ways to write a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import PRIMITIVES, Cost, Counts, elementwise, formula, free, index_formulas, moved_bytes
from multiprof.errors import UnknownDimensionError
from multiprof.ir import Layer, Quant, TensorSpec

numbers = st.integers(0, 10**30)
counts = st.builds(Counts, **dict.fromkeys(PRIMITIVES, numbers))


@given(counts, counts, st.integers(0, 10**6))
def test_counts_add_and_multiply_primitive_by_primitive(a: Counts, b: Counts, factor: int) -> None:
    for name in PRIMITIVES:
        assert getattr(a + b, name) == getattr(a, name) + getattr(b, name)
        assert getattr(a * factor, name) == getattr(factor * a, name) == getattr(a, name) * factor


def test_flops_count_a_multiply_add_twice_and_neither_integers_nor_casts() -> None:
    assert Counts(macs=1, dots=10**6, adds=2, muls=3, divs=4, cmps=5, exps=6, ints=10**7, casts=10**8).flops == 22
    assert not Counts()
    assert Counts(casts=1)


@given(st.dictionaries(st.text(max_size=3), counts, max_size=4), st.integers(0, 9))
def test_a_cost_is_the_sum_of_its_terms(terms: dict[str, Counts], factor: int) -> None:
    cost = Cost(terms, ("float16", "float16", "float32"))
    for name in PRIMITIVES:
        assert getattr(cost.counts, name) == sum(getattr(term, name) for term in terms.values())
    assert cost.macs == cost.counts.macs
    assert cost.flops == cost.counts.flops
    assert (cost * factor).counts == cost.counts * factor
    assert (cost * factor).dot_dtypes == cost.dot_dtypes


X = TensorSpec((2, 3), "float32", "x")  # 24 bytes
H = TensorSpec((2, 3), "float16", "h")  # 12 bytes


def test_traffic_is_every_input_once_and_every_output_once() -> None:
    assert moved_bytes(Layer("l", "add", {"x0": X, "x1": H}, {"y": X})) == (36, 24)
    assert moved_bytes(Layer("l", "fill", {}, {"y": H})) == (0, 12)


def test_a_view_moves_nothing() -> None:
    assert moved_bytes(Layer("l", "reshape", {"x": X}, {"y": X}, aliases=(("y", "x", "view"),))) == (0, 0)
    both = (("y0", "x", "view"), ("y1", "x", "view"))
    assert moved_bytes(Layer("l", "split", {"x": X}, {"y0": H, "y1": H}, aliases=both)) == (0, 0)
    # one view and one tensor of its own: the input is read for the latter
    assert moved_bytes(Layer("l", "split", {"x": X}, {"y0": H, "y1": H}, aliases=both[:1])) == (24, 12)


def test_a_write_moves_what_it_writes_and_not_what_shares_its_memory() -> None:
    aliases = (("y", "x", "write"), ("alias0", "alias0", "write"))
    layer = Layer("l", "relu", {"x": X, "alias0": H}, {"y": X, "alias0": H}, aliases=aliases)
    assert moved_bytes(layer) == (24, 24)


def test_traffic_of_an_unknown_size_is_unknown() -> None:
    with pytest.raises(UnknownDimensionError):
        moved_bytes(Layer("l", "relu", {"x": TensorSpec((None,))}, {"y": X}))


def test_a_formula_is_a_function_with_its_mathematics_in_the_docstring() -> None:
    @formula("toy.twice", "toy.thrice", source="a book")
    def twice(layer: Layer) -> Cost:
        """double: 2·|y| adds

        What else there is to say.
        """
        return Cost({"double": Counts(adds=2 * layer.y.numel)})

    assert twice.ops == ("toy.twice", "toy.thrice")
    assert twice.mathematics == "double: 2·|y| adds"
    assert twice.details == "What else there is to say."
    assert twice.source == "a book"
    assert twice.price(Layer("l", "toy.twice", {"x": X}, {"y": X})) == Cost({"double": Counts(adds=12)})
    assert twice.supplied_by("me").provider == "me"
    assert not twice.provider


def test_an_elementwise_formula_counts_per_output_element() -> None:
    sigmoid = elementwise("sigmoid", adds=2, exps=1, divs=1)
    assert sigmoid.mathematics == "elementwise: 2·|y| adds, |y| exps, |y| divs"
    layer = Layer("l", "sigmoid", {"x": X}, {"y": X})
    assert sigmoid.price(layer).counts == Counts(adds=12, exps=6, divs=6)
    assert sigmoid.symbols is not None
    assert sigmoid.symbols(layer) == {"|y|": 6}


def test_integer_arithmetic_is_counted_apart() -> None:
    add = elementwise("add", adds=1)
    whole, real = TensorSpec((6,), "int64"), TensorSpec((6,), "float32")
    quantised = TensorSpec((6,), "int8", quant=Quant((0.1,), (0,)))

    def price(x: TensorSpec, y: TensorSpec) -> Counts:
        return add.price(Layer("l", "add", {"x0": x, "x1": x}, {"y": y})).counts

    assert price(whole, whole) == Counts(ints=6)
    assert price(real, real) == Counts(adds=6)
    assert price(whole, real) == Counts(adds=6)
    assert price(quantised, quantised) == Counts(adds=6)


def test_a_free_formula_has_no_terms_and_a_reason() -> None:
    reshape = free("reshape", reason="a view")
    assert reshape.free == "a view"
    assert reshape.price(Layer("l", "reshape", {"x": X}, {"y": X})) == Cost()


def test_two_formulas_for_an_op_stand_side_by_side() -> None:
    a, b = free("one", "two", reason="a"), free("two", reason="b")
    assert index_formulas([a, b]) == {"one": [a], "two": [a, b]}
