"""Elementwise arithmetic by rule: against torch's meta kernels on random tensors, and what is recorded."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

FLOAT, HALF, INT, BYTE, BOOL = torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool
DTYPES = (FLOAT, FLOAT, FLOAT, torch.float64, HALF, torch.bfloat16, INT, torch.int32, BYTE, BOOL)

# op -> torch's names for it
UNARY = {
    "neg": "neg negative",
    "abs": "abs absolute",
    "sign": "sign",
    "reciprocal": "reciprocal",
    "square": "square",
    "sqrt": "sqrt",
    "rsqrt": "rsqrt",
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "log": "log",
    "log2": "log2",
    "log10": "log10",
    "log1p": "log1p",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "asin arcsin",
    "acos": "acos arccos",
    "atan": "atan arctan",
    "sinh": "sinh",
    "cosh": "cosh",
    "asinh": "asinh arcsinh",
    "acosh": "acosh arccosh",
    "atanh": "atanh arctanh",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "floor": "floor",
    "ceil": "ceil",
    "round": "round",
    "trunc": "trunc fix",
    "frac": "frac",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
TESTS = {"logical_not": "logical_not", "is_nan": "isnan", "is_inf": "isinf", "is_finite": "isfinite"}
BINARY = {
    "add": "add",
    "sub": "sub subtract",
    "mul": "mul multiply",
    "div": "div divide true_divide",
    "floor_div": "floor_divide",
    "remainder": "remainder fmod",
    "maximum": "maximum fmax",
    "minimum": "minimum fmin",
    "atan2": "atan2 arctan2",
    "pow": "pow",
}
COMPARISONS = {
    "equal": "eq",
    "not_equal": "ne not_equal",
    "less": "lt less",
    "less_equal": "le less_equal",
    "greater": "gt greater",
    "greater_equal": "ge greater_equal",
    "logical_and": "logical_and",
    "logical_or": "logical_or",
    "logical_xor": "logical_xor",
}
BITS = {
    "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor",
    "shift_left": "bitwise_left_shift",
    "shift_right": "bitwise_right_shift",
}


def faces(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(op, name) for op, names in table.items() for name in names.split()]


@pytest.mark.parametrize(("op", "name"), faces(UNARY | TESTS | {"bitwise_not": "bitwise_not"}))
def test_unary(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    ruled = 0
    for _ in range(80):
        dtype = INT if op == "bitwise_not" else FLOAT
        x = random_tensors.tensor(random_tensors.shape(), dtype)
        for function in (getattr(torch, name), getattr(torch.Tensor, name)):
            call = compare(function, x)
            ruled += call.by_rule
            if call.by_rule:
                assert call.ops == [op]
                assert call.layer.inputs["x"].name == "input0"
        x = random_tensors.tensor(random_tensors.shape(), random_tensors.rng.choice(DTYPES))
        compare(getattr(torch, name), x)
    assert ruled > 120


@pytest.mark.parametrize(("op", "name"), faces(UNARY | {"logical_not": "logical_not", "bitwise_not": "bitwise_not"}))
def test_unary_in_place(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    for _ in range(40):
        x = random_tensors.permuted(random_tensors.shape(), INT if op == "bitwise_not" else FLOAT)
        call = compare(getattr(torch.Tensor, f"{name}_"), x)
        assert call.by_rule
        assert call.result is call.given[0]
        assert (call.layer.op, call.layer.aliases) == (op, (("y", "x", "write"),))
        compare(getattr(torch.Tensor, f"{name}_"), random_tensors.tensor((2, 3), random_tensors.rng.choice(DTYPES)))


def operand(random_tensors: Any, shape: tuple[int, ...], dtypes: Any = DTYPES) -> Any:
    """A tensor of any dtype, now and then without dimensions."""
    shape = () if random_tensors.rng.random() < 0.1 else shape
    return random_tensors.tensor(shape, random_tensors.rng.choice(dtypes))


@pytest.mark.parametrize(("op", "name"), faces(BINARY | COMPARISONS))
def test_binary(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    """Two tensors of one dtype, of any dtypes, shapes that broadcast."""
    plain, ruled = 0, 0
    for _ in range(120):
        shape = random_tensors.shape()
        a = random_tensors.tensor(random_tensors.broadcasting(shape))
        b = random_tensors.tensor(random_tensors.broadcasting(shape))
        call = compare(getattr(torch, name), a, b)
        ruled += call.by_rule
        if call.by_rule:
            assert call.ops == [op]
            assert {role: spec.name for role, spec in call.layer.inputs.items()} == {"x0": "input0", "x1": "input1"}
        call = compare(getattr(torch.Tensor, name), random_tensors.plain(shape), random_tensors.plain(shape))
        plain += call.by_rule
        a, b = operand(random_tensors, shape), operand(random_tensors, shape)
        call = compare(getattr(torch, name), a, b)
        if call.by_rule:
            assert call.ops == [op]
    assert plain == 120
    assert ruled > 60


LOGICAL = ("logical_and", "logical_or", "logical_xor")  # these take no numbers


@pytest.mark.parametrize(("op", "name"), [face for face in faces(BINARY | COMPARISONS) if face[0] not in LOGICAL])
def test_tensor_and_number(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(60):
        number = rng.choice((1, 2, 3, -2, 0.5, -1.5, True))
        function = getattr(torch.Tensor if hasattr(torch.Tensor, name) else torch, name)
        if op in ("maximum", "minimum", "atan2"):
            number = torch.empty((), dtype=rng.choice((FLOAT, INT)), device="meta")
        call = compare(function, random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES)), number)
        ruled += call.by_rule
        if call.by_rule and not isinstance(number, torch.Tensor):
            (layer,) = call.layers
            assert layer.op == op
            assert layer.attrs["exponent" if op == "pow" else "scalar"] == number
            assert set(layer.inputs) == {"x0"}
    assert ruled > 15


@pytest.mark.parametrize(("op", "name"), faces(BITS))
def test_bits(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    ruled = 0
    for _ in range(80):
        shape = random_tensors.shape()
        dtype = random_tensors.rng.choice((INT, torch.int32, BYTE, BOOL))
        a = random_tensors.tensor(random_tensors.broadcasting(shape), dtype)
        b = random_tensors.tensor(random_tensors.broadcasting(shape), random_tensors.rng.choice((dtype, INT)))
        call = compare(getattr(torch, name), a, b)
        ruled += call.by_rule
        if call.by_rule:
            assert call.ops == [op]
        compare(getattr(torch, name), a, 1)
        compare(getattr(torch.Tensor, f"{name}_"), a, b)
        compare(getattr(torch, name), a, random_tensors.tensor(shape))
    assert ruled > 30


IN_PLACE = [(op, name) for op, name in faces(BINARY | COMPARISONS) if hasattr(torch.Tensor, f"{name}_")]


@pytest.mark.parametrize(("op", "name"), IN_PLACE)
def test_binary_in_place(op: str, name: str, compare: Any, random_tensors: Any) -> None:
    function = getattr(torch.Tensor, f"{name}_")
    ruled = 0
    for _ in range(80):
        shape = random_tensors.shape()
        x, other = random_tensors.tensor(shape), random_tensors.tensor(random_tensors.broadcasting(shape))
        call = compare(function, x, other if op in (*LOGICAL, "atan2") else random_tensors.rng.choice((other, 2, 1.5)))
        if call.by_rule:
            ruled += 1
            assert call.result is call.given[0]
            assert (call.layer.op, call.layer.aliases) == (op, (("y", "x0", "write"),))
        compare(function, operand(random_tensors, shape), operand(random_tensors, random_tensors.broadcasting(shape)))
        compare(function, random_tensors.tensor(random_tensors.broadcasting(shape)), random_tensors.tensor(shape))
    assert ruled > 60


def test_write_to_memory_that_is_shared(compare: Any, random_tensors: Any) -> None:
    """Where two elements share memory torch's kernels refuse, its meta kernels do not: no rule answers."""
    for function in (
        lambda x: x[:1].expand(4, 4).add_(1),
        lambda x: x[1:].add_(x[:-1]),
        lambda x: x.t().mul_(x),
        lambda x: x[:1].expand(4, 4).neg_(),
    ):
        assert isinstance(compare(function, torch.ones(4, 4)).error, RuntimeError)
        assert not compare(function, random_tensors.plain((4, 4))).by_rule
    assert compare(lambda x: x.add_(x), random_tensors.plain((4, 4))).by_rule


OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "+": (lambda a, b: a + b, "add"),
    "-": (lambda a, b: a - b, "sub"),
    "*": (lambda a, b: a * b, "mul"),
    "/": (lambda a, b: a / b, "div"),
    "//": (lambda a, b: a // b, "floor_div"),
    "%": (lambda a, b: a % b, "remainder"),
    "**": (lambda a, b: a**b, "pow"),
    "==": (lambda a, b: a == b, "equal"),
    "!=": (lambda a, b: a != b, "not_equal"),
    "<": (lambda a, b: a < b, "less"),
    "<=": (lambda a, b: a <= b, "less_equal"),
    ">": (lambda a, b: a > b, "greater"),
    ">=": (lambda a, b: a >= b, "greater_equal"),
}


@pytest.mark.parametrize("sign", OPERATORS)
def test_operator(sign: str, compare: Any, random_tensors: Any) -> None:
    function, op = OPERATORS[sign]
    x = random_tensors.plain((2, 3))
    for a, b in ((x, random_tensors.plain((2, 3))), (x, 2), (x, 0.5), (2, x), (0.5, x)):
        call = compare(function, a, b)
        assert call.by_rule
        mirrored = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
        expected = mirrored.get(op, op) if b is x else op
        assert call.ops == [expected]
    for _ in range(40):
        shape = random_tensors.shape()
        compare(function, random_tensors.tensor(shape), operand(random_tensors, random_tensors.broadcasting(shape)))
        compare(function, random_tensors.rng.choice((2, 0.5)), operand(random_tensors, shape))


def test_operators_on_bits(compare: Any, random_tensors: Any) -> None:
    for dtype in (BOOL, INT):
        a, b = random_tensors.plain((2, 3), dtype), random_tensors.plain((2, 3), dtype)
        assert compare(lambda a, b: a & b, a, b).ops == ["bitwise_and"]
        assert compare(lambda a, b: a | b, a, b).ops == ["bitwise_or"]
        assert compare(lambda a, b: a ^ b, a, b).ops == ["bitwise_xor"]
        assert compare(lambda a: ~a, a).ops == ["bitwise_not"]
        assert compare(lambda a: True & a, a).ops == ["bitwise_and"]
    assert compare(lambda a, b: a << b, a, b).ops == ["shift_left"]
    assert compare(lambda a: 1 >> a, a).layer.attrs == {"scalar": 1, "reverse": True}
    assert compare(lambda a: 1 << a, a).ops == ["shift_left"]


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "//=", "%=", "**="])
def test_assignment_operators(sign: str, compare: Any, random_tensors: Any) -> None:
    scope: dict[str, Any] = {}
    exec(f"def assign(x, y):\n    x {sign} y\n    return x", scope)
    x = random_tensors.plain((2, 3))
    for other in (random_tensors.plain((2, 3)), random_tensors.plain((3,)), 2, 0.5):
        call = compare(scope["assign"], x, other)
        assert call.by_rule
        assert call.result is call.given[0]


def test_reflected_operands(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3))
    assert compare(lambda x: 1 - x, x).layer.attrs == {"scalar": 1, "reverse": True}
    assert compare(lambda x: 1 / x, x).layer.attrs == {"scalar": 1, "reverse": True}
    assert compare(lambda x: 2**x, x).layer.attrs == {"base": 2}
    assert compare(lambda x: 7 % x, x).layer.attrs == {"scalar": 7, "reverse": True}
    assert compare(lambda x: -x, x).ops == ["neg"]
    assert compare(abs, x).ops == ["abs"]
    plus = compare(lambda x: +x, x)
    assert (plus.result is plus.given[0], plus.layers) == (True, [])
    call = compare(torch.rsub, x, random_tensors.plain((2, 3)))
    assert {role: spec.name for role, spec in call.layer.inputs.items()} == {"x0": "input1", "x1": "input0"}


def test_alpha(compare: Any, random_tensors: Any) -> None:
    for name in ("add", "sub", "rsub"):
        for _ in range(60):
            shape = random_tensors.shape()
            alpha = random_tensors.rng.choice((1, 2, 0.5, -1))
            a, b = operand(random_tensors, shape), operand(random_tensors, random_tensors.broadcasting(shape))
            compare(getattr(torch, name), a, b, alpha=alpha)
            if name != "rsub":
                compare(getattr(torch.Tensor, f"{name}_"), a, b, alpha=alpha)
    x = random_tensors.plain((2, 3))
    assert compare(torch.add, x, x, alpha=2).layer.attrs == {"alpha": 2}
    assert compare(torch.add, x, 3, alpha=2).layer.attrs == {"alpha": 2, "scalar": 3}
    assert compare(torch.sub, x, x, alpha=0.5).by_rule
    compare(torch.add, x, 2, x)  # the old order of arguments


def test_rounding_modes(compare: Any, random_tensors: Any) -> None:
    for mode, ops in ((None, ["div"]), ("floor", ["floor_div"]), ("trunc", ["div", "trunc"])):
        x = random_tensors.plain((2, 3))
        call = compare(torch.div, x, x, rounding_mode=mode)
        assert call.by_rule
        assert call.ops == ops
        assert compare(torch.Tensor.div_, x, 2, rounding_mode=mode).ops == ops
        for _ in range(40):
            shape = random_tensors.shape()
            a, b = operand(random_tensors, shape), operand(random_tensors, random_tensors.broadcasting(shape))
            compare(torch.div, a, b, rounding_mode=mode)
            compare(torch.Tensor.div_, a, b, rounding_mode=mode)
    x = random_tensors.plain((2, 3), INT)
    assert compare(torch.div, x, 2, rounding_mode="trunc").ops == ["div"]
    assert compare(torch.fmod, x, 2).layer.attrs == {"scalar": 2, "fmod": True}
    compare(torch.div, x, x, rounding_mode="up")


def test_power(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3))
    assert compare(torch.pow, x, 2).layer.attrs == {"exponent": 2}
    assert compare(torch.pow, 2, x).layer.attrs == {"base": 2}
    assert set(compare(torch.pow, x, x).layer.inputs) == {"x0", "x1"}
    assert not compare(torch.pow, random_tensors.plain((2, 3), INT), -1).by_rule  # refused where there are values
    for _ in range(60):
        x = random_tensors.tensor(random_tensors.shape(), random_tensors.rng.choice(DTYPES))
        exponent = random_tensors.rng.choice((2, 3, 0.5, -1, 0, True))
        compare(torch.pow, x, exponent)
        compare(torch.pow, exponent, x)
        compare(torch.Tensor.pow_, x, exponent)


def test_bad_operands(compare: Any, random_tensors: Any) -> None:
    """The error is torch's own."""
    x = random_tensors.plain((2, 3))
    for function in (torch.add, torch.mul, torch.lt, torch.maximum):
        assert compare(function, x, random_tensors.plain((4, 3))).error is not None
    assert not compare(torch.bitwise_and, x, x).by_rule  # refused where there are values
    assert compare(torch.sub, random_tensors.plain((2,), BOOL), random_tensors.plain((2,), BOOL)).error is not None
    compare(torch.add, x, 1j)
    compare(torch.mul, random_tensors.plain((2, 3), torch.complex64), 2)
    with pytest.raises(TypeError):
        torch.add(x, "2")


def test_where(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(300):
        shape = random_tensors.shape()
        condition = random_tensors.tensor(random_tensors.broadcasting(shape), BOOL)
        values = [
            rng.choice((1.0, 2, math.inf))
            if rng.random() < 0.2
            else random_tensors.tensor(random_tensors.broadcasting(shape), rng.choice((FLOAT, FLOAT, HALF, INT)))
            for _ in range(2)
        ]
        ruled += compare(torch.where, condition, *values).by_rule
        x = random_tensors.tensor(random_tensors.broadcasting(shape))
        call = compare(torch.Tensor.where, x, condition, values[0])
        if call.by_rule:
            assert call.layer.op == "where"
            assert call.layer.inputs["x0"].name == "input0"
    assert ruled > 120
    x, condition = random_tensors.plain((2, 3)), random_tensors.plain((2, 3), BOOL)
    layer = compare(torch.where, condition, 0.0, x).layer
    assert ({r: s.name for r, s in layer.inputs.items()}, layer.attrs) == (
        {"cond": "input0", "x1": "input1"},
        {"scalar0": 0.0},
    )
    assert compare(torch.where, x, x, x).error is not None


def test_masked_fill(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(300):
        shape = random_tensors.shape()
        mask = random_tensors.tensor(random_tensors.broadcasting(shape), BOOL)
        value: Any = rng.choice((0, 1.5, -math.inf, True))
        if rng.random() < 0.2:
            value = random_tensors.plain((), rng.choice((FLOAT, INT)))
        x = random_tensors.tensor(random_tensors.broadcasting(shape), rng.choice((FLOAT, FLOAT, HALF, INT, BOOL)))
        ruled += compare(torch.masked_fill, x, mask, value).by_rule
        call = compare(torch.Tensor.masked_fill_, x, mask, value)
        if call.by_rule:
            assert call.result is call.given[0]
    assert ruled > 120
    x, mask = random_tensors.plain((2, 3)), random_tensors.plain((3,), BOOL)
    layer = compare(torch.Tensor.masked_fill, x, mask, -math.inf).layer
    assert (layer.op, layer.attrs) == ("masked_fill", {"value": -math.inf})
    assert compare(torch.Tensor.masked_fill, x, mask, random_tensors.plain(())).ops == ["where"]
    compare(torch.Tensor.masked_fill, x, x, 0)


def test_clamp(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(150):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice(DTYPES))
        bounds = {"min": rng.choice((None, 0, -1.5, 1)), "max": rng.choice((None, 1, 2.5))}
        for name in ("clamp", "clip"):
            ruled += compare(getattr(torch, name), x, **bounds).by_rule
            compare(getattr(torch.Tensor, f"{name}_"), x, **bounds)
        compare(torch.clamp_min, x, 1)
        compare(torch.Tensor.clamp_max, x, 0.5)
        compare(torch.Tensor.clamp_min_, x, 0.5)
        low, high = random_tensors.tensor(random_tensors.broadcasting(tuple(x.shape))), random_tensors.plain(())
        compare(torch.clamp, x, low, high)
        compare(torch.clamp, x, max=low)
    assert ruled > 150
    x = random_tensors.plain((2, 3))
    assert compare(torch.clamp, x, 0).layer.attrs == {"min": 0, "max": None}
    assert compare(torch.clamp_max, x, 6).layer.attrs == {"min": None, "max": 6}
    assert compare(torch.clamp, x, x, x).ops == ["maximum", "minimum"]
    assert compare(torch.clamp, x, x).ops == ["maximum"]
    assert compare(torch.clamp, x).error is not None


def test_three_operands(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(200):
        shape = random_tensors.shape()
        dtypes = (FLOAT,) if rng.random() < 0.8 else (FLOAT, HALF, INT)
        a, b, c = (random_tensors.tensor(random_tensors.broadcasting(shape), rng.choice(dtypes)) for _ in range(3))
        for name in ("addcmul", "addcdiv"):
            value = rng.choice((1, 0.5))
            ruled += compare(getattr(torch, name), a, b, c, value=value).by_rule
            compare(getattr(torch.Tensor, f"{name}_"), a, b, c, value=value)
        compare(torch.lerp, a, b, rng.choice((c, 0.5)))
        compare(torch.Tensor.lerp_, a, b, rng.choice((c, 0.5)))
    assert ruled > 100
    x = random_tensors.plain((2, 3))
    assert compare(torch.addcmul, x, x, x, value=2).layer.attrs == {"value": 2}
    assert compare(torch.lerp, x, x, 0.5).layer.attrs == {"scalar": 0.5}
    assert set(compare(torch.lerp, x, x, x).layer.inputs) == {"x0", "x1", "t"}


def test_nan_to_num(compare: Any, random_tensors: Any) -> None:
    for _ in range(60):
        x = random_tensors.tensor(random_tensors.shape(), random_tensors.rng.choice(DTYPES))
        compare(torch.nan_to_num, x)
        compare(torch.Tensor.nan_to_num_, x, 0.5, 9.0, -9.0)
    call = compare(torch.nan_to_num, random_tensors.plain((2, 3)), posinf=9.0)
    assert call.ops == ["is_nan", "where", "clip"]
    assert call.layers[-1].attrs["max"] == 9.0
    assert compare(torch.nan_to_num_, random_tensors.plain((2, 3))).by_rule


@pytest.mark.parametrize(("op", "name"), faces(UNARY | TESTS | BINARY | COMPARISONS))
def test_operator_of_aten(op: str, name: str, compare_aten: Any, random_tensors: Any) -> None:
    """What the same call becomes beneath the function mode, from torch's own kernels."""
    x = random_tensors.plain((2, 3))
    args = (x,) if op in UNARY | TESTS else (x, random_tensors.plain((3,)))
    expected = {"square": ["pow"], "is_finite": ["abs", "not_equal", "equal", "mul"]}.get(op, [op])
    call = compare_aten(getattr(torch, name), *args)
    if op != "is_finite":
        assert call.ops == expected
    if hasattr(torch.Tensor, f"{name}_") and op not in TESTS:
        call = compare_aten(getattr(torch.Tensor, f"{name}_"), *args)
        assert call.ops == expected
        assert call.layer.aliases[0][2] == "write"


def test_ternary_operators_of_aten(compare_aten: Any, random_tensors: Any) -> None:
    x, mask = random_tensors.plain((2, 3)), random_tensors.plain((2, 3), BOOL)
    assert compare_aten(torch.where, mask, x, x).ops == ["where"]
    assert compare_aten(torch.masked_fill, x, mask, 0.0).ops == ["masked_fill"]
    assert compare_aten(torch.Tensor.masked_fill_, x, mask, 0.0).ops == ["masked_fill"]
    assert compare_aten(torch.clamp, x, 0, 1).layer.attrs == {"min": 0, "max": 1}
    assert compare_aten(torch.Tensor.clamp_min_, x, 0).ops == ["clip"]
    assert compare_aten(torch.clamp, x, x, x).ops == ["maximum", "minimum"]
    assert compare_aten(torch.lerp, x, x, 0.5).ops == ["lerp"]
    assert compare_aten(torch.addcmul, x, x, x, value=2).layer.attrs == {"value": 2}
    assert compare_aten(torch.addcdiv, x, x, x).ops == ["addcdiv"]
    assert compare_aten(torch.rsub, x, 1).layer.attrs == {"scalar": 1, "reverse": True}
    assert compare_aten(torch.add, x, x, alpha=2).layer.attrs == {"alpha": 2}
    assert compare_aten(torch.div, x, x, rounding_mode="floor").ops == ["floor_div"]
    assert compare_aten(torch.pow, 2, x).layer.attrs == {"base": 2}


def test_rules_import_nothing() -> None:
    """In a fresh process: neither torch._dynamo nor sympy, which together take a second."""
    code = """
import sys
import torch
import torch.nn.functional as F
from multiprof.adapters.torch import rules
from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.tracer import Tracer

x, w = torch.empty(2, 4, 8, 8, device="meta"), torch.empty(4, device="meta")
i, y = torch.empty(2, 3, dtype=torch.int64, device="meta"), torch.empty(2, 8, 8, 4, device="meta").permute(0, 3, 1, 2)
tracer = Tracer(torch.device("cpu"), real=False)
for tensor in (x, w, i, y):
    tracer.give_input(tensor, "input")
with torch.no_grad(), ShapeMode(tracer):
    x + y, 1 - x, x * w[0], i / 2, i + 1.5, x**2, x.half() * x, (x < 0) & (y > 0), x.add_(1), x.clamp(0, 1)
    torch.where(x > 0, x, 0.0), x.masked_fill(x > 0, 0.0), torch.lerp(x, x, 0.5), torch.nan_to_num(x)
    F.relu(y), F.gelu(y), F.glu(y, 1), F.prelu(x, w), F.hardswish(x, inplace=True), F.softmax(y, -1), F.softmin(x, 1)
    F.dropout(x), F.dropout(x, training=False), x.sum(1), x.mean((2, 3)), x.max(1), x.std(1), x.norm(), x.cumsum(1)
    F.batch_norm(y, w, w, w, w), F.layer_norm(y.permute(0, 2, 3, 1), (4,)), F.group_norm(x, 2), F.rms_norm(x, (8,))
    F.instance_norm(x), F.local_response_norm(x, 2), F.normalize(y), F.max_pool2d(y, 2), F.avg_pool2d(x, 2)
    F.adaptive_avg_pool1d(i.float().unsqueeze(0).transpose(1, 2), 1), F.adaptive_avg_pool2d(y, 1), F.lp_pool2d(x, 2, 2)
    F.interpolate(y, scale_factor=2, mode="bilinear"), F.embedding(i, torch.empty(10, 4, device="meta")), F.conv2d(y, x)
assert tracer.kernel_calls == 0, tracer.kernel_calls
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
