"""dot_general and what is made of it, against XLA's own count and closed forms."""

from __future__ import annotations

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

import multiprof
from multiprof.ops import family

OLD = jax.__version_info__ < (0, 5)


def struct(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@st.composite
def products(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], Any]:
    """Shapes and dimension numbers of a dot_general, every dimension in a random place."""
    size = st.integers(1, 4)
    batch = draw(st.lists(size, max_size=2))
    contracted = draw(st.lists(size, min_size=1, max_size=2))
    left, right = draw(st.lists(size, max_size=2)), draw(st.lists(size, max_size=2))
    shapes, places = [], []
    for rest in (left, right):
        dims = [*(("b", i) for i in range(len(batch))), *(("c", i) for i in range(len(contracted)))]
        dims += [("r", i) for i in range(len(rest))]
        order = draw(st.permutations(dims))
        sizes = {"b": batch, "c": contracted, "r": rest}
        shapes.append(tuple(sizes[kind][i] for kind, i in order))
        places.append([tuple(order.index((kind, i)) for i in range(len(sizes[kind]))) for kind in ("c", "b")])
    numbers = ((places[0][0], places[1][0]), (places[0][1], places[1][1]))
    return shapes[0], shapes[1], numbers


@given(products())
def test_dot_general_agrees_with_xla_and_its_definition(product: Any) -> None:
    a, b, numbers = product

    def model(x: Any, params: Any) -> Any:
        return lax.dot_general(x, params, numbers)

    x, w = struct(*a), struct(*b)
    report = multiprof.analyze(model, [x, w], framework="jax")
    flops = jax.jit(model).lower(x, w).cost_analysis()["flops"]
    assert 2 * report.macs == flops
    (layer,) = report.graph.layers
    assert layer.op == "linear"
    left, right = np.arange(prod(a)).reshape(a), np.arange(prod(b)).reshape(b)
    operands = {"x": left, "params": right}
    x, w = operands[layer.inputs["x"].name], operands[layer.inputs["weight"].name]
    equation = layer.attrs.get("equation", "...i,oi->...o")
    assert np.array_equal(np.einsum(equation, x, w), by_hand(left, right, numbers))


def by_hand(a: np.ndarray, b: np.ndarray, numbers: Any) -> np.ndarray:
    """dot_general as its definition says: batch first, then what is left of a, then what is left of b."""
    (contract_a, contract_b), (batch_a, batch_b) = numbers
    rest_a = [i for i in range(a.ndim) if i not in (*contract_a, *batch_a)]
    rest_b = [i for i in range(b.ndim) if i not in (*contract_b, *batch_b)]
    size = prod(a.shape[i] for i in contract_a)
    batch = [a.shape[i] for i in batch_a]
    left = a.transpose((*batch_a, *rest_a, *contract_a)).reshape(prod(batch), -1, size)
    right = b.transpose((*batch_b, *contract_b, *rest_b)).reshape(prod(batch), size, -1)
    shape = (*batch, *(a.shape[i] for i in rest_a), *(b.shape[i] for i in rest_b))
    return (left @ right).reshape(shape)


def test_a_weight_on_either_side_is_linear(analyze: Any) -> None:
    right = analyze(lambda params, x: x @ params, [(8, 5), (4, 8)])
    left = analyze(lambda params, x: params @ x, [(5, 8), (8, 4)])
    for report in (right, left):
        (layer,) = report.graph.layers
        assert layer.op == "linear"
        assert (layer.attrs["in_features"], layer.attrs["out_features"]) == (8, 5)
        assert report.macs == 4 * 8 * 5


def test_a_weight_computed_from_weights_is_one(analyze: Any) -> None:
    """Transposed, cast, normalised: it is prepared, and what meets it is linear."""

    def model(params: Any, x: Any) -> Any:
        w = params["v"] / jnp.linalg.norm(params["v"], axis=0) * params["g"]
        return x @ w.T.astype(jnp.bfloat16)

    report = analyze(model, [{"v": struct(5, 8), "g": struct(8)}, struct(4, 8, dtype="bfloat16")])
    assert [row.op for row in report.layers if row.state not in ("prepared", "free")] == ["linear"]
    assert report.macs == 4 * 8 * 5


def test_two_activations_are_a_matmul(analyze: Any) -> None:
    report = analyze(lambda a, b: a @ b, [(2, 3, 4, 8), (2, 3, 8, 5)])
    (layer,) = report.graph.layers
    assert layer.op == "matmul"
    assert report.macs == 2 * 3 * 4 * 8 * 5


def test_einsum_takes_the_path_that_jax_takes(analyze: Any) -> None:
    """ij,jk,kl with a long j and a short k: jax contracts the first pair first."""
    report = analyze(lambda a, b, c: jnp.einsum("ij,jk,kl->il", a, b, c), [(4, 50), (50, 2), (2, 30)])
    assert report.macs == 4 * 50 * 2 + 4 * 2 * 30
    assert {family(layer.op) for layer in report.graph.layers if layer.op != "transpose"} == {"matmul"}


def test_no_contracted_index_is_multiplications(analyze: Any) -> None:
    report = analyze(lambda a, b: jnp.outer(a, b), [(6,), (7,)])
    assert (report.macs, report.flops) == (0, 42)


def test_ragged_dot_is_a_linear_layer_in_groups(analyze: Any) -> None:
    """Each of the 10 rows meets the 6×5 matrix of its group."""

    def model(params: Any, x: Any, sizes: Any) -> Any:
        return lax.ragged_dot(x, params, sizes)

    report = analyze(model, [struct(3, 6, 5), struct(10, 6), struct(3, dtype="int32")])
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs["groups"]) == ("linear", 3)
    assert report.macs == 10 * 6 * 5


def test_dense_general_over_heads_takes_its_bias_in(analyze: Any) -> None:
    def model(params: Any, x: Any) -> Any:
        return jnp.einsum("btd,dhk->bthk", x, params["kernel"]) + params["bias"]

    report = analyze(model, [{"kernel": struct(32, 4, 8), "bias": struct(4, 8)}, (2, 5, 32)])
    (layer,) = report.graph.layers
    assert layer.attrs["out_features"] == 32
    assert layer.attrs["equation"].replace(" ", "") != ""
    assert report.flops == 2 * (2 * 5 * 32 * 32) + 2 * 5 * 32


@pytest.mark.skipif(OLD, reason="jax.nn.dot_product_attention came after JAX 0.4.30")
@pytest.mark.parametrize("causal", [False, True])
def test_dot_product_attention(analyze: Any, causal: bool) -> None:
    """L_q = L_k = 128, D = 64 in total: 2·128·128·64, whatever the heads (COUNTING.md); the mask is counted in full."""
    for heads in (1, 4):
        shape = (1, 128, heads, 64 // heads)
        model = lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=causal)  # noqa: E731
        report = analyze(model, [shape] * 3)
        assert report.macs == 2_097_152
        assert "softmax" in [layer.op for layer in report.graph.layers]


@pytest.mark.skipif(OLD, reason="jax.nn.dot_product_attention came after JAX 0.4.30")
def test_grouped_query_attention(analyze: Any) -> None:
    shape = (1, 16, 8, 4)
    report = analyze(jax.nn.dot_product_attention, [shape, (1, 16, 2, 4), (1, 16, 2, 4)])
    assert report.macs == 8 * 16 * 16 * (4 + 4)


def test_mixed_types_name_the_accumulator(analyze: Any) -> None:
    def model(params: Any, x: Any) -> Any:
        return lax.dot(x, params, preferred_element_type=jnp.int32)

    report = analyze(model, [struct(8, 4, dtype="int8"), struct(2, 8, dtype="int8")])
    assert report.macs == 2 * 8 * 4
    (row,) = report.layers
    assert row.cost.dot_dtypes == ("int8", "int8", "int32")
