"""Gradients of contractions against the products that naive loops made, each run backward."""

from __future__ import annotations

import pytest

from multiprof.backward import RULES
from multiprof.cost import Counts
from multiprof.formulas.conv import conv, conv_transpose
from multiprof.ir import Layer, TensorSpec
from multiprof.testing import cells, loops

ALL = frozenset(("x", "weight", "bias"))

# batch, spatial size, groups, C_i and C_o of a group, kernel, stride, padding, dilation
WINDOWS = [
    (2, (5,), 1, 2, 3, (3,), (1,), ((1, 1),), (1,)),
    (1, (5, 6), 1, 2, 2, (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 1)),
    (1, (6, 6), 3, 1, 1, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    (2, (7, 7), 2, 2, 1, (2, 2), (2, 2), ((0, 0), (1, 1)), (2, 2)),
    (1, (4, 3, 4), 1, 1, 2, (2, 2, 2), (1, 1, 1), ((0, 0), (1, 1), (0, 0)), (1, 1, 2)),
]
NAMES = ["1d", "strided, uneven padding", "depthwise", "grouped, dilated", "3d"]


def layer(op, x, weight, y, kernel, groups):
    attrs = {"kernel_size": kernel, "groups": groups, "in_channels": x[1], "out_channels": y[1]}
    inputs = {"x": TensorSpec(x), "weight": TensorSpec(weight), "bias": TensorSpec((y[1],))}
    return Layer(op, op, inputs, {"y": TensorSpec(y)}, attrs)


@pytest.mark.parametrize(
    ("batch", "size", "groups", "c_i", "c_o", "kernel", "stride", "padding", "dilation"), WINDOWS, ids=NAMES
)
def test_conv(tape, of, batch, size, groups, c_i, c_o, kernel, stride, padding, dilation):
    x = tape.array((batch, groups * c_i, *size))
    weight = tape.array((groups * c_o, c_i, *kernel))
    y = loops.conv(tape, x, weight, None, stride, padding, dilation, groups)
    made = layer("conv", x.shape, weight.shape, y.shape, kernel, groups)
    terms = RULES["conv"].price(made, ALL).terms
    weights = of(weight)
    # padding counts as if computed, forward and backward
    assert terms["input_grad"].macs == tape.macs_back(lambda s: id(s) not in weights)
    assert terms["weight_grad"].macs == tape.macs_back(lambda s: id(s) in weights)
    assert terms["input_grad"].macs == terms["weight_grad"].macs == conv.price(made).macs
    # the gradient of a bias is the sum of its channel: n − 1 additions for n places
    places = len(list(y.indices())) // y.shape[1]
    assert terms["bias_grad"] == Counts(adds=y.shape[1] * (places - 1))


@pytest.mark.parametrize(
    ("batch", "size", "groups", "c_i", "c_o", "kernel", "stride", "padding", "dilation"), WINDOWS, ids=NAMES
)
def test_conv_transpose(tape, of, batch, size, groups, c_i, c_o, kernel, stride, padding, dilation):
    x = tape.array((batch, groups * c_i, *size))
    weight = tape.array((groups * c_i, c_o, *kernel))
    y = loops.conv_transpose(tape, x, weight, None, stride, padding, (0,) * len(size), dilation, groups)
    made = layer("conv_transpose", x.shape, weight.shape, y.shape, kernel, groups)
    terms = RULES["conv_transpose"].price(made, ALL).terms
    inputs, weights = of(x), of(weight)
    assert terms["input_grad"].macs == tape.macs_back(lambda s: id(s) in inputs) == conv_transpose.price(made).macs
    assert terms["weight_grad"].macs == tape.macs_back(lambda s: id(s) in weights)


def test_linear_of_the_worked_example(tape, of):
    """300 → 100 on 4 samples: 120,000 macs for each gradient, 300 adds for the bias (4·100 − 100)."""
    inputs = {"x": TensorSpec((4, 300)), "weight": TensorSpec((100, 300)), "bias": TensorSpec((100,))}
    made = Layer("fc", "linear", inputs, {"y": TensorSpec((4, 100))}, {"in_features": 300, "out_features": 100})
    terms = RULES["linear"].price(made, ALL).terms
    assert terms == {
        "input_grad": Counts(macs=120_000, dots=4 * 300),
        "weight_grad": Counts(macs=120_000, dots=300 * 100),
        "bias_grad": Counts(adds=300),
    }
    assert list(RULES["linear"].price(made, frozenset(("bias",))).terms) == ["bias_grad"]
    x, weight = tape.array((4, 300)), tape.array((100, 300))
    loops.linear(tape, x, weight, None)
    values, weights = of(x), of(weight)
    assert tape.macs_back(lambda s: id(s) in values) == tape.macs_back(lambda s: id(s) in weights) == 120_000


@pytest.mark.parametrize(("a", "b"), [((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (1, 4, 5))])
def test_matmul(tape, of, a, b):
    x0, x1 = tape.array(a), tape.array(b)
    y = loops.matmul(tape, x0, x1)
    made = Layer(
        "m", "matmul", {"x0": TensorSpec(a), "x1": TensorSpec(b)}, {"y": TensorSpec(y.shape)}, {"contracted": 4}
    )
    terms = RULES["matmul"].price(made, frozenset(("x0", "x1"))).terms
    left, right = of(x0), of(x1)
    assert terms["x0_grad"].macs == tape.macs_back(lambda s: id(s) in left)
    assert terms["x1_grad"].macs == tape.macs_back(lambda s: id(s) in right)
    # an operand broadcast over a batch of 2 has two gradients, which are added
    assert terms["x1_grad"].adds == (4 * 5 if b[0] == 1 and a[0] == 2 else 0)


@pytest.mark.parametrize(
    ("op", "projection", "reverse"),
    [("lstm", 0, False), ("lstm", 0, True), ("lstm", 2, False), ("gru", 0, False), ("gru", 0, True), ("rnn", 0, False)],
)
def test_recurrent(tape, of, op, projection, reverse):
    """Two sequences of 4 and 3 steps; their first states are zeros, which need no gradient."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[op]
    c_i, h, lengths = 3, 4, (4, 3)
    r = projection or h
    weight_ih, weight_hh = tape.array((gates * h, c_i)), tape.array((gates * h, r))
    weight_hr = tape.array((projection, h)) if projection else None
    sequences = [tape.array((length, c_i)) for length in lengths]
    more = {"weight_hr": weight_hr} if projection else {}
    getattr(cells, op)(tape, sequences, weight_ih, weight_hh, reverse=reverse, **more)
    steps = sum(lengths)
    inputs = {"x": TensorSpec((steps, c_i)), "weight_ih": TensorSpec((gates * h, c_i))}
    inputs |= {"weight_hh": TensorSpec((gates * h, r))}
    if projection:
        inputs["weight_hr"] = TensorSpec((projection, h))
    attrs = {"steps": steps, "input_size": c_i, "hidden_size": h, "batch_sizes": (2, 2, 2, 1), "proj_size": projection}
    made = Layer("r", op, inputs, {"y": TensorSpec((steps, r))}, attrs)
    terms = RULES[op].price(made, frozenset(inputs)).terms
    x = set().union(*(of(sequence) for sequence in sequences))
    w_ih, w_hh = of(weight_ih), of(weight_hh)
    w_hr = of(weight_hr) if weight_hr is not None else set()
    assert terms["input_grad"].macs == tape.macs_back(lambda s: id(s) in x)
    assert terms["weight_ih_grad"].macs == tape.macs_back(lambda s: id(s) in w_ih)
    assert terms["weight_hh_grad"].macs == tape.macs_back(lambda s: id(s) in w_hh)
    leaves = x | w_ih | w_hh | w_hr
    computed = tape.macs_back(lambda s: id(s) not in leaves and id(s) not in tape.constants)
    assert terms["state_grad"].macs + (terms["projection_grad"].macs if projection else 0) == computed
    if projection:
        assert terms["weight_hr_grad"].macs == tape.macs_back(lambda s: id(s) in w_hr)
    without = RULES[op].price(made, frozenset(inputs) - {"x"}).terms
    assert "input_grad" not in without and without["state_grad"] == terms["state_grad"]


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention(tape, of, kv_heads):
    q, k, v = tape.array((2, 4, 3, 5)), tape.array((2, kv_heads, 6, 5)), tape.array((2, kv_heads, 6, 2))
    loops.attention(tape, q, k, v, scale=0.5)
    specs = {"q": TensorSpec(q.shape), "k": TensorSpec(k.shape), "v": TensorSpec(v.shape)}
    attrs = {
        "batch": 2,
        "heads": 4,
        "kv_heads": kv_heads,
        "q_len": 3,
        "kv_len": 6,
        "qk_dim": 5,
        "v_dim": 2,
        "scale": 0.5,
    }
    made = Layer("a", "attention", specs, {"y": TensorSpec((2, 4, 3, 2))}, attrs)
    terms = RULES["attention"].price(made, frozenset("qkv")).terms
    parts = {name: of(array) for name, array in (("q", q), ("k", k), ("v", v))}
    for name, members in parts.items():
        assert terms[f"{name}_grad"].macs == tape.macs_back(lambda s, members=members: id(s) in members)
    # what is no operand is a probability: its gradient is the scores'
    leaves = parts["q"] | parts["k"] | parts["v"]
    assert terms["scores_grad"].macs == tape.macs_back(lambda s: id(s) not in leaves)
    # a fused kernel makes the scores again: each a dot product over 5
    assert terms["recompute"].macs == 2 * 4 * 3 * 6 * 5
    # where the weights are a result, they are there already
    kept = Layer("a", "attention", specs, made.outputs | {"weights": TensorSpec((2, 4, 3, 6))}, attrs)
    assert "recompute" not in RULES["attention"].price(kept, frozenset("qkv")).terms
