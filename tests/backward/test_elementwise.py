"""Gradients of elementwise ops, written out over scalars that count: as many operations as the rule says, and the value
that a difference quotient of the function gives.
"""

from __future__ import annotations

import math

import pytest

from multiprof.backward import RULES
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally
from multiprof.testing.counting import erf, exp, log, select, sigmoid, tanh

ELEMENTS = 6


def cos(x):
    return x.transcendental(math.cos)


def sin(x):
    return x.transcendental(math.sin)


def softplus(x):
    return math.log1p(math.exp(x))


def logistic(x):
    return 1 / (1 + math.exp(-x))


def mish(g, x, y):
    t, s = tanh(log(exp(x) + 1)), sigmoid(x)
    return g * (t + x * s * (1 - t * t))


def silu(g, x, y):
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def gelu(g, x, y):
    density = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return g * ((erf(x * math.sqrt(0.5)) + 1) * 0.5 + x * density)


def gelu_tanh(g, x, y):
    beta, kappa = math.sqrt(2 / math.pi), 0.044715
    square = x * x
    t = tanh((x + square * x * kappa) * beta)
    left = x * 0.5
    return g * ((t + 1) * 0.5 + left * (1 - t * t) * ((square * (3 * kappa) + 1) * beta))


def softplus_grad(g, x, y):
    z = exp(x * 1.0)
    return select(x.value > 20, g, g * z / (z + 1))


def sign_times(g, x, y):
    one, zero = x.tally.scalar(1.0), x.tally.scalar(0.0)
    return g * select(x.value == 0, zero, select(x.value > 0, one, -1.0))


# op: function of a number, its gradient over counting scalars from g, x and y, and attributes
UNARY = {
    "relu": (lambda x: max(x, 0), lambda g, x, y: select(y.value > 0, g, 0.0), {}),
    "leaky_relu": (lambda x: x if x > 0 else 0.1 * x, lambda g, x, y: select(x.value > 0, g, g * 0.1), {}),
    "sigmoid": (logistic, lambda g, x, y: g * (1 - y) * y, {}),
    "tanh": (math.tanh, lambda g, x, y: g * (1 - y * y), {}),
    "silu": (lambda x: x * logistic(x), silu, {}),
    "mish": (lambda x: x * math.tanh(softplus(x)), mish, {}),
    "softplus": (softplus, softplus_grad, {}),
    "gelu": (lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))), gelu, {}),
    "gelu tanh": (
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        gelu_tanh,
        {"approximate": "tanh"},
    ),
    "elu": (
        lambda x: x if x > 0 else 2 * math.expm1(x),
        lambda g, x, y: select(x.value > 0, g, g * 2.0 * exp(x)),
        {"alpha": 2.0},
    ),
    "tanh_shrink": (lambda x: x - math.tanh(x), lambda g, x, y: g - g * (1 - tanh_kept(x) * tanh_kept(x)), {}),
    "neg": (lambda x: -x, lambda g, x, y: -g, {}),
    "abs": (abs, sign_times, {}),
    "reciprocal": (lambda x: 1 / x, lambda g, x, y: -(g * (y * y)), {}),
    "square": (lambda x: x * x, lambda g, x, y: g * (x * 2.0), {}),
    "sqrt": (math.sqrt, lambda g, x, y: g / (y * 2.0), {}),
    "rsqrt": (lambda x: x**-0.5, lambda g, x, y: g * -0.5 * (y * y * y), {}),
    "exp": (math.exp, lambda g, x, y: g * y, {}),
    "exp2": (lambda x: 2**x, lambda g, x, y: g * y * math.log(2), {}),
    "expm1": (math.expm1, lambda g, x, y: g * (y + 1), {}),
    "log": (math.log, lambda g, x, y: g / x, {}),
    "log2": (math.log2, lambda g, x, y: g / (x * math.log(2)), {}),
    "log10": (math.log10, lambda g, x, y: g / (x * math.log(10)), {}),
    "log1p": (math.log1p, lambda g, x, y: g / (x + 1), {}),
    "sin": (math.sin, lambda g, x, y: g * cos(x), {}),
    "cos": (math.cos, lambda g, x, y: -(g * sin(x)), {}),
    "tan": (math.tan, lambda g, x, y: g * (y * y + 1), {}),
    "asin": (math.asin, lambda g, x, y: g * rsqrt(1 - x * x), {}),
    "acos": (math.acos, lambda g, x, y: -(g * rsqrt(1 - x * x)), {}),
    "atan": (math.atan, lambda g, x, y: g / (x * x + 1), {}),
    "sinh": (math.sinh, lambda g, x, y: g * x.transcendental(math.cosh), {}),
    "cosh": (math.cosh, lambda g, x, y: g * x.transcendental(math.sinh), {}),
    "asinh": (math.asinh, lambda g, x, y: g * rsqrt(x * x + 1), {}),
    "atanh": (math.atanh, lambda g, x, y: g / (1 - x * x), {}),
    "erf": (math.erf, lambda g, x, y: exp(-(x * x)) * (2 / math.sqrt(math.pi)) * g, {}),
    "logit": (lambda x: math.log(x / (1 - x)), lambda g, x, y: g / (x * (1 - x)), {}),
    "clip": (
        lambda x: min(max(x, 0.2), 0.6),
        lambda g, x, y: select(bool(int(x > 0.2) & int(x < 0.6)), g, 0.0),
        {"min": 0.2, "max": 0.6},
    ),
}


def rsqrt(x):
    return x.transcendental(lambda value: value**-0.5)


def tanh_kept(x):
    """The tangent that the forward pass made, and kept."""
    return x.tally.scalar(math.tanh(x.value))


@pytest.mark.parametrize("name", UNARY)
def test_a_gradient_takes_what_its_formula_does_and_is_the_slope(name):
    function, gradient, attrs = UNARY[name]
    tally = Tally(seed=3)
    g = tally.array((ELEMENTS,))
    step = 1e-6
    with tally.term("input_grad"):
        for i in range(ELEMENTS):
            at = 0.15 + 0.1 * i  # inside every domain, and on no kink
            x, y = tally.scalar(at), tally.scalar(function(at))
            slope = (function(at + step) - function(at - step)) / (2 * step)
            assert gradient(g.at(i), x, y).value == pytest.approx(g.at(i).value * slope, abs=1e-6)
    op = name.split()[0]
    spec = TensorSpec((ELEMENTS,))
    layer = Layer(name, op, {"x": spec}, {"y": spec}, attrs)
    assert RULES[op].price(layer, frozenset("x")).terms == tally.terms


# op: gradients of x0 and of x1, from g, x0, x1 and y
BINARY = {
    "mul": (lambda a, b: a * b, lambda g, a, b, y: g * b, lambda g, a, b, y: g * a),
    "div": (lambda a, b: a / b, lambda g, a, b, y: g / b, lambda g, a, b, y: -(g * (a / b / b))),
    "atan2": (
        math.atan2,
        lambda g, a, b, y: g * b / (a * a + b * b),
        lambda g, a, b, y: -(g * a / (a * a + b * b)),
    ),
    "hypot": (math.hypot, lambda g, a, b, y: g * (a / y), lambda g, a, b, y: g * (b / y)),
    "logaddexp": (
        lambda a, b: math.log(math.exp(a) + math.exp(b)),
        lambda g, a, b, y: g / (exp(b - a) + 1),
        lambda g, a, b, y: g / (exp(a - b) + 1),
    ),
}


@pytest.mark.parametrize("op", BINARY)
def test_gradients_of_both_operands(op):
    function, *gradients = BINARY[op]
    a, b, step = 0.4, 0.7, 1e-6
    slopes = (
        (function(a + step, b) - function(a - step, b)) / (2 * step),
        (function(a, b + step) - function(a, b - step)) / (2 * step),
    )
    spec = TensorSpec((1,))
    layer = Layer(op, op, {"x0": spec, "x1": spec}, {"y": spec}, {})
    for role, gradient, slope in zip(("x0", "x1"), gradients, slopes, strict=True):
        tally = Tally()
        with tally.term(f"{role}_grad"):
            found = gradient(tally.scalar(0.3), tally.scalar(a), tally.scalar(b), tally.scalar(function(a, b)))
        assert found.value == pytest.approx(0.3 * slope, abs=1e-6)
        assert RULES[op].price(layer, frozenset((role,))).terms == tally.terms


def test_the_gradient_of_a_broadcast_operand_is_summed():
    inputs = {"x0": TensorSpec((4, 5)), "x1": TensorSpec((5,))}
    layer = Layer("b", "mul", inputs, {"y": TensorSpec((4, 5))}, {})
    terms = RULES["mul"].price(layer, frozenset(("x0", "x1"))).terms
    assert terms["x0_grad"].muls == terms["x1_grad"].muls == 20
    assert (terms["x0_grad"].adds, terms["x1_grad"].adds) == (0, 15)  # 5 sums of 4


def test_only_what_is_wanted_is_priced_and_kept():
    spec = TensorSpec((3,))
    layer = Layer("m", "mul", {"x0": spec, "x1": spec}, {"y": spec}, {})
    rule = RULES["mul"]
    assert list(rule.price(layer, frozenset(("x1",))).terms) == ["x1_grad"]
    assert list(rule.keeps(layer, frozenset(("x1",)))) == ["x0"]
