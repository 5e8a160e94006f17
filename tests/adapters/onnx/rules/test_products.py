"""Matrix products and Einstein sums: which layer, how many products, and the letters of transposed operands."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest

from multiprof import ModelError

One = Callable[..., Any]
RNG = np.random.default_rng(5)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def by_equation(layer: Any, operands: dict[str, np.ndarray]) -> np.ndarray:
    """The result of a linear layer, by its own equation."""
    equation = layer.attrs.get("equation", "...i,oi->...o")
    return np.einsum(equation, operands[layer.inputs["x"].name], operands[layer.inputs["weight"].name])


# a, b, contracted size
MATMULS = [
    ((3, 4), (4, 5), 4), ((2, 3, 4), (4, 5), 4), ((2, 3, 4), (2, 4, 5), 4), ((6, 1, 3, 4), (2, 4, 5), 4),
    ((4,), (4, 5), 4), ((3, 4), (4,), 4), ((4,), (4,), 4), ((2, 3, 4), (4,), 4), ((3, 4), (2, 4, 5), 4),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "inner"), MATMULS)
@pytest.mark.parametrize("weights", [[], ["a"], ["b"]])
def test_matmul(one: One, a: tuple[int, ...], b: tuple[int, ...], inner: int, weights: list[str]) -> None:
    operands = {"a": f(*a), "b": f(*b)}
    expected = operands["a"] @ operands["b"]
    model = one("MatMul", operands, weights=weights)
    layer = model.layer
    assert layer.op == ("linear" if weights else "matmul")
    assert layer.y.shape == expected.shape
    assert model.report.macs == expected.size * inner
    if weights:
        assert layer.inputs["weight"].name == weights[0]
        np.testing.assert_allclose(by_equation(layer, operands), expected, rtol=1e-5)
        own = operands[weights[0]].shape
        assert layer.attrs["out_features"] == (1 if len(own) == 1 else own[{"a": -2, "b": -1}[weights[0]]])
    assert model.report.params == (operands[weights[0]].size if weights else 0)


@pytest.mark.parametrize(("ta", "tb"), list(itertools.product((0, 1), repeat=2)))
@pytest.mark.parametrize("weights", [[], ["a"], ["b", "c"], ["b"], ["c"]])
def test_gemm(one: One, ta: int, tb: int, weights: list[str]) -> None:
    """5 × 7 times 7 × 3, with a bias of 3."""
    operands = {"a": f(7, 5) if ta else f(5, 7), "b": f(3, 7) if tb else f(7, 3), "c": f(3)}
    model = one("Gemm", operands, weights=weights, transA=ta, transB=tb)
    report = model.report
    assert report.macs == 5 * 7 * 3
    assert report.flops == 2 * 5 * 7 * 3 + 5 * 3
    layers = {layer.op: layer for layer in model.layers}
    if weights == ["b", "c"]:
        assert model.ops == ["linear"]
        assert list(layers["linear"].inputs) == ["x", "weight", "bias"]
    elif "a" in weights or "b" in weights:
        assert model.ops == ["linear", "add"]
    else:
        assert model.ops == ["transpose"] * (ta + tb) + ["matmul", "add"]
    if "linear" in layers:
        a, b = (operands[n].T if t else operands[n] for n, t in (("a", ta), ("b", tb)))
        np.testing.assert_allclose(by_equation(layers["linear"], operands), a @ b, rtol=1e-5)


def test_a_plain_linear_layer_has_no_equation(one: One) -> None:
    """x·Wᵀ + b is what every framework calls a linear layer."""
    model = one("Gemm", {"x": f(4, 300), "w": f(100, 300), "b": f(100)}, weights=["w", "b"], transB=1)
    assert model.layer.attrs == {"in_features": 300, "out_features": 100}
    assert model.report.macs == 4 * 30_000
    assert model.report.params == 30_100


def test_factors_of_gemm_are_products_of_their_own(one: One) -> None:
    operands = {"a": f(5, 7), "b": f(7, 3), "c": f(5, 3)}
    model = one("Gemm", operands, weights=["b"], alpha=0.5, beta=2.0)
    assert model.ops == ["mul", "linear", "mul", "add"]
    # both factors on 5·3 elements, and the sum
    assert model.report.flops == 2 * 105 + 15 + 15 + 15
    model = one("Gemm", operands, weights=["b", "c"], alpha=1.0, beta=2.0)
    # beta·C is computed ahead of time
    assert model.ops == ["mul", "linear"]
    assert model.report.flops == 2 * 105 + 15
    model = one("Gemm", operands, weights=["b"], beta=0.0)
    assert model.ops == ["linear"]
    model = one("Gemm", {"a": f(5, 7), "b": f(7, 3)}, weights=["b"], alpha=3.0)
    assert (model.ops, model.report.flops) == (["linear", "mul"], 2 * 105 + 15)


def test_products_of_integers(one: One) -> None:
    a, b = np.zeros((2, 3, 4), np.uint8), np.zeros((4, 5), np.int8)
    model = one("MatMulInteger", {"a": a, "b": b}, weights=["b"])
    assert (model.ops, model.report.macs, model.layer.y.dtype) == (["linear"], 2 * 3 * 4 * 5, "int32")


def test_operands_that_do_not_fit_are_errors(one: One) -> None:
    with pytest.raises(ModelError, match="op"):
        _ = one("MatMul", {"a": f(3, 4), "b": f(5, 6)}).layers
    with pytest.raises(ModelError, match="op"):
        _ = one("Gemm", {"a": f(2, 3, 4), "b": f(4, 6)}).layers


# -- ONNX Runtime's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", list(itertools.product((0, 1), repeat=4)))
@pytest.mark.parametrize("weight", [True, False])
def test_fused_matmul_multiplies_what_its_flags_say(one: One, flags: tuple[int, ...], weight: bool) -> None:
    """The operands stored as the flags want them give A·B, in ONNX Runtime and by the layer's own equation."""
    import onnxruntime

    last_a, last_b, batch_a, batch_b = flags
    a, b = f(2, 3, 4, 5), f(2, 3, 5, 6)

    def stored(x: np.ndarray, last: int, batch: int) -> np.ndarray:
        x = x.swapaxes(-1, -2) if last else x
        order = (2, 0, 1, 3) if batch and not last else (3, 0, 1, 2) if batch else (0, 1, 2, 3)
        if batch and last:
            # (B…, K, M) with M before the batch and K last: (M, B…, K) read as rows, then exchanged
            x = x.swapaxes(-1, -2)
            return np.ascontiguousarray(np.moveaxis(x.swapaxes(-1, -2), -2, 0))
        return np.ascontiguousarray(np.transpose(x, order))

    operands = {"a": stored(a, last_a, batch_a), "b": stored(b, last_b, batch_b)}
    attrs = dict(zip(("transA", "transB", "transBatchA", "transBatchB"), flags, strict=True))
    model = one("FusedMatMul", operands, weights=["b"] if weight else [], domain="com.microsoft", **attrs)
    session = onnxruntime.InferenceSession(model.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, model.given)
    np.testing.assert_allclose(y, a @ b, rtol=1e-4)
    assert model.report.macs == y.size * 5
    if weight:
        np.testing.assert_allclose(by_equation(model.layer, operands), y, rtol=1e-4)
    else:
        assert model.ops == ["transpose"] * sum(
            bool(last or batch) for last, batch in ((last_a, batch_a), (last_b, batch_b))
        ) + ["matmul"]


def test_what_is_fused_to_a_product_costs_what_it_costs_apart(one: One) -> None:
    operands = {"a": f(5, 7), "b": f(7, 3), "c": f(3)}
    plain = one("Gemm", operands, weights=["b", "c"]).report
    fused = one("FusedGemm", operands, weights=["b", "c"], domain="com.microsoft", activation="Relu")
    assert fused.ops == ["linear", "relu"]
    assert [layer.name for layer in fused.layers] == ["op", "op/relu"]
    assert (fused.report.macs, fused.report.flops) == (plain.macs, plain.flops + 15)
    scaled = one("FusedMatMul", {"a": f(5, 7), "b": f(7, 3)}, weights=["b"], domain="com.microsoft", alpha=0.25)
    assert (scaled.ops, scaled.report.flops) == (["linear", "mul"], 2 * 105 + 15)
    gelu = one("GemmFastGelu", operands, weights=["b", "c"], domain="com.microsoft")
    assert gelu.ops == ["linear", "gelu"]
    # 6 muls, 2 adds, 1 exp an element
    assert gelu.report.flops == plain.flops + 9 * 15


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_of_few_bits_are_counted_in_elements(one: One, bits: int) -> None:
    packed = np.zeros((24, 2, 32 * bits // 8), np.uint8)
    inputs = {"x": f(2, 3, 64), "w": packed, "s": f(24 * 2), "z": None, "g": None, "b": f(24)}
    model = one(
        "MatMulNBits", inputs, weights=["w", "s", "b"], domain="com.microsoft", K=64, N=24, bits=bits, block_size=32
    )
    report = model.report
    assert report.macs == 2 * 3 * 64 * 24
    assert report.flops == 2 * report.macs + 2 * 3 * 24
    assert report.params == 64 * 24 + 24  # the weight and the bias; scales are constants
    assert report.graph.parameters["w"].spec.nbytes == packed.nbytes
    assert report.graph.parameters["s"].kind == "constant"


# -- Einstein sums ----------------------------------------------------------------------------------------------------


def counted(equation: str, *shapes: tuple[int, ...]) -> int:
    """Multiplications of a sum of two operands: one for every assignment of all indices."""
    left = equation.split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(left, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            sizes[letter] = max(n, sizes.get(letter, 1))
    return prod(sizes.values())


PAIRS = [
    ("ij,jk->ik", (3, 4), (4, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ij,ij->", (3, 4), (3, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)), ("ij,kj->ik", (3, 1), (5, 4)), ("abc,cd->adb", (2, 3, 4), (4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "a", "b"), PAIRS)
@pytest.mark.parametrize("weight", [True, False])
def test_an_einstein_sum_of_two(one: One, equation: str, a: Any, b: Any, weight: bool) -> None:
    operands = {"a": f(*a), "b": f(*b)}
    model = one("Einsum", operands, weights=["b"] if weight else [], equation=equation)
    assert model.ops == ["linear" if weight else "einsum"]
    assert model.report.macs == counted(equation, a, b)
    assert model.shapes() == model.executed()
    if weight:
        np.testing.assert_allclose(
            by_equation(model.layer, operands), np.einsum(equation, *operands.values()), rtol=1e-5
        )


def test_a_long_sum_is_taken_from_left_to_right(one: One) -> None:
    operands = {"a": f(2, 3), "b": f(3, 4), "c": f(4, 5)}
    model = one("Einsum", operands, equation="ij,jk,kl->il")
    assert model.ops == ["einsum", "einsum"]
    assert model.report.macs == 2 * 3 * 4 + 2 * 4 * 5
    assert [layer.attrs["equation"] for layer in model.layers] == ["ij,jk->ik", "ik,kl->il"]
    assert model.shapes() == model.executed()


def test_indices_are_summed_as_soon_as_nobody_needs_them(one: One) -> None:
    """j is in the first operand alone: 2·3·4 values become 2·4 before the product."""
    model = one("Einsum", {"a": f(2, 3, 4), "b": f(4, 5)}, equation="ijk,kl->il")
    assert model.ops == ["sum", "einsum"]
    assert model.report.flops == (24 - 8) + 2 * (2 * 4 * 5)


def test_sums_of_one_operand(one: One) -> None:
    assert one("Einsum", {"a": f(2, 3)}, equation="ij->ji").ops == ["transpose"]
    assert one("Einsum", {"a": f(2, 3)}, equation="ij->ij").ops == ["identity"]
    model = one("Einsum", {"a": f(2, 3)}, equation="ij->i")
    assert (model.ops, model.report.flops) == (["einsum"], 4)
    model = one("Einsum", {"a": f(3, 3)}, equation="ii->")
    assert (model.ops, model.report.flops) == (["slice", "einsum"], 2)
    model = one("Einsum", {"a": f(2, 3, 3)}, equation="...ii->...i")
    assert (model.ops, model.layer.y.shape) == (["slice"], (2, 3))


def test_ellipses_and_implicit_results(one: One) -> None:
    model = one("Einsum", {"a": f(6, 2, 3, 4), "b": f(4, 5)}, weights=["b"], equation="...ij,jk")
    assert (model.ops, model.layer.y.shape) == (["linear"], (6, 2, 3, 5))
    assert model.report.macs == 6 * 2 * 3 * 4 * 5
    model = one("Einsum", {"a": f(3), "b": f(4)}, equation="i,j->ij")
    assert (model.ops, model.report.flops) == (["einsum"], 12)  # no index is summed: products alone


@pytest.mark.parametrize("equation", ["ij->ijk", "ij,jk->ik", "i->i", "i!->i", "ij->ii", "......ij->ij"])
def test_an_equation_that_says_nothing_is_an_error(one: One, equation: str) -> None:
    with pytest.raises(ModelError, match="op"):
        _ = one("Einsum", {"a": f(2, 3)}, equation=equation).layers
