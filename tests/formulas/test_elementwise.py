"""Elementwise arithmetic against loops that write it out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.formulas.elementwise import FORMULAS
from multiprof.ir import Layer, Quant, TensorSpec
from multiprof.ops import OPS
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import exp, maximum, minimum, select, sqrt

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def bit(x: Counted, *others: Counted) -> None:
    """One integer or logical operation."""
    x.tally.count("ints")


def sine_over(x: Counted) -> Counted:
    """sin x/x, or 1."""
    return select(x.value != 0, x.transcendental(math.sin) / x, 1.0)


def logaddexp(a: Counted, b: Counted) -> Counted:
    """max + log1p(e^(min − max))"""
    low, high = minimum(a, b), maximum(a, b)
    result = high + exp(low - high).transcendental(math.log1p)
    assert result.value == pytest.approx(math.log(math.exp(a.value) + math.exp(b.value)))
    return result


def cross(a: Counted, b: Counted) -> Counted:
    """One of three elements: a₁·b₂ − a₂·b₁."""
    return a * b - b * a


UNARY: dict[str, Callable[[Counted], Any]] = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: select(x.value > 0, x, select(x.value < 0, x, 0.0)),
    "reciprocal": lambda x: 1.0 / x,
    "square": lambda x: x * x,
    "floor": lambda x: x.cast(math.floor),
    "ceil": lambda x: x.cast(math.ceil),
    "round": lambda x: x.cast(round),
    "trunc": lambda x: x.cast(math.trunc),
    "frac": lambda x: x - x.cast(math.trunc),
    "cast": lambda x: x.cast(),
    "logical_not": bit,
    "bitwise_not": bit,
    "is_nan": lambda x: not (x <= x),
    "is_inf": lambda x: abs(x) >= math.inf,
    "is_finite": lambda x: abs(x) < math.inf,
    "masked_fill": lambda x: select(x.value > 0, x, 0.0),
    "logit": lambda x: (x / (1.0 - x)).transcendental(abs),
    "sinc": lambda x: sine_over(math.pi * x),
    "conj": lambda x: -x,  # of the imaginary part
    "special": lambda x: x.transcendental(math.lgamma),
    "angle": lambda x: x.transcendental(math.atan),
} | {
    name: lambda x: x.transcendental(math.cos)  # which function it is does not matter: each is one evaluation
    for name in (
        *(
            "sqrt",
            "rsqrt",
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
        ),
        *("atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv"),
    )
}

BINARY: dict[str, Callable[[Counted, Counted], Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floor_div": lambda a, b: (a / b).cast(math.floor),
    "remainder": lambda a, b: a / b,  # one remainder counts as a division
    "maximum": maximum,
    "minimum": minimum,
    "atan2": lambda a, b: a.transcendental(lambda v: math.atan2(v, b.value)),
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a <= b,
    "not_equal": lambda a, b: a < b,
    "logical_and": bit,
    "logical_or": bit,
    "logical_xor": bit,
    "bitwise_and": bit,
    "bitwise_or": bit,
    "bitwise_xor": bit,
    "shift_left": bit,
    "shift_right": bit,
    "where": lambda a, b: select(a.value < b.value, a, b),
    "lerp": lambda a, b: a + 0.3 * (b - a),
    "hypot": lambda a, b: sqrt(a * a + b * b),
    "logaddexp": logaddexp,
    "xlogy": lambda a, b: select(a.value != 0, a * b.transcendental(abs), 0.0),
    "xlog1py": lambda a, b: select(a.value != 0, a * b.transcendental(abs), 0.0),
    "copysign": lambda a, b: select(b.value > 0, a, 0.0),
    "polar": lambda a, b: (a * b.transcendental(math.cos), a * b.transcendental(math.sin)),
    "cross": cross,
}

COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def test_every_elementwise_op_is_written_out_here() -> None:
    # those with attributes of their own have tests of their own
    named = {*UNARY, *BINARY, "pow", "clip", "addcmul", "addcdiv"}
    assert named == {op.name for op in OPS.values() if op.family == "elementwise"} == set(TABLE)


@pytest.mark.parametrize("op", UNARY)
@settings(max_examples=20)
@given(shape=shapes)
def test_one_operand(make: Make, agree: Agree, op: str, shape: tuple[int, ...]) -> None:
    tally = Tally()
    x = tally.array(shape)
    with tally.term("elementwise"):
        for index in x.indices():
            UNARY[op](x[index])
    agree(TABLE[op], make(op, {"x": shape}, {"y": shape}), tally)


@pytest.mark.parametrize("op", BINARY)
@settings(max_examples=20)
@given(lead=st.integers(1, 3), shape=shapes)
def test_two_operands(make: Make, agree: Agree, op: str, lead: int, shape: tuple[int, ...]) -> None:
    # the second operand is broadcast along the first dimension: the output's elements count
    tally = Tally()
    a, b = tally.array((lead, *shape)), tally.array(shape)
    with tally.term("elementwise"):
        for index in a.indices():
            BINARY[op](a[index], b[index[1:]])
    layer = make(op, {"x0": a.shape, "x1": b.shape}, {"y": a.shape})
    if op in COMPARISONS:
        layer.outputs["y"].dtype = "bool"
    if op == "where":
        layer.inputs["cond"] = TensorSpec(b.shape, "bool", "cond")
    agree(TABLE[op], layer, tally)


@pytest.mark.parametrize("op", ["add", "sub"])
@settings(max_examples=20)
@given(shape=shapes, alpha=st.sampled_from([1, 1.0, 2, 0.5, -1]))
def test_alpha_is_one_more_multiplication(
    make: Make, agree: Agree, op: str, shape: tuple[int, ...], alpha: float
) -> None:
    tally = Tally()
    a, b = tally.array(shape), tally.array(shape)
    for index in a.indices():
        second = b[index]
        if alpha != 1:
            with tally.term("alpha"):
                second = alpha * second
        with tally.term("elementwise"):
            BINARY[op](a[index], second)
    agree(TABLE[op], make(op, {"x0": shape, "x1": shape}, {"y": shape}, alpha=alpha), tally)
    # alpha times a constant is a constant
    constant = make(op, {"x0": shape}, {"y": shape}, alpha=alpha, scalar=3)
    assert TABLE[op].price(constant).counts == Counts(adds=math.prod(shape))


@pytest.mark.parametrize("op", ["addcmul", "addcdiv"])
@settings(max_examples=20)
@given(shape=shapes, value=st.sampled_from([None, 1, 0.5]))
def test_a_scaled_product_added(make: Make, agree: Agree, op: str, shape: tuple[int, ...], value: float | None) -> None:
    tally = Tally()
    a, b, c = tally.array(shape), tally.array(shape), tally.array(shape)
    for index in a.indices():
        second = b[index]
        if value not in (None, 1):
            with tally.term("value"):
                second = value * second
        with tally.term("elementwise"):
            a[index] + (second * c[index] if op == "addcmul" else second / c[index])
    attrs = {} if value is None else {"value": value}
    agree(TABLE[op], make(op, {"x0": shape, "x1": shape, "x2": shape}, {"y": shape}, **attrs), tally)


@given(shapes, st.sampled_from([2, 2.0, 3, 0.5, -0.5, 1, -1, 1.7, 4, None]))
def test_power(make: Make, agree: Agree, shape: tuple[int, ...], exponent: float | None) -> None:
    tally = Tally()
    x = tally.array(shape)
    for index in x.indices():
        value = x[index]
        if exponent == 2:
            with tally.term("square"):
                value * value
        elif exponent == 3:
            with tally.term("cube"):
                value * value * value
        elif exponent == -1:
            with tally.term("reciprocal"):
                1.0 / value
        elif exponent != 1:
            with tally.term("power"):
                value.transcendental(abs)
    if exponent is None:
        agree(TABLE["pow"], make("pow", {"x0": shape, "x1": shape}, {"y": shape}), tally)
        agree(TABLE["pow"], make("pow", {"x0": shape}, {"y": shape}, base=2), tally)
    else:
        agree(TABLE["pow"], make("pow", {"x0": shape}, {"y": shape}, exponent=exponent), tally)


@pytest.mark.parametrize(
    ("attrs", "lower", "upper"),
    [
        ({"min": 0.0, "max": 1.0}, True, True),
        ({"min": 0, "max": None}, True, False),
        ({"max": 6.0}, False, True),
        ({"min": None, "max": 0.5}, False, True),
        ({}, True, True),  # an adapter that does not say has both
    ],
)
@settings(max_examples=20)
@given(shape=shapes)
def test_clip_is_a_comparison_a_bound(
    make: Make, agree: Agree, attrs: dict[str, float | None], lower: bool, upper: bool, shape: tuple[int, ...]
) -> None:
    tally = Tally()
    x = tally.array(shape)
    with tally.term("elementwise"):
        for index in x.indices():
            value = maximum(x[index], 0.0) if lower else x[index]
            value = minimum(value, 1.0) if upper else value
    agree(TABLE["clip"], make("clip", {"x": shape}, {"y": shape}, **attrs), tally)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "maximum", "minimum", "less", "greater_equal"])
@settings(max_examples=20)
@given(shape=shapes)
def test_on_integers_everything_is_integer_work(make: Make, op: str, shape: tuple[int, ...]) -> None:
    tally = Tally()
    a, b = tally.array(shape, integer=True), tally.array(shape, integer=True)
    with tally.term("elementwise"):
        for index in a.indices():
            BINARY[op](a[index], b[index])
    layer = make(op, {"x0": shape, "x1": shape}, {"y": shape}, "int64")
    assert TABLE[op].price(layer).terms == tally.terms
    assert TABLE[op].price(layer).flops == 0


@pytest.mark.parametrize(
    ("op", "ints", "casts"),
    [("floor_div", 1, 0), ("pow", 1, 0), ("clip", 2, 0), ("addcmul", 2, 0), ("frac", 1, 1), ("cast", 0, 1)],
)
def test_integer_work_an_element(make: Make, op: str, ints: int, casts: int) -> None:
    layer = make(op, {"x0": (5,), "x1": (5,)}, {"y": (5,)}, "int32")
    assert TABLE[op].price(layer).counts == Counts(ints=5 * ints, casts=5 * casts)


def test_integers_times_a_real_constant_are_floating_point(make: Make) -> None:
    layer = make("mul", {"x0": (5,)}, {"y": (5,)}, "int64", scalar=0.5)
    layer.outputs["y"].dtype = "float32"
    assert TABLE["mul"].price(layer).counts == Counts(muls=5)


def test_a_comparison_of_floats_is_a_floating_point_operation(make: Make) -> None:
    layer = make("less", {"x0": (5,)}, {"y": (5,)}, scalar=0.5)
    layer.outputs["y"].dtype = "bool"
    assert TABLE["less"].price(layer).counts == Counts(cmps=5)


def test_a_quantised_tensor_stands_for_real_numbers(make: Make) -> None:
    layer = make("add", {"x0": (5,), "x1": (5,)}, {"y": (5,)}, "int8")
    for spec in (*layer.inputs.values(), *layer.outputs.values()):
        spec.quant = Quant((0.1,), (0,))
    assert TABLE["add"].price(layer).counts == Counts(adds=5)


def test_selection_between_constants_is_judged_by_its_result(make: Make) -> None:
    # where(mask, 0.0, −inf): the only tensor is boolean, what is selected is real
    layer = make("where", {}, {"y": (4, 4)})
    layer.inputs["cond"] = TensorSpec((4, 4), "bool", "cond")
    assert TABLE["where"].price(layer).counts == Counts(cmps=16)


def test_residual_additions_of_resnet_50(make: Make) -> None:
    # one a block, of the block's output: 3 of 56²·256, 4 of 28²·512, 6 of 14²·1024, 3 of 7²·2048
    sizes = [(3, 56, 256), (4, 28, 512), (6, 14, 1024), (3, 7, 2048)]
    priced = [
        TABLE["add"].price(make("add", {"x0": (c, s, s), "x1": (c, s, s)}, {"y": (c, s, s)})) * blocks
        for blocks, s, c in sizes
    ]
    assert sum(cost.flops for cost in priced) == 5_519_360
    assert priced[0] == Cost({"elementwise": Counts(adds=3 * 56 * 56 * 256)})


def test_every_row_of_the_table_has_a_source() -> None:
    assert all(rule.source or rule.details for rule in FORMULAS)
