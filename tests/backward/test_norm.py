"""Gradients of normalisation, softmax and pooling: loops over counting scalars, whose values a difference quotient
confirms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from multiprof.backward import RULES
from multiprof.cost import Counts
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import Tally
from multiprof.testing.counting import exp, total

STEP, EPS = 1e-5, 1e-3


def slopes(function: Callable[[list[float]], list[float]], x: list[float], g: list[float]) -> list[float]:
    """dL/dx of L = Σ g·function(x), by differences."""

    def loss(values: list[float]) -> float:
        return sum(a * b for a, b in zip(g, function(values), strict=True))

    found = []
    for i in range(len(x)):
        up, down = list(x), list(x)
        up[i] += STEP
        down[i] -= STEP
        found.append((loss(up) - loss(down)) / (2 * STEP))
    return found


def standardised(values: list[float]) -> tuple[list[float], float, float]:
    mean = sum(values) / len(values)
    rstd = (sum((v - mean) ** 2 for v in values) / len(values) + EPS) ** -0.5
    return [(v - mean) * rstd for v in values], mean, rstd


X = [0.3, -0.8, 1.1, 0.4, -0.2, 0.9]
G = [0.5, 0.1, -0.7, 0.2, 0.9, -0.3]
W = [1.2, 0.7, -0.4, 0.3, 1.5, 0.6]
N = len(X)


def test_layer_norm_of_one_group():
    """M = 1 group of n = 6: input 4·6 − 2 + 3 adds, 4·6 + 8 muls; weight 2·6 muls, 6 adds; bias none."""
    tally = Tally()
    _, mean_value, rstd_value = standardised(X)
    x, g, w = ([tally.scalar(v) for v in values] for values in (X, G, W))
    mean, rstd, share = tally.scalar(mean_value), tally.scalar(rstd_value), 1 / N
    with tally.term("input_grad"):
        gw = [a * b for a, b in zip(g, w, strict=True)]
        ds = total([a * b for a, b in zip(gw, x, strict=True)])
        db = total(gw)
        b = (db * mean - ds) * (rstd * rstd * rstd) * share
        c = -(b * mean) - db * rstd * share
        found = [rstd * a + b * value + c for a, value in zip(gw, x, strict=True)]
    with tally.term("weight_grad"):
        for a, value in zip(g, x, strict=True):
            a * ((value - mean) * rstd)  # each weight meets one group: nothing to sum
    wanted = slopes(lambda v: [a * b for a, b in zip(standardised(v)[0], W, strict=True)], X, G)
    assert [v.value for v in found] == pytest.approx(wanted, abs=1e-6)
    spec = TensorSpec((1, N))
    inputs = {"x": spec, "weight": TensorSpec((N,)), "bias": TensorSpec((N,))}
    layer = Layer("n", "layer_norm", inputs, {"y": spec}, {"normalized_size": N})
    terms = RULES["layer_norm"].price(layer, frozenset(("x", "weight", "bias"))).terms
    assert terms == tally.terms | {"bias_grad": Counts()}


def test_batch_norm_of_one_channel():
    tally = Tally()
    _, mean_value, rstd_value = standardised(X)
    x, g = ([tally.scalar(v) for v in values] for values in (X, G))
    weight, mean, rstd = (tally.scalar(v) for v in (1.3, mean_value, rstd_value))
    with tally.term("sums"):
        plain = total(g)
        dot = total([a * (value - mean) for a, value in zip(g, x, strict=True)])
    with tally.term("weight_grad"):
        dot * rstd
    with tally.term("input_grad"):
        k = dot / N * (rstd * rstd)
        average, factor = plain / N, rstd * weight
        found = [(a - average - (value - mean) * k) * factor for a, value in zip(g, x, strict=True)]
    wanted = slopes(lambda v: [a * 1.3 for a in standardised(v)[0]], X, G)
    assert [v.value for v in found] == pytest.approx(wanted, abs=1e-6)
    spec = TensorSpec((N, 1))
    inputs = {"x": spec, "weight": TensorSpec((1,)), "bias": TensorSpec((1,))}
    layer = Layer("n", "batch_norm", inputs, {"y": spec}, {"channels": 1, "batch_stats": True})
    assert RULES["batch_norm"].price(layer, frozenset(("x", "weight", "bias"))).terms == tally.terms


def test_rms_norm_of_one_group():
    tally = Tally()

    def forward(values: list[float]) -> list[float]:
        root = (sum(v * v for v in values) / N + EPS) ** -0.5
        return [v * root * w for v, w in zip(values, W, strict=True)]

    x, g, w = ([tally.scalar(v) for v in values] for values in (X, G, W))
    rstd = tally.scalar((sum(v * v for v in X) / N + EPS) ** -0.5)
    with tally.term("input_grad"):
        gw = [a * b for a, b in zip(g, w, strict=True)]
        k = total([a * b for a, b in zip(gw, x, strict=True)]) / N * (rstd * rstd * rstd)
        found = [rstd * a - value * k for a, value in zip(gw, x, strict=True)]
    assert [v.value for v in found] == pytest.approx(slopes(forward, X, G), abs=1e-6)
    spec = TensorSpec((1, N))
    layer = Layer("n", "rms_norm", {"x": spec, "weight": TensorSpec((N,))}, {"y": spec}, {"normalized_size": N})
    assert RULES["rms_norm"].price(layer, frozenset("x")).terms == tally.terms


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax_of_one_group(op):
    def forward(values: list[float]) -> list[float]:
        whole = sum(math.exp(v) for v in values)
        return [math.log(math.exp(v) / whole) if op == "log_softmax" else math.exp(v) / whole for v in values]

    tally = Tally()
    g, y = ([tally.scalar(v) for v in values] for values in (G, forward(X)))
    with tally.term("input_grad"):
        if op == "softmax":
            dot = total([a * b for a, b in zip(g, y, strict=True)])
            found = [b * (a - dot) for a, b in zip(g, y, strict=True)]
        else:
            plain = total(g)
            found = [a - exp(b) * plain for a, b in zip(g, y, strict=True)]
    assert [v.value for v in found] == pytest.approx(slopes(forward, X, G), abs=1e-6)
    spec = TensorSpec((1, N))
    layer = Layer("s", op, {"x": spec}, {"y": spec}, {"n": N})
    assert RULES[op].price(layer, frozenset("x")).terms == tally.terms


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_pooling_adds_to_every_element_that_a_window_took(op):
    """Windows of 3 with stride 2 on 7 elements: three windows; the gradient starts from zeros."""
    x = TensorSpec((1, 1, 7))
    layer = Layer("p", op, {"x": x}, {"y": TensorSpec((1, 1, 3))}, {"kernel_size": (3,)})
    tally = Tally()
    grad = [tally.scalar() for _ in range(7)]
    values = [0.1, 0.9, 0.3, 0.8, 0.2, 0.4, 0.7]
    with tally.term("input_grad"):
        for window in range(3):
            g = tally.scalar(1.0)
            places = range(2 * window, 2 * window + 3)
            if op == "max_pool":
                best = max(places, key=lambda place: values[place])
                grad[best] = grad[best] + g
            else:
                part = g / 3
                for place in places:
                    grad[place] = grad[place] + part
    assert RULES[op].price(layer, frozenset("x")).terms == tally.terms
    # where the maxima stand is kept, 64 bits each, with x; the mean keeps x, as PyTorch does
    assert list(RULES[op].extra(layer, frozenset("x"))) == ([("indices", 24)] if op == "max_pool" else [])
    assert list(RULES[op].keeps(layer, frozenset("x"))) == ["x"]
