"""Activations, softmax and dropout by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOAT, HALF, INT, BOOL = torch.float32, torch.float16, torch.int64, torch.bool
NN = torch._C._nn

# op -> every function of torch that is this activation and leaves its argument alone
FACES: dict[str, list[Any]] = {
    "relu": [torch.relu, torch.Tensor.relu, F.relu],
    "relu6": [F.relu6, NN.relu6],
    "hard_tanh": [F.hardtanh, NN.hardtanh],
    "leaky_relu": [F.leaky_relu, NN.leaky_relu],
    "elu": [F.elu, NN.elu],
    "selu": [F.selu, torch.selu],
    "celu": [F.celu, torch.celu],
    "silu": [F.silu, NN.silu],
    "mish": [F.mish, NN.mish],
    "sigmoid": [F.sigmoid, torch.sigmoid, torch.Tensor.sigmoid, torch.special.expit],
    "tanh": [F.tanh, torch.tanh, torch.Tensor.tanh],
    "hard_sigmoid": [F.hardsigmoid, NN.hardsigmoid],
    "hard_swish": [F.hardswish, NN.hardswish],
    "softsign": [F.softsign],
    "tanh_shrink": [F.tanhshrink],
    "log_sigmoid": [F.logsigmoid],
    "softplus": [F.softplus],
    "soft_shrink": [F.softshrink],
    "hard_shrink": [F.hardshrink, torch.hardshrink, torch.Tensor.hardshrink],
    "gelu": [F.gelu],
    "rrelu": [F.rrelu, torch.rrelu],
    "threshold": [lambda x: F.threshold(x, 0.5, 2), lambda x: torch.threshold(x, 0.5, 2)],
}
# The same, written into the argument.
IN_PLACE: dict[str, list[Any]] = {
    "relu": [torch.relu_, torch.Tensor.relu_, F.relu_, lambda x: F.relu(x, inplace=True)],
    "relu6": [lambda x: F.relu6(x, True), NN.relu6_],
    "hard_tanh": [lambda x: F.hardtanh(x, inplace=True), F.hardtanh_],
    "leaky_relu": [lambda x: F.leaky_relu(x, inplace=True), F.leaky_relu_],
    "elu": [lambda x: F.elu(x, inplace=True), F.elu_],
    "selu": [lambda x: F.selu(x, inplace=True), F.selu_, torch.selu_],
    "celu": [lambda x: F.celu(x, inplace=True), F.celu_],
    "silu": [lambda x: F.silu(x, inplace=True), NN.silu_],
    "mish": [lambda x: F.mish(x, inplace=True)],
    "sigmoid": [torch.sigmoid_, torch.Tensor.sigmoid_],
    "tanh": [torch.tanh_, torch.Tensor.tanh_],
    "hard_sigmoid": [lambda x: F.hardsigmoid(x, inplace=True)],
    "hard_swish": [lambda x: F.hardswish(x, inplace=True)],
    "rrelu": [lambda x: F.rrelu(x, inplace=True)],
    "threshold": [lambda x: F.threshold(x, 0.5, 2, inplace=True), lambda x: torch.threshold_(x, 0.5, 2)],
}
MODULES: dict[type[torch.nn.Module], str] = {
    torch.nn.ReLU: "relu",
    torch.nn.ReLU6: "relu6",
    torch.nn.Hardtanh: "hard_tanh",
    torch.nn.LeakyReLU: "leaky_relu",
    torch.nn.RReLU: "rrelu",
    torch.nn.ELU: "elu",
    torch.nn.SELU: "selu",
    torch.nn.CELU: "celu",
    torch.nn.SiLU: "silu",
    torch.nn.Mish: "mish",
    torch.nn.Sigmoid: "sigmoid",
    torch.nn.LogSigmoid: "log_sigmoid",
    torch.nn.Hardsigmoid: "hard_sigmoid",
    torch.nn.Hardswish: "hard_swish",
    torch.nn.Tanh: "tanh",
    torch.nn.Softplus: "softplus",
    torch.nn.Softsign: "softsign",
    torch.nn.Tanhshrink: "tanh_shrink",
    torch.nn.Softshrink: "soft_shrink",
    torch.nn.Hardshrink: "hard_shrink",
    torch.nn.GELU: "gelu",
    torch.nn.GLU: "glu",
}


@pytest.mark.parametrize("op", FACES)
def test_activation(op: str, compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(60):
        for function in FACES[op]:
            x = random_tensors.tensor(random_tensors.shape(), rng.choice((FLOAT, FLOAT, HALF, torch.bfloat16)))
            call = compare(function, x)
            ruled += call.by_rule
            if call.by_rule:
                assert call.ops == [op]
                assert call.layer.inputs["x"].name == "input0"
        compare(rng.choice(FACES[op]), random_tensors.tensor(random_tensors.shape(), rng.choice((INT, BOOL))))
    assert ruled > 35 * len(FACES[op])


@pytest.mark.parametrize("op", IN_PLACE)
def test_activation_in_place(op: str, compare: Any, random_tensors: Any) -> None:
    for _ in range(20):
        for function in IN_PLACE[op]:
            x = random_tensors.permuted(random_tensors.shape())
            call = compare(function, x)
            assert call.by_rule
            assert call.result is call.given[0]
            assert (call.layer.op, call.layer.aliases) == (op, (("y", "x", "write"),))
    compare(IN_PLACE[op][0], random_tensors.plain((2, 3), INT))
    expanded = compare(lambda x: IN_PLACE[op][0](x[:1].expand(2, 3)), random_tensors.plain((2, 3)))
    assert not expanded.by_rule


@pytest.mark.parametrize("module", MODULES)
def test_module(module: type[torch.nn.Module], compare: Any, random_tensors: Any) -> None:
    call = compare(module().eval(), random_tensors.plain((2, 4, 6, 8)))
    assert call.by_rule
    assert call.ops == [MODULES[module]]


@pytest.mark.parametrize(
    ("function", "attrs"),
    [
        (lambda x: F.leaky_relu(x, 0.2), {"negative_slope": 0.2}),
        (lambda x: F.elu(x, 0.5), {"alpha": 0.5}),
        (lambda x: F.celu(x, 0.5), {"alpha": 0.5}),
        (lambda x: F.hardtanh(x, -2, 3), {"min": -2, "max": 3}),
        (lambda x: F.softplus(x, 2, 10), {"beta": 2, "threshold": 10}),
        (lambda x: F.softshrink(x, 0.1), {"lambda": 0.1}),
        (lambda x: F.hardshrink(x, 0.1), {"lambda": 0.1}),
        (lambda x: F.threshold(x, 0.1, 20), {"threshold": 0.1, "value": 20}),
        (lambda x: F.gelu(x), {"approximate": "none"}),
        (lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"}),
        (lambda x: F.rrelu(x, 0.1, 0.3), {"lower": 0.1, "upper": 0.3}),
    ],
)
def test_attributes(function: Any, attrs: dict[str, Any], compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3))
    layer = compare(function, x).layer
    assert layer.attrs == attrs
    if layer.op != "rrelu":
        beneath = compare_aten(function, x).layer
        assert (beneath.op, beneath.attrs) == (layer.op, layer.attrs)


@pytest.mark.parametrize("op", [op for op in FACES if op not in ("softsign", "tanh_shrink", "rrelu")])
def test_activation_of_aten(op: str, compare_aten: Any, random_tensors: Any) -> None:
    """Without a rule for the function, its operators lead to the same layer."""
    for function in FACES[op]:
        assert compare_aten(function, random_tensors.plain((2, 3))).ops == [op]
    for function in IN_PLACE.get(op, ()):
        call = compare_aten(function, random_tensors.plain((2, 3)))
        if op != "mish":
            assert call.ops == [op]
            assert call.layer.aliases == (("y", "x", "write"),)


def test_bad_arguments(compare: Any, random_tensors: Any) -> None:
    """torch raises, here or where there are values."""
    x = random_tensors.plain((2, 3))
    for function in (
        lambda x: F.softshrink(x, -1),
        lambda x: F.celu(x, 0),
        lambda x: F.gelu(x, approximate="cube"),
        lambda x: F.hardtanh(x, 2, 1),
        lambda x: F.glu(x, 1),
        lambda x: F.glu(x, 4),
        lambda x: F.dropout(x, 2.0),
        lambda x: F.dropout(x, -1.0, training=False),
        lambda x: F.dropout1d(x[0], 0.5, False),
        lambda x: F.softmax(x, 7),
        lambda x: F.log_softmax(x, -3),
        lambda x: F.prelu(x, x),
        lambda x: F.prelu(x, x[0, :2]),
    ):
        assert not compare(function, x).by_rule


def test_glu(compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    ruled = 0
    for _ in range(300):
        shape = random_tensors.shape(random_tensors.rng.randint(1, 4))
        axis = random_tensors.rng.randrange(-len(shape), len(shape))
        shape = tuple(2 * n if i == axis % len(shape) else n for i, n in enumerate(shape))
        call = compare(F.glu, random_tensors.tensor(shape), axis)
        ruled += call.by_rule
        if call.by_rule:
            assert (call.layer.op, call.layer.attrs) == ("glu", {"axis": axis % len(shape)})
    assert ruled > 50
    assert compare(F.glu, random_tensors.plain((2, 3, 4))).by_rule
    assert compare_aten(F.glu, random_tensors.plain((2, 3, 4))).layer.attrs == {"axis": 2}


def test_prelu(compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    ruled = 0
    for _ in range(300):
        x = random_tensors.tensor(random_tensors.shape())
        count = random_tensors.rng.choice((1, 1, 2, 3, x.shape[1] if x.dim() > 1 else 4))
        shape = random_tensors.rng.choice(((count,), ()) if count == 1 else ((count,),))
        weight = torch.nn.Parameter(random_tensors.plain(shape, random_tensors.rng.choice((FLOAT, FLOAT, FLOAT, HALF))))
        call = compare(F.prelu, x, weight)
        ruled += call.by_rule
        if call.by_rule:
            assert call.layer.op == "prelu"
            assert call.layer.inputs["weight"].name == "weight1"
    assert ruled > 100
    call = compare_aten(F.prelu, random_tensors.plain((2, 3, 4)), torch.nn.Parameter(random_tensors.plain((3,))))
    assert call.ops[-1] == "prelu"


def test_random_slopes(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3))
    assert compare(lambda x: F.rrelu(x, training=True), x).ops[-4:] == ["random", "mul", "less_equal", "where"]


SOFTMAX: dict[str, list[Any]] = {
    "softmax": [torch.softmax, F.softmax, torch.Tensor.softmax, torch.special.softmax],
    "log_softmax": [torch.log_softmax, F.log_softmax, torch.Tensor.log_softmax, torch.special.log_softmax],
}


@pytest.mark.parametrize("op", SOFTMAX)
def test_softmax(op: str, compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for function in SOFTMAX[op]:
        for _ in range(80):
            x = random_tensors.tensor(random_tensors.shape(), rng.choice((FLOAT, FLOAT, FLOAT, HALF, INT)))
            axis = rng.randint(-max(x.dim(), 1), max(x.dim(), 1) - 1)
            dtype = rng.choice((None, None, FLOAT, torch.float64, torch.bfloat16, INT))
            call = compare(function, x, axis, dtype=dtype)
            ruled += call.by_rule
            if call.by_rule:
                layer = call.layers[-1]
                n = x.shape[axis] if x.dim() else 1
                assert (layer.op, layer.attrs) == (op, {"axis": (axis % max(x.dim(), 1),), "n": n})
                assert call.ops[:-1] == ([] if dtype in (None, x.dtype) else ["cast"])
    assert ruled > 150
    for function in SOFTMAX[op]:
        call = compare_aten(function, random_tensors.plain((2, 3, 4)), 1)
        assert (call.layer.op, call.layer.attrs) == (op, {"axis": (1,), "n": 3})
    compare(getattr(F, op), random_tensors.plain((2, 3)))


def test_softmin(compare: Any, random_tensors: Any) -> None:
    for _ in range(60):
        x = random_tensors.tensor(random_tensors.shape(random_tensors.rng.randint(1, 4)))
        call = compare(F.softmin, x, random_tensors.rng.randrange(x.dim()))
        assert call.by_rule
        assert call.ops == ["neg", "softmax"]
    assert compare(torch.nn.Softmax2d(), random_tensors.plain((2, 3, 4, 5))).layer.attrs == {"axis": (1,), "n": 3}


DROPOUTS: list[tuple[Any, tuple[int, ...]]] = [
    (F.dropout, (2, 3)),
    (F.alpha_dropout, (2, 3)),
    (F.feature_alpha_dropout, (2, 3)),
    (F.dropout1d, (2, 3, 4)),
    (F.dropout1d, (3, 4)),
    (F.dropout2d, (2, 3, 4, 4)),
    (F.dropout3d, (2, 3, 4, 4, 4)),
    (F.dropout3d, (3, 4, 4, 4)),
]


@pytest.mark.parametrize(("function", "shape"), DROPOUTS)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_at_inference(function: Any, shape: Any, inplace: bool, compare: Any, random_tensors: Any) -> None:
    """A free layer whose output is its input; in torch it is the very same tensor."""
    for x in (random_tensors.plain(shape), random_tensors.strided(shape), random_tensors.plain(shape, HALF)):
        call = compare(function, x, 0.3, False, inplace)
        assert call.by_rule
        assert (call.layer.op, call.layer.attrs) == ("dropout", {"p": 0.3})
        assert call.layer.aliases == (("y", "x", "view"),)


@pytest.mark.parametrize(("function", "shape"), DROPOUTS)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_that_is_applied(function: Any, shape: Any, inplace: bool, compare: Any, random_tensors: Any) -> None:
    call = compare(function, random_tensors.plain(shape), 0.3, True, inplace)
    assert call.error is None
    assert "random" in call.ops
    if function is F.dropout:
        assert call.by_rule
        assert call.ops == ["random", "div", "mul"]
        assert call.layers[1].attrs == {"scalar": 0.7}
        assert (call.result is call.given[0]) is inplace
    for p in (0.0, 1.0):
        compare(function, random_tensors.plain(shape), p, True, inplace)


def test_dropout_of_a_weight_at_inference_is_the_weight(compare: Any, random_tensors: Any) -> None:
    weight = torch.nn.Parameter(random_tensors.plain((2, 3)))
    call = compare(lambda x, w: F.linear(x, F.dropout(w, training=False)), random_tensors.plain((4, 3)), weight)
    assert call.ops == ["linear"]
    assert call.layer.inputs["weight"].name == "weight1"


def test_write_to_the_result_of_a_dropout_writes_its_input(compare: Any, random_tensors: Any) -> None:
    def function(x: Any) -> Any:
        y = F.dropout(x, training=False)
        y.add_(1)
        return x.relu()

    call = compare(function, random_tensors.plain((2, 3)))
    add, relu = call.layers[1:]
    assert relu.inputs["x"].name in {spec.name for spec in add.outputs.values()}


def test_functions_of_dropout_in_torch(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 4, 4))
    for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"):
        assert compare(getattr(torch, name), x, 0.5, False).ops == ["dropout"]
        assert compare(getattr(torch, f"{name}_"), x, 0.5, False).ops == ["dropout"]
        assert compare(getattr(torch, name), x, 0.5, True).error is None
    assert compare(torch.nn.Dropout(0.1).eval(), x).layer.attrs == {"p": 0.1}
    assert compare(torch.nn.Dropout(0.1).train(), x).ops == ["random", "div", "mul"]
