"""Products added to a tensor: against torch's meta kernels, and the exact layers they make."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

# function, its in-place form, shapes of (input, a, b) as letters, and what is contracted
FUNCTIONS = {
    "addmm": (torch.addmm, torch.Tensor.addmm_, ("nm", "nk", "km"), "k"),
    "addmv": (torch.addmv, None, ("n", "nk", "k"), "k"),
    "addr": (torch.addr, None, ("nm", "n", "m"), ""),
    "addbmm": (torch.addbmm, None, ("nm", "bnk", "bkm"), "bk"),
    "baddbmm": (torch.baddbmm, torch.Tensor.baddbmm_, ("bnm", "bnk", "bkm"), "k"),
}


def meta(shape: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(tuple(shape), dtype=dtype, device="meta")


def weight(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(meta(shape))


def sized(terms: tuple[str, ...], sizes: dict[str, int]) -> list[tuple[int, ...]]:
    return [tuple(sizes[letter] for letter in term) for term in terms]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_random_shapes_and_layouts(compare: Any, name: str) -> None:
    function, in_place, terms, _ = FUNCTIONS[name]
    rng = random.Random(name)
    answered = 0
    for _ in range(60):
        sizes = {letter: rng.randint(1, 4) for letter in "bnkm"}
        shapes = sized(terms, sizes)
        tensors = []
        for shape in shapes:
            order = rng.sample(range(len(shape)), len(shape))
            made = meta([shape[i] for i in order])
            tensors.append(made.permute([order.index(i) for i in range(len(shape))]))
        kwargs = {k: rng.choice((1, 2, 0.5)) for k in ("beta", "alpha") if rng.random() < 0.5}
        if rng.random() < 0.5:  # an input that broadcasts
            wanted = shapes[0][rng.randint(0, len(shapes[0])) :]
            tensors[0] = meta([rng.choice((1, n)) for n in wanted])
        answered += compare(function, *tensors, **kwargs).by_rule
        if in_place and tuple(tensors[0].shape) == shapes[0]:
            assert compare(in_place, *tensors, **kwargs).by_rule
    # addr is elementwise: where its input lies transposed in memory, torch's kernel says how the result does.
    assert answered == 60 or (name == "addr" and answered > 40)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("beta", [1, 0, 3])
@pytest.mark.parametrize("alpha", [1, 2])
def test_the_layers(compare: Any, name: str, beta: int, alpha: int) -> None:
    function, _, terms, contracted = FUNCTIONS[name]
    sizes = {"b": 2, "n": 3, "k": 5, "m": 7}
    shapes = sized(terms, sizes)
    checked = compare(function, *map(meta, shapes), beta=beta, alpha=alpha)
    product = {"addbmm": "einsum", "addr": "einsum"}.get(name, "matmul")
    expected = [product]
    if beta == 0:
        expected += ["mul"] if alpha != 1 else []
    else:
        expected += (["mul"] if beta != 1 else []) + ["add"]
    assert checked.ops == expected
    first, last = checked.layers[0], checked.layers[-1]
    assert first.outputs["y"].shape == shapes[0]
    if product == "matmul":
        assert first.attrs == {"contracted": 5}
    else:
        assert first.attrs == {"equation": "aij,ajk->ik" if contracted else "i,k->ik"}
    if last.op == "add":
        assert last.attrs == ({"alpha": alpha} if alpha != 1 else {})
        assert last.inputs["x1"].name == first.outputs["y"].name
    if "mul" in expected:
        scale = checked.layers[1]
        assert scale.attrs == {"scalar": beta if beta else alpha}
        assert scale.inputs["x0"].name == (first.outputs["y"].name if beta == 0 else "input0")


def test_a_bias_vector_and_a_weight_are_one_linear_layer(compare: Any) -> None:
    """Hugging Face's Conv1D: addmm(bias, x, weight), the weight (in, out)."""
    checked = compare(torch.addmm, weight(7), meta((3, 5)), weight(5, 7))
    assert checked.by_rule
    layer = checked.layer
    assert layer.op == "linear"
    assert {role: spec.shape for role, spec in layer.inputs.items()} == {"x": (3, 5), "weight": (5, 7), "bias": (7,)}
    assert layer.attrs == {"in_features": 5, "out_features": 7, "equation": "ij,jk->ik"}


@pytest.mark.parametrize(
    ("bias", "kwargs", "ops"),
    [
        ((3, 7), {}, ["linear", "add"]),
        ((7,), {"beta": 2}, ["linear", "mul", "add"]),
        ((7,), {"alpha": 2}, ["linear", "add"]),
        ((1, 7), {}, ["linear", "add"]),
        ((), {}, ["linear", "add"]),
    ],
)
def test_other_sums_with_a_weight_are_a_linear_layer_and_an_addition(
    compare: Any, bias: Any, kwargs: Any, ops: Any
) -> None:
    checked = compare(torch.addmm, meta(bias), meta((3, 5)), weight(5, 7), **kwargs)
    assert checked.ops == ops
    assert checked.layers[0].attrs["in_features"] == 5
    assert "bias" not in checked.layers[0].inputs


def test_in_place_sums_write_to_their_first_operand(compare: Any) -> None:
    checked = compare(torch.Tensor.addmm_, meta((3, 7)), meta((3, 5)), meta((5, 7)), beta=2, alpha=3)
    assert checked.ops == ["matmul", "mul", "add"]
    scale, addition = checked.layers[1:]
    assert scale.aliases == (("y", "x0", "write"),)
    assert addition.inputs["x0"].name == scale.outputs["y"].name
    assert addition.aliases == (("y", "x0", "write"),)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_arguments_raise_torchs_error(compare: Any, name: str) -> None:
    function, in_place, terms, _ = FUNCTIONS[name]
    rng = random.Random(name)
    raised = 0
    for _ in range(40):
        shapes = [list(s) for s in sized(terms, {"b": 2, "n": 3, "k": 5, "m": 7})]
        which = rng.randrange(3)
        if rng.random() < 0.3:
            shapes[which].insert(0, 2)
        else:
            shapes[which][rng.randrange(len(shapes[which]))] += 1
        checked = compare(function, *map(meta, shapes))
        raised += checked.error is not None
        if in_place:
            compare(in_place, *map(meta, shapes))
    assert raised > 20


def test_integers_take_no_real_factor(compare: Any) -> None:
    x, a, b = (meta(s, torch.int64) for s in ((3, 7), (3, 5), (5, 7)))
    assert compare(torch.addmm, x, a, b, alpha=2).by_rule
    assert not compare(torch.addmm, x, a, b, alpha=0.5).by_rule


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_beneath(compare_aten: Any, name: str) -> None:
    """The same layers when torch calls the operator itself."""
    function, _, terms, _ = FUNCTIONS[name]
    shapes = sized(terms, {"b": 2, "n": 3, "k": 5, "m": 7})
    checked = compare_aten(function, *map(meta, shapes))
    assert all(not op.startswith("torch.") for op in checked.ops)
    assert "add" in checked.ops
