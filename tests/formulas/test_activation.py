"""Activations against their definitions written out, and the definitions against plain floating-point mathematics."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.formulas.activation import FORMULAS, gelu
from multiprof.ir import Layer, TensorSpec
from multiprof.ops import OPS
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import erf, exp, log, maximum, minimum, select, sigmoid, tanh

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
SLOPE, ALPHA, LAMBDA, THRESHOLD = 0.1, 1.5, 0.4, 0.2
SELU = 1.0507009873554805


def softplus(x: Counted) -> Counted:
    return log(1.0 + exp(x))


def leaky(x: Counted) -> Counted:
    return select(x.value > 0, x, x * SLOPE)


def elu(x: Counted) -> Counted:
    return select(x.value > 0, x, ALPHA * (exp(x) - 1.0))


def hard_sigmoid(x: Counted) -> Counted:
    return minimum(maximum(x * (1 / 6) + 0.5, 0.0), 1.0)


# op: the definition over counting scalars, and what it should be
DEFINITIONS: dict[str, tuple[Callable[[Counted], Counted], Callable[[float], float]]] = {
    "relu": (lambda x: maximum(x, 0.0), lambda v: max(v, 0.0)),
    "relu6": (lambda x: minimum(maximum(x, 0.0), 6.0), lambda v: min(max(v, 0.0), 6.0)),
    "hard_tanh": (lambda x: minimum(maximum(x, -1.0), 1.0), lambda v: min(max(v, -1.0), 1.0)),
    "leaky_relu": (leaky, lambda v: v if v > 0 else SLOPE * v),
    "prelu": (leaky, lambda v: max(v, 0.0) + SLOPE * min(v, 0.0)),
    "rrelu": (leaky, lambda v: v if v > 0 else SLOPE * v),
    "elu": (elu, lambda v: v if v > 0 else ALPHA * math.expm1(v)),
    "selu": (lambda x: SELU * elu(x), lambda v: SELU * (v if v > 0 else ALPHA * math.expm1(v))),
    "celu": (
        lambda x: select(x.value > 0, x, ALPHA * (exp(x * (1 / ALPHA)) - 1.0)),
        lambda v: max(0.0, v) + min(0.0, ALPHA * math.expm1(v / ALPHA)),
    ),
    "sigmoid": (sigmoid, lambda v: 1 / (1 + math.exp(-v))),
    "log_sigmoid": (lambda x: -softplus(-x), lambda v: math.log(1 / (1 + math.exp(-v)))),
    "silu": (lambda x: x * sigmoid(x), lambda v: v / (1 + math.exp(-v))),
    "hard_sigmoid": (hard_sigmoid, lambda v: min(max(v + 3, 0.0), 6.0) / 6),
    "hard_swish": (lambda x: x * hard_sigmoid(x), lambda v: v * min(max(v + 3, 0.0), 6.0) / 6),
    "tanh": (tanh, math.tanh),
    "tanh_shrink": (lambda x: x - tanh(x), lambda v: v - math.tanh(v)),
    "softplus": (softplus, lambda v: math.log1p(math.exp(v))),
    "mish": (lambda x: x * tanh(softplus(x)), lambda v: v * math.tanh(math.log1p(math.exp(v)))),
    "softsign": (lambda x: x / (1.0 + abs(x)), lambda v: v / (1 + abs(v))),
    "soft_shrink": (
        lambda x: x - minimum(maximum(x, -LAMBDA), LAMBDA),
        lambda v: math.copysign(max(abs(v) - LAMBDA, 0.0), v),
    ),
    "hard_shrink": (
        lambda x: select(abs(x).value > LAMBDA, x, 0.0),
        lambda v: v if v > LAMBDA or v < -LAMBDA else 0.0,
    ),
    "threshold": (lambda x: select(x.value > THRESHOLD, x, 7.0), lambda v: v if v > THRESHOLD else 7.0),
}

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def test_every_activation_is_defined_here() -> None:
    assert {*DEFINITIONS, "gelu", "glu"} == {op.name for op in OPS.values() if op.family == "activation"} == set(TABLE)


@pytest.mark.parametrize("op", DEFINITIONS)
@settings(max_examples=20)
@given(shape=shapes)
def test_the_row_is_the_definition(make: Make, agree: Agree, op: str, shape: tuple[int, ...]) -> None:
    definition, expected = DEFINITIONS[op]
    tally = Tally()
    x = tally.array(shape)
    for index in x.indices():
        value = x[index].value
        with tally.term("activation"):
            assert definition(x[index]).value == pytest.approx(expected(value))
    agree(TABLE[op], make(op, {"x": shape}, {"y": shape}), tally)


@given(shapes, st.sampled_from([{}, {"approximate": "none"}]))
def test_gelu_by_erf(make: Make, agree: Agree, shape: tuple[int, ...], attrs: dict[str, str]) -> None:
    tally = Tally()
    x = tally.array(shape)
    for index in x.indices():
        value = x[index].value
        with tally.term("erf"):
            y = x[index] * 0.5 * (1.0 + erf(x[index] * math.sqrt(0.5)))
        # x·Φ(x), Φ the distribution function of the normal distribution
        assert y.value == pytest.approx(value * math.erfc(-value / math.sqrt(2)) / 2)
    agree(gelu, make("gelu", {"x": shape}, {"y": shape}, **attrs), tally)


@given(shapes)
def test_gelu_by_tanh(make: Make, agree: Agree, shape: tuple[int, ...]) -> None:
    tally = Tally()
    x = tally.array(shape)
    for index in x.indices():
        value = x[index].value
        with tally.term("tanh"):
            cube = x[index] * x[index] * x[index]
            y = 0.5 * x[index] * (1.0 + tanh(math.sqrt(2 / math.pi) * (x[index] + 0.044715 * cube)))
        assert y.value == pytest.approx(value * math.erfc(-value / math.sqrt(2)) / 2, abs=1e-3)
    agree(gelu, make("gelu", {"x": shape}, {"y": shape}, approximate="tanh"), tally)


@given(st.integers(1, 4), st.integers(1, 4))
def test_glu_halves_its_input(make: Make, agree: Agree, n: int, width: int) -> None:
    tally = Tally()
    x = tally.array((n, 2 * width))
    with tally.term("activation"):
        for i in range(n):
            for j in range(width):
                x[i, j] * sigmoid(x[i, width + j])
    agree(TABLE["glu"], make("glu", {"x": (n, 2 * width)}, {"y": (n, width)}, axis=1), tally)


# The table of activations of the counting convention, an element each.
@pytest.mark.parametrize(
    ("op", "counts"),
    [
        ("relu", Counts(cmps=1)),
        ("relu6", Counts(cmps=2)),
        ("hard_tanh", Counts(cmps=2)),
        ("leaky_relu", Counts(cmps=1, muls=1)),
        ("prelu", Counts(cmps=1, muls=1)),
        ("sigmoid", Counts(adds=2, exps=1, divs=1)),
        ("tanh", Counts(exps=1)),
        ("silu", Counts(adds=2, exps=1, divs=1, muls=1)),
        ("softplus", Counts(exps=2, adds=1)),
        ("gelu", Counts(muls=3, adds=1, exps=1)),
        ("hard_sigmoid", Counts(muls=1, adds=1, cmps=2)),
        ("hard_swish", Counts(muls=2, adds=1, cmps=2)),
        ("elu", Counts(cmps=1, exps=1, adds=1, muls=1)),
        ("selu", Counts(cmps=1, exps=1, adds=1, muls=2)),
        ("mish", Counts(exps=3, adds=1, muls=1)),
    ],
)
def test_the_convention(make: Make, op: str, counts: Counts) -> None:
    assert TABLE[op].price(make(op, {"x": (1,)}, {"y": (1,)})).counts == counts


def test_the_convention_for_gelu_by_tanh(make: Make) -> None:
    layer = make("gelu", {"x": (1,)}, {"y": (1,)}, approximate="tanh")
    assert gelu.price(layer).counts == Counts(muls=6, adds=2, exps=1)


def test_relu_of_resnet_50(make: Make) -> None:
    # the stem's 112·112·64; in each stage of width C at size s: 2 ReLUs of C at s and one of 4·C a block, of which the
    # first block's first ReLU stands before the stride
    elements = [112 * 112 * 64]
    for width, size, blocks, stride in ((64, 56, 3, 1), (128, 28, 4, 2), (256, 14, 6, 2), (512, 7, 3, 2)):
        elements += [(size * stride) ** 2 * width] + [size * size * width] * (2 * blocks - 1)
        elements += [size * size * 4 * width] * blocks
    relu = TABLE["relu"]
    assert sum(relu.price(make("relu", {"x": (n,)}, {"y": (n,)})).counts.cmps for n in elements) == 9_608_704


def test_integers_count_apart(make: Make) -> None:
    assert TABLE["relu"].price(make("relu", {"x": (6,)}, {"y": (6,)}, "int32")).counts == Counts(ints=6)
    assert gelu.price(make("gelu", {"x": (6,)}, {"y": (6,)}, "bfloat16")).counts.ints == 0


def test_a_tensor_that_shares_memory_does_not_change_the_kind_of_arithmetic(make: Make) -> None:
    layer = make("relu", {"x": (6,)}, {"y": (6,)}, "int32")
    layer.inputs["alias0"] = TensorSpec((6,), "float32", "base")
    layer.outputs["alias0"] = TensorSpec((6,), "float32", "base.1")
    assert TABLE["relu"].price(layer).counts == Counts(ints=6)


def test_every_row_has_a_source() -> None:
    assert all(rule.source for rule in FORMULAS)
