"""Element by element: activations, arithmetic, limits, softmax, norms and reductions, in primitives an element."""
# ruff: noqa: E501  # tables: one operator a line

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multiprof.cost import Counts

One = Callable[..., Any]
RNG = np.random.default_rng(11)


def f(*shape: int) -> np.ndarray:
    return RNG.random(shape, dtype=np.float32)


def total(model: Any) -> Counts:
    return sum((layer.cost.counts for layer in model.report.layers), Counts())


# operator, attributes, opset, layers, primitives of an element
ACTIVATIONS: list[tuple[str, dict[str, Any], int, list[str], dict[str, int]]] = [
    ("Relu", {}, 14, ["relu"], {"cmps": 1}),
    ("LeakyRelu", {}, 16, ["leaky_relu"], {"cmps": 1, "muls": 1}),
    ("ThresholdedRelu", {}, 10, ["threshold"], {"cmps": 1}),
    ("Elu", {}, 6, ["elu"], {"cmps": 1, "exps": 1, "adds": 1, "muls": 1}),
    ("Selu", {}, 6, ["selu"], {"cmps": 1, "exps": 1, "adds": 1, "muls": 2}),
    ("Celu", {"alpha": 2.0}, 12, ["celu"], {"cmps": 1, "exps": 1, "adds": 1, "muls": 2}),
    ("Sigmoid", {}, 13, ["sigmoid"], {"adds": 2, "exps": 1, "divs": 1}),
    ("HardSigmoid", {}, 6, ["hard_sigmoid"], {"muls": 1, "adds": 1, "cmps": 2}),
    ("HardSwish", {}, 14, ["hard_swish"], {"muls": 2, "adds": 1, "cmps": 2}),
    ("Tanh", {}, 13, ["tanh"], {"exps": 1}),
    ("Softplus", {}, 1, ["softplus"], {"exps": 2, "adds": 1}),
    ("Softsign", {}, 1, ["softsign"], {"cmps": 1, "adds": 1, "divs": 1}),
    ("Mish", {}, 18, ["mish"], {"exps": 3, "adds": 1, "muls": 1}),
    ("Gelu", {}, 20, ["gelu"], {"muls": 3, "adds": 1, "exps": 1}),
    ("Gelu", {"approximate": "tanh"}, 20, ["gelu"], {"muls": 6, "adds": 2, "exps": 1}),
    ("Swish", {}, 24, ["silu"], {"adds": 2, "exps": 1, "divs": 1, "muls": 1}),
    ("Swish", {"alpha": 1.5}, 24, ["mul", "sigmoid", "mul"], {"adds": 2, "exps": 1, "divs": 1, "muls": 2}),
    ("Shrink", {}, 9, ["hard_shrink"], {"cmps": 2}),
    ("Shrink", {"bias": 0.5, "lambd": 0.5}, 9, ["soft_shrink"], {"cmps": 2, "adds": 1}),
    ("Abs", {}, 13, ["abs"], {"cmps": 1}),
    ("Neg", {}, 13, ["neg"], {"adds": 1}),
    ("Reciprocal", {}, 13, ["reciprocal"], {"divs": 1}),
    ("Sqrt", {}, 13, ["sqrt"], {"exps": 1}),
    ("Erf", {}, 13, ["erf"], {"exps": 1}),
    ("Floor", {}, 13, ["floor"], {"casts": 1}),
    ("IsNaN", {}, 13, ["is_nan"], {"cmps": 1}),
    ("Dropout", {}, 13, ["dropout"], {}),
    ("Identity", {}, 16, ["identity"], {}),
]


@pytest.mark.parametrize(("op_type", "attrs", "version", "ops", "each"), ACTIVATIONS)
def test_one_operand(one: One, op_type: str, attrs: Any, version: int, ops: list[str], each: dict[str, int]) -> None:
    model = one(op_type, {"x": f(3, 5)}, version=version, **attrs)
    assert model.ops == ops
    assert total(model) == Counts(**{name: 15 * n for name, n in each.items()})
    assert model.report.flops == 15 * sum(n for name, n in each.items() if name != "casts")


BINARY = [
    ("Add", "add", {"adds": 1}), ("Sub", "sub", {"adds": 1}), ("Mul", "mul", {"muls": 1}), ("Div", "div", {"divs": 1}),
    ("Equal", "equal", {"cmps": 1}), ("Less", "less", {"cmps": 1}), ("GreaterOrEqual", "greater_equal", {"cmps": 1}),
    ("PRelu", "prelu", {"cmps": 1, "muls": 1}), ("Max", "maximum", {"cmps": 1}), ("Min", "minimum", {"cmps": 1}), ("Sum", "add", {"adds": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "op", "each"), BINARY)
def test_two_operands_broadcast(one: One, op_type: str, op: str, each: dict[str, int]) -> None:
    model = one(op_type, {"x": f(2, 3, 5), "o": f(3, 1)})
    assert model.ops == [op]
    assert total(model) == Counts(**{name: 30 * n for name, n in each.items()})


def test_integers_count_apart(one: One) -> None:
    model = one("Add", {"x": np.ones((2, 3), np.int64), "o": np.ones(3, np.int64)})
    assert total(model) == Counts(ints=6)


def test_any_number_of_operands(one: One) -> None:
    given = {"a": f(3, 1), "b": f(1, 4), "c": f(3, 4)}
    assert total(one("Sum", given)) == Counts(adds=24)
    assert total(one("Max", given)) == Counts(cmps=24)
    model = one("Mean", given)
    assert (model.ops, total(model)) == (["add", "add", "div"], Counts(adds=24, divs=12))
    assert one("Sum", {"a": f(3)}).ops == ["identity"]


@pytest.mark.parametrize(
    ("exponent", "counts"),
    [(2.0, {"muls": 6}), (3.0, {"muls": 12}), (0.5, {"exps": 6}), (-1.0, {"divs": 6}), (1.7, {"exps": 6})],
)
def test_powers(one: One, exponent: float, counts: dict[str, int]) -> None:
    model = one("Pow", {"x": f(2, 3), "e": np.array(exponent, np.float32)}, weights=["e"])
    assert total(model) == Counts(**counts)
    assert total(one("Pow", {"x": f(2, 3), "e": np.array(exponent, np.float32)})) == Counts(exps=6)


def test_limits(one: One) -> None:
    low, high = np.array(0, np.float32), np.array(6, np.float32)
    assert one("Clip", {"x": f(4)}, version=6, min=-1.0, max=1.0).layer.attrs == {"min": -1.0, "max": 1.0}
    assert one("Clip", {"x": f(4)}, version=6, min=0.0, max=6.0).ops == ["relu6"]
    assert one("Clip", {"x": f(4), "a": low, "b": high}, weights=["a", "b"]).ops == ["relu6"]
    assert one("Clip", {"x": f(4), "a": low, "b": high}).ops == ["maximum", "minimum"]
    model = one("Clip", {"x": f(4), "a": None, "b": high}, weights=["b"])
    assert (model.ops, total(model)) == (["clip"], Counts(cmps=4))
    assert one("Clip", {"x": f(4)}).ops == ["identity"]
    assert one("Clip", {"x": f(4), "a": low}).ops == ["maximum"]


def test_conversions(one: One) -> None:
    assert total(one("Cast", {"x": f(4)}, to=10)) == Counts(casts=4)
    assert one("Cast", {"x": f(4)}, to=1).ops == ["identity"]
    assert one("CastLike", {"x": f(4), "o": np.ones(1, np.float16)}).layer.attrs == {"dtype": "float16"}


def test_remainders_and_shifts(one: One) -> None:
    ints = {"x": np.ones(4, np.uint8), "o": np.ones(4, np.uint8)}
    assert one("Mod", {"x": f(4), "o": f(4)}, fmod=1).layer.attrs == {"fmod": True}
    assert one("BitShift", ints, direction="LEFT").ops == ["shift_left"]
    assert one("BitShift", ints, direction="RIGHT").ops == ["shift_right"]


# -- softmax ------------------------------------------------------------------------------------------------------------


def softmax_of(groups: int, n: int) -> Counts:
    return Counts(cmps=groups * (n - 1), adds=groups * (2 * n - 1), exps=groups * n, divs=groups * n)


def test_softmax_is_along_one_axis_and_was_along_the_rest(one: One) -> None:
    x = {"x": f(2, 3, 4)}
    assert total(one("Softmax", x, version=13)) == softmax_of(6, 4)
    assert total(one("Softmax", x, version=13, axis=1)) == softmax_of(8, 3)
    model = one("Softmax", x, version=11)  # from axis 1 on
    assert (model.layer.attrs["axis"], total(model)) == ((1, 2), softmax_of(2, 12))
    assert total(one("Softmax", x, version=11, axis=-1)) == softmax_of(6, 4)
    assert one("LogSoftmax", x, version=13).ops == ["log_softmax"]
    assert one("Hardmax", x, version=13).layer.attrs == {"axis": 2, "n": 4}


# -- norms --------------------------------------------------------------------------------------------------------------


def test_layer_norm_over_eight(one: One) -> None:
    """31 adds, 24 muls, 2 divs, 1 exp, as worked by hand."""
    given = {"x": f(1, 8), "g": f(8), "b": f(8)}
    model = one("LayerNormalization", given, weights=["g", "b"])
    assert total(model) == Counts(adds=31, muls=24, divs=2, exps=1)
    rms = one("RMSNormalization", {"x": f(1, 8), "g": f(8)}, weights=["g"], version=23)
    assert total(rms) == Counts(adds=8, muls=24, divs=1, exps=1)
    wide = one("LayerNormalization", {"x": f(2, 3, 4), "g": f(3, 4)}, ["y", "m", "s"], ["g"], axis=1)
    assert wide.layer.attrs["normalized_size"] == 12
    assert wide.shapes() == wide.executed()


def test_batch_norm(one: One) -> None:
    given = {"x": f(2, 3, 4), "g": f(3), "b": f(3), "m": f(3), "v": f(3)}
    weights = ["g", "b", "m", "v"]
    model = one("BatchNormalization", given, weights=weights)
    assert total(model) == Counts(adds=24, muls=24)
    assert {name: p.kind for name, p in model.report.graph.parameters.items()} == {
        "g": "parameter", "b": "parameter", "m": "buffer", "v": "buffer",
    }  # fmt: skip
    trained = one("BatchNormalization", given, ["y", "m2", "v2"], weights, training_mode=1)
    assert total(trained) == Counts(adds=24, muls=24)
    assert any("trains" in text for text in trained.report.graph.metadata["warnings"])
    everywhere = {"x": f(2, 3, 4), **{name: f(3, 4) for name in weights}}
    assert one("BatchNormalization", everywhere, weights=weights, version=7, spatial=0).layer.attrs["channels"] == 12


@pytest.mark.parametrize("training", [False, True])
def test_a_dropout_that_trains_is_said(one: One, training: bool) -> None:
    operands = {"x": f(2, 3), "ratio": np.float32(0.3), "training": np.array(training)}
    model = one("Dropout", operands, weights=["ratio", "training"], version=13)
    assert (model.layer.op, model.report.flops) == ("dropout", 0)
    assert any("trains" in text for text in model.report.graph.metadata["warnings"]) == training


def test_group_norms(one: One) -> None:
    x, channel = f(2, 6, 4), f(6)
    norm = {"adds": 3 * 48 - 4 + 48, "muls": 2 * 48 + 48, "divs": 2 * 4, "exps": 4}
    for version, weight in ((18, f(2)), (21, channel)):
        model = one(
            "GroupNormalization", {"x": x, "g": weight, "b": weight}, weights=["g", "b"], version=version, num_groups=2
        )
        assert total(model) == Counts(**norm)
    model = one("InstanceNormalization", {"x": x, "g": channel, "b": channel}, weights=["g", "b"])
    assert total(model) == Counts(adds=3 * 48 - 12 + 48, muls=3 * 48, divs=24, exps=12)
    last = {"x": f(2, 2, 2, 6), "g": channel, "b": channel}
    model = one("GroupNorm", last, weights=["g", "b"], domain="com.microsoft", groups=2, activation=1)
    assert (model.ops, model.layers[0].attrs["channels"]) == (["group_norm", "silu"], 6)


def test_other_norms(one: One) -> None:
    model = one("MeanVarianceNormalization", {"x": f(2, 3, 4, 5)})
    assert model.ops == ["std", "sub", "add", "div"]
    # mean and deviation of 3 channels of 40, one small addition each, a difference and a quotient an element
    assert total(model) == Counts(adds=3 * 120 - 2 * 3 + 120 + 3, muls=120, divs=2 * 3 + 120, exps=3)
    model = one("LpNormalization", {"x": f(2, 4)}, p=2)
    assert (model.ops, model.layer.attrs) == (["lp_normalize"], {"axis": (1,), "p": 2})
    model = one("LRN", {"x": f(1, 5, 2, 2)}, size=3)
    assert total(model) == Counts(adds=60, muls=40, exps=20, divs=20)


def test_a_sum_before_a_norm(one: One) -> None:
    given = {"x": f(2, 4, 8), "s": f(2, 4, 8), "g": f(8), "b": f(8), "c": f(8)}
    fused = one("SkipLayerNormalization", given, ["y", "", "", "sum"], ["g", "b", "c"], domain="com.microsoft")
    plain = one("LayerNormalization", {"x": f(2, 4, 8), "g": f(8), "b": f(8)}, weights=["g", "b"]).report
    assert fused.ops == ["add", "add", "layer_norm"]
    assert fused.report.flops == plain.flops + 2 * 64
    assert fused.layers[1].y.name == "sum"


# -- reductions ---------------------------------------------------------------------------------------------------------

# operator, layers, primitives of 24 elements reduced to 6
REDUCTIONS = [
    ("ReduceSum", ["sum"], {"adds": 18}), ("ReduceMean", ["mean"], {"adds": 18, "divs": 6}), ("ReduceMax", ["max"], {"cmps": 18}),
    ("ReduceMin", ["min"], {"cmps": 18}), ("ReduceProd", ["prod"], {"muls": 18}), ("ReduceL1", ["norm"], {"cmps": 24, "adds": 18}),
    ("ReduceL2", ["norm"], {"muls": 24, "adds": 18, "exps": 6}), ("ReduceLogSum", ["sum", "log"], {"adds": 18, "exps": 6}),
    ("ReduceLogSumExp", ["logsumexp"], {"cmps": 18, "adds": 48, "exps": 30}), ("ReduceSumSquare", ["square", "sum"], {"muls": 24, "adds": 18}),
]  # fmt: skip


@pytest.mark.parametrize(("op_type", "ops", "counts"), REDUCTIONS)
def test_reductions(one: One, op_type: str, ops: list[str], counts: dict[str, int]) -> None:
    x, axes = f(2, 3, 4), np.array([-1], np.int64)
    new = one(op_type, {"x": x, "a": axes}, weights=["a"], version=18, keepdims=0)
    old = one(op_type, {"x": x}, version=11, axes=[2], keepdims=0)
    for model in (new, old):
        assert (model.ops, total(model)) == (ops, Counts(**counts))
        assert model.layers[-1].y.shape == (2, 3)
        reducing = model.layers[ops.index("sum")] if "sum" in ops else model.layers[0]
        assert (reducing.attrs["axis"], reducing.attrs["keepdim"]) == ((2,), False)
    whole = one(op_type, {"x": x}, version=18)
    assert whole.layers[-1].y.shape == (1, 1, 1)
    nothing = one(op_type, {"x": x}, version=18, noop_with_empty_axes=1)
    assert nothing.layers[-1].y.shape == (2, 3, 4)
    assert "sum" not in nothing.ops


def test_positions_running_sums_and_the_largest(one: One) -> None:
    x = f(2, 3, 4)
    model = one("ArgMax", {"x": x}, axis=1)
    assert (model.layer.attrs, total(model)) == ({"axis": (1,), "keepdim": True}, Counts(cmps=16))
    model = one("CumSum", {"x": x, "a": np.array(2)}, weights=["a"])
    assert total(model) == Counts(adds=18)
    for version, given in ((1, {"x": x}), (11, {"x": x, "k": np.array([2])})):
        attrs = {"k": 2} if version == 1 else {}
        model = one("TopK", given, ["v", "i"], [n for n in given if n == "k"], version=version, **attrs)
        assert (model.layer.attrs["k"], model.layer.attrs["n"], model.layer.attrs["axis"]) == (2, 4, 2)


# -- losses -------------------------------------------------------------------------------------------------------------


def test_losses(one: One) -> None:
    given = {"x": f(3, 5), "t": np.array([0, 2, 4])}
    model = one("NegativeLogLikelihoodLoss", given)
    assert (model.ops, total(model)) == (["gather", "neg", "mean"], Counts(adds=3 + 2, divs=1))
    model = one("NegativeLogLikelihoodLoss", given | {"w": f(5)}, reduction="sum")
    assert (model.ops, total(model)) == (["gather", "gather", "neg", "mul", "sum"], Counts(adds=3 + 2, muls=3))
    model = one("SoftmaxCrossEntropyLoss", given, ["y", "p"], version=13, reduction="none")
    assert model.ops == ["log_softmax", "gather", "neg"]
    assert model.shapes() == model.executed()
