"""Linear, matmul and einsum against naive loops, and the laws they obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Counts
from multiprof.errors import PluginError, UnknownDimensionError
from multiprof.formulas.linear import einsum, linear, matmul, sparse_matmul
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally, loops
from multiprof.testing.counting import nonzero

Shape = tuple[int, ...]
small = st.integers(1, 4)


def linear_layer(x: Shape, out_features: int, bias: bool = True) -> Layer:
    inputs = {"x": TensorSpec(x), "weight": TensorSpec((out_features, x[-1]), name="w")}
    if bias:
        inputs["bias"] = TensorSpec((out_features,), name="b")
    y = TensorSpec((*x[:-1], out_features))
    return Layer("linear", "linear", inputs, {"y": y}, {"in_features": x[-1], "out_features": out_features})


def matmul_layer(a: Shape, b: Shape, y: Shape) -> Layer:
    inputs = {"x0": TensorSpec(a), "x1": TensorSpec(b)}
    return Layer("matmul", "matmul", inputs, {"y": TensorSpec(y)}, {"contracted": a[-1]})


def einsum_layer(equation: str, y: Shape, *operands: Shape) -> Layer:
    inputs = {f"x{i}": TensorSpec(shape) for i, shape in enumerate(operands)}
    return Layer("einsum", "einsum", inputs, {"y": TensorSpec(y)}, {"equation": equation})


@given(st.lists(small, min_size=1, max_size=4).map(tuple), small, st.booleans())
def test_linear_equals_loops(x_shape: Shape, out_features: int, with_bias: bool) -> None:
    tally = Tally()
    x, weight = tally.array(x_shape), tally.array((out_features, x_shape[-1]))
    bias = tally.array((out_features,)) if with_bias else None
    y = loops.linear(tally, x, weight, bias)
    layer = linear_layer(x_shape, out_features, with_bias)
    assert layer.y.shape == y.shape
    assert linear.price(layer).terms == tally.terms


@given(st.lists(st.tuples(small, st.sampled_from(["both", "left", "right"])), max_size=2), small, small, small)
def test_matmul_equals_loops_with_broadcast_leading_dimensions(
    lead: list[tuple[int, str]], rows: int, inner: int, columns: int
) -> None:
    tally = Tally()
    a = tally.array((*(1 if side == "right" else n for n, side in lead), rows, inner))
    b = tally.array((*(1 if side == "left" else n for n, side in lead), inner, columns))
    y = loops.matmul(tally, a, b)
    assert y.shape == (*(n for n, _ in lead), rows, columns)
    assert matmul.price(matmul_layer(a.shape, b.shape, y.shape)).terms == tally.terms


def test_matmul_broadcasts_a_missing_dimension_too() -> None:
    tally = Tally()
    y = loops.matmul(tally, tally.array((3, 2, 4)), tally.array((4, 5)))
    assert matmul.price(matmul_layer((3, 2, 4), (4, 5), y.shape)).terms == tally.terms
    assert matmul.price(matmul_layer((3, 2, 4), (4, 5), y.shape)).macs == 3 * 2 * 5 * 4


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, tuple[Shape, ...]]:
    """A random explicit equation of one or two operands, and shapes that fit it; indices may repeat and broadcast."""
    names = [draw(st.text("abcD", min_size=0, max_size=3)) for _ in range(draw(st.integers(1, 2)))]
    letters = sorted(set("".join(names)))
    out = "".join(draw(st.permutations([letter for letter in letters if draw(st.booleans())])))
    sizes = {letter: draw(st.integers(1, 3)) for letter in letters}
    shapes = []
    for name in names:
        here = {letter: 1 if draw(st.integers(0, 3)) == 0 else sizes[letter] for letter in letters}
        shapes.append(tuple(here[letter] for letter in name))
    return f"{','.join(names)}->{out}", tuple(shapes)


@given(equations())
def test_einsum_equals_loops(case: tuple[str, tuple[Shape, ...]]) -> None:
    equation, shapes = case
    tally = Tally()
    y = loops.einsum(tally, equation, *(tally.array(shape) for shape in shapes))
    assert nonzero(einsum.price(einsum_layer(equation, y.shape, *shapes)).terms) == tally.terms


@pytest.mark.parametrize(
    ("equation", "shapes", "y", "terms"),
    [
        # a batched matrix product: 2·3·5 outputs of 4 multiply-adds
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5)), (2, 3, 5), {"dot": Counts(macs=120, dots=30)}),
        # the outer product sums nothing: one multiplication an output
        ("i,j->ij", ((3,), (4,)), (3, 4), {"product": Counts(muls=12)}),
        ("ij,ij->ij", ((3, 4), (3, 4)), (3, 4), {"product": Counts(muls=12)}),
        # one operand: |x| − |y| additions
        ("ij->i", ((3, 4),), (3,), {"sum": Counts(adds=12 - 3)}),
        ("ij->", ((3, 4),), (), {"sum": Counts(adds=12 - 1)}),
        # the trace of 4×4 adds its 4 diagonal elements
        ("ii->", ((4, 4),), (), {"sum": Counts(adds=3)}),
        # a diagonal or a transposition does nothing
        ("ii->i", ((4, 4),), (4,), {}),
        ("ij->ji", ((3, 4),), (4, 3), {}),
        # an index of size 1 broadcasts against the other operand's size
        ("ij,jk->ik", ((2, 1), (5, 3)), (2, 3), {"dot": Counts(macs=30, dots=6)}),
        ("ij,jk->ik", ((2, 5), (1, 3)), (2, 3), {"dot": Counts(macs=30, dots=6)}),
    ],
)
def test_einsum_by_hand(equation: str, shapes: tuple[Shape, ...], y: Shape, terms: dict[str, Counts]) -> None:
    assert nonzero(einsum.price(einsum_layer(equation, y, *shapes)).terms) == terms


@pytest.mark.parametrize(("equation", "shapes"), [("i,j->ij", ((2,), (3,))), ("ij->i", ((2, 3),))])
def test_products_and_sums_of_integers_are_integer_operations(equation: str, shapes: tuple[Shape, ...]) -> None:
    tally = Tally()
    y = loops.einsum(tally, equation, *(tally.array(shape, integer=True) for shape in shapes))
    layer = einsum_layer(equation, y.shape, *shapes)
    for tensors in (layer.inputs, layer.outputs):
        tensors |= {role: TensorSpec(spec.shape, "int64") for role, spec in tensors.items()}
    assert einsum.price(layer).terms == tally.terms
    assert einsum.price(layer).flops == 0


def test_a_sum_over_nothing_adds_nothing() -> None:
    assert nonzero(einsum.price(einsum_layer("ij->i", (3,), (3, 0))).terms) == {}


def test_einsum_of_three_operands_must_be_split_by_the_adapter() -> None:
    layer = einsum_layer("ab,bc,cd->ad", (2, 2), (2, 2), (2, 2), (2, 2))
    with pytest.raises(PluginError, match="split"):
        einsum.price(layer)


@pytest.mark.parametrize("equation", ["ij,jk", "...i->...", "ij -> ji", "ij->ik"])
def test_a_bad_equation_is_named(equation: str) -> None:
    with pytest.raises(PluginError, match="explicit einsum equation"):
        einsum.price(einsum_layer(equation, (2, 2), (2, 2)))


def test_a_missing_equation_is_named() -> None:
    layer = einsum_layer("ij->i", (2,), (2, 3))
    del layer.attrs["equation"]
    with pytest.raises(PluginError, match="einsum requires the attribute equation"):
        einsum.price(layer)


def test_an_equation_that_does_not_fit_its_operands_is_named() -> None:
    with pytest.raises(PluginError, match="does not fit"):
        einsum.price(einsum_layer("ijk->i", (2,), (2, 3)))


def test_einsum_over_a_data_dependent_index_is_unknown() -> None:
    layer = einsum_layer("ij,jk->ik", (2, 3), (2, 4), (4, 3))
    layer.inputs["x0"] = TensorSpec((None, 4))
    with pytest.raises(UnknownDimensionError):
        einsum.price(layer)


@given(st.integers(1, 9), small, small, small)
def test_cost_is_linear_in_the_batch(batch: int, rows: int, inner: int, columns: int) -> None:
    one = linear.price(linear_layer((1, rows, inner), columns))
    assert linear.price(linear_layer((batch, rows, inner), columns)) == one * batch

    def product(n: int) -> Layer:
        return matmul_layer((n, rows, inner), (n, inner, columns), (n, rows, columns))

    assert matmul.price(product(batch)) == matmul.price(product(1)) * batch


@given(small, small, small, small)
def test_matmul_linear_and_einsum_agree(batch: int, rows: int, inner: int, columns: int) -> None:
    by_weight = linear.price(linear_layer((batch, rows, inner), columns, bias=False))
    by_matmul = matmul.price(matmul_layer((batch, rows, inner), (inner, columns), (batch, rows, columns)))
    by_einsum = einsum.price(
        einsum_layer("bij,jk->bik", (batch, rows, columns), (batch, rows, inner), (inner, columns))
    )
    assert by_weight == by_matmul == by_einsum


def test_the_weight_may_lie_in_any_order() -> None:
    layer = linear_layer((2, 7, 300), 100)
    turned = linear_layer((2, 7, 300), 100)
    turned.inputs["weight"] = TensorSpec((300, 100), name="w")  # as Keras and HF's Conv1D store it
    assert linear.price(layer) == linear.price(turned)


def test_missing_and_unknown_sizes_are_told_apart() -> None:
    layer = linear_layer((2, 4), 3)
    layer.attrs["in_features"] = None
    with pytest.raises(UnknownDimensionError, match="in_features"):
        linear.price(layer)
    del layer.attrs["in_features"]
    with pytest.raises(PluginError, match="in_features"):
        linear.price(layer)


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=9), small)
def test_a_sparse_matrix_multiplies_what_it_stores(places: set[tuple[int, int]], columns: int) -> None:
    """A 5 × 4 matrix in coordinates; its two indices of 8 bytes are read with each of its elements of 4."""
    tally = Tally()
    a = {place: tally.scalar(1.0 + sum(place)) for place in places}
    b = tally.array((4, columns))
    with tally.term("dot"):
        for i in range(5):
            for j in range(columns):
                tally.dot((value, b[k, j]) for (row, k), value in a.items() if row == i)
    inputs = {"x0": TensorSpec((5, 4), name="a"), "x1": TensorSpec((4, columns), name="b")}
    attrs = {"nnz": len(places), "columns": columns, "index_bytes": 16 * len(places)}
    layer = Layer("mm", "sparse_matmul", inputs, {"y": TensorSpec((5, columns))}, attrs)
    assert sparse_matmul.price(layer).terms == tally.terms
    assert sparse_matmul.traffic(layer) == (len(places) * (4 + 16) + 4 * 4 * columns, 5 * columns * 4)
