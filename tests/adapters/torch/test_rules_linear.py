"""Linear layers and matrix products: every rule against torch's meta kernels, and the exact layers they make."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from multiprof.adapters.torch.mode import ShapeMode
from multiprof.adapters.torch.rules.linear import chain_order
from multiprof.adapters.torch.tracer import Tracer
from multiprof.ir import Parameter, TensorSpec


def activation(*shape: int, dtype: torch.dtype = torch.float32, order: tuple[int, ...] | None = None) -> torch.Tensor:
    """A meta tensor of the shape, its dimensions laid out in memory in the given order."""
    order = order or tuple(range(len(shape)))
    made = torch.empty([shape[i] for i in order], dtype=dtype, device="meta")
    return made.permute([order.index(i) for i in range(len(shape))])


def weight(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.empty(shape, device="meta"))


def shuffled(rng: random.Random, rank: int) -> tuple[int, ...]:
    return tuple(rng.sample(range(rank), rank))


def macs(layers: Any) -> int:
    """Multiply-adds by the layers' own shapes: every output element sums over the indices that vanish."""
    total = 0
    for layer in layers:
        y = layer.outputs["y"].numel
        if layer.op == "linear":
            total += y * layer.attrs["in_features"]
        elif layer.op == "matmul":
            total += y * layer.attrs["contracted"]
        elif layer.op == "einsum":
            left, _, out = layer.attrs["equation"].partition("->")
            sizes: dict[str, int] = {}
            for term, role in zip(left.split(","), ("x0", "x1"), strict=False):
                sizes.update(zip(term, layer.inputs[role].shape, strict=True))
            summed = [n for letter, n in sizes.items() if letter not in out]
            assert y == torch.Size([sizes[letter] for letter in out]).numel()
            total += y * torch.Size(summed).numel() if summed else 0
    return total


# -- F.linear ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(), (4,), (2, 4), (2, 3, 4)])
def test_linear(compare: Any, leading: tuple[int, ...], bias: bool) -> None:
    b = weight(5) if bias else None
    checked = compare(F.linear, activation(*leading, 3), weight(5, 3), b)
    assert checked.by_rule
    layer = checked.layer
    assert layer.op == "linear"
    assert list(layer.inputs) == (["x", "weight", "bias"] if bias else ["x", "weight"])
    assert layer.attrs == {"in_features": 3, "out_features": 5}
    assert layer.outputs["y"].shape == (*leading, 5)


def test_linear_of_any_layout(compare: Any) -> None:
    rng = random.Random(1)
    for _ in range(60):
        rank = rng.randint(2, 4)
        shape = [rng.randint(1, 4) for _ in range(rank)]
        x = activation(*shape, order=shuffled(rng, rank))
        w = activation(6, shape[-1], order=shuffled(rng, 2))
        assert compare(F.linear, x, w, weight(6) if rng.random() < 0.5 else None).by_rule


def test_linear_with_a_computed_weight_is_a_matmul(compare: Any) -> None:
    checked = compare(F.linear, activation(2, 4, 3), activation(5, 3), activation(5))
    assert checked.ops == ["matmul", "add"]
    product, addition = checked.layers
    assert product.attrs == {"contracted": 3}
    assert addition.inputs["x0"].name == product.outputs["y"].name
    assert addition.outputs["y"].shape == (2, 4, 5)


def test_linear_with_the_weight_in_place_of_the_input(compare: Any) -> None:
    checked = compare(F.linear, weight(4, 3), activation(5, 3))
    assert checked.layer.op == "linear"
    assert checked.layer.inputs["weight"].shape == (4, 3)
    assert checked.layer.attrs == {"in_features": 3, "out_features": 4, "equation": "kj,aj->ak"}


@pytest.mark.parametrize(
    ("x", "w", "b"),
    [((2, 3), (5, 4), None), ((2, 3), (5, 3), (4,)), ((2, 3), (5, 3), (2, 5)), ((), (5, 3), None), ((2, 3), (3,), None),
     ((0, 3), (5, 3), (5,)), ((2, 3), (0, 3), None), ((2, 3), (5, 3, 2), None)],
)  # fmt: skip
def test_linear_on_odd_shapes_is_left_to_torch(compare: Any, x: Any, w: Any, b: Any) -> None:
    checked = compare(F.linear, activation(*x), weight(*w), weight(*b) if b else None)
    assert not checked.by_rule


def test_linear_with_mixed_dtypes_is_refused_as_on_the_cpu() -> None:
    """torch's meta kernels let two dtypes pass; its CPU and GPU kernels do not."""
    with pytest.raises(RuntimeError, match="dtype"):
        F.linear(torch.ones(2, 3, dtype=torch.float16), torch.ones(5, 3))
    tracer = Tracer(torch.device("cpu"), real=False)
    with ShapeMode(tracer), pytest.raises(RuntimeError, match="one dtype, but got float16 and float32"):
        F.linear(activation(2, 3, dtype=torch.float16), weight(5, 3))


# -- matrix products -----------------------------------------------------------------------------------------------

SHAPES = [(), (3,), (2, 3), (4, 2, 3), (1, 2, 3), (5, 4, 2, 3), (5, 1, 2, 3)]
OTHER = [(), (3,), (3, 6), (4, 3, 6), (1, 3, 6), (5, 4, 3, 6), (5, 1, 3, 6)]


@pytest.mark.parametrize(("a", "b"), [(a, b) for a in SHAPES[1:] for b in OTHER[1:]])
def test_matmul(compare: Any, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    checked = compare(torch.matmul, activation(*a), activation(*b))
    assert checked.by_rule
    assert checked.layer.op == "matmul"
    assert checked.layer.attrs == {"contracted": 3}
    assert list(checked.layer.inputs) == ["x0", "x1"]


@pytest.mark.parametrize(("a", "b"), [(a, b) for a in SHAPES for b in OTHER])
@pytest.mark.parametrize("left", [True, False])
def test_matmul_with_a_weight_is_linear(compare: Any, a: tuple[int, ...], b: tuple[int, ...], left: bool) -> None:
    checked = compare(torch.matmul, weight(*a) if left else activation(*a), activation(*b) if left else weight(*b))
    if not a or not b:
        assert isinstance(checked.error, RuntimeError)
        return
    assert checked.by_rule
    layer = checked.layer
    assert layer.op == "linear"
    assert layer.inputs["weight"].shape == (a if left else b)
    assert layer.attrs["in_features"] == 3
    assert layer.attrs["out_features"] == ((a[-2] if len(a) > 1 else 1) if left else (b[-1] if len(b) > 1 else 1))
    # The equation says the same thing: run it.
    x, w = (torch.randn(s) for s in ((b, a) if left else (a, b)))
    expected = torch.matmul(w, x) if left else torch.matmul(x, w)
    torch.testing.assert_close(torch.einsum(layer.attrs["equation"], x, w), expected)


def test_matmul_of_any_layout(compare: Any) -> None:
    rng = random.Random(2)
    for _ in range(150):
        rank = rng.randint(2, 4)
        lead = [rng.randint(1, 3) for _ in range(rank - 2)]
        other = [rng.choice((n, 1)) for n in lead][rng.randint(0, rank - 2) :]
        n, k, m = (rng.randint(1, 4) for _ in range(3))
        a = activation(*lead, n, k, order=shuffled(rng, rank))
        b = activation(*other, k, m, order=shuffled(rng, len(other) + 2))
        if rng.random() < 0.5:
            a, b = b.transpose(-1, -2), a.transpose(-1, -2)
        assert compare(torch.matmul, a, b).by_rule
        if a.dim() == b.dim() == 3 and a.shape[0] == b.shape[0]:
            assert compare(torch.bmm, a, b).by_rule
        if a.dim() == b.dim() == 2:
            assert compare(torch.mm, a, b).by_rule
            assert compare(torch.mv, a, activation(a.shape[1])).by_rule


@pytest.mark.parametrize(
    ("function", "a", "b"),
    [
        (torch.mm, (2, 3), (3, 4)), (torch.Tensor.mm, (2, 3), (3, 4)), (torch.bmm, (5, 2, 3), (5, 3, 4)),
        (torch.Tensor.bmm, (5, 2, 3), (5, 3, 4)), (torch.mv, (2, 3), (3,)), (torch.Tensor.mv, (2, 3), (3,)),
        (torch.dot, (3,), (3,)), (torch.Tensor.dot, (3,), (3,)), (torch.vdot, (3,), (3,)),
        (torch.Tensor.matmul, (2, 3), (3, 4)), (torch.linalg.matmul, (2, 3), (3, 4)),
        (lambda a, b: a @ b, (2, 3), (3, 4)), (lambda a, b: b.__rmatmul__(a), (2, 3), (3, 4)),
    ],
)  # fmt: skip
def test_names_of_the_matrix_product(compare: Any, function: Any, a: Any, b: Any) -> None:
    checked = compare(function, activation(*a), activation(*b))
    assert checked.by_rule
    assert checked.layer.op == "matmul"
    rows, columns = a[:-1], b[1:] if len(b) < 3 else b[2:]
    assert checked.layer.outputs["y"].shape == (*rows, *columns)
    assert macs(checked.layers) == torch.Size([*rows, *columns]).numel() * 3


@pytest.mark.parametrize(
    ("function", "a", "b"),
    [
        (torch.mm, (4, 2, 3), (3, 4)), (torch.mm, (2, 3), (3,)), (torch.mm, (2, 3), (4, 3)),
        (torch.bmm, (5, 2, 3), (1, 3, 4)), (torch.bmm, (2, 3), (3, 4)), (torch.mv, (2, 3), (3, 1)),
        (torch.dot, (3,), (4,)), (torch.dot, (1, 3), (3,)), (torch.matmul, (2, 3), (4, 3)),
        (torch.matmul, (2, 2, 3), (3, 3, 4)), (torch.inner, (2, 3), (2, 4)), (torch.outer, (2, 3), (3,)),
    ],
)  # fmt: skip
def test_products_that_torch_refuses(compare: Any, function: Any, a: Any, b: Any) -> None:
    assert isinstance(compare(function, activation(*a), activation(*b)).error, RuntimeError)


@pytest.mark.parametrize(("a", "b"), [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 3), (3, 0)), ((0,), (0,))])
def test_products_of_nothing(compare: Any, a: Any, b: Any) -> None:
    compare(torch.matmul, activation(*a), activation(*b))


def test_integers_multiply_as_they_are(compare: Any) -> None:
    checked = compare(torch.matmul, activation(2, 3, dtype=torch.int32), activation(3, 4, dtype=torch.int32))
    assert checked.by_rule
    assert checked.layer.outputs["y"].dtype == "int32"


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((5, 2, 3), (4, 3)), ((3,), (4, 3))]
)
@pytest.mark.parametrize("weighted", [None, 0, 1])
def test_inner(compare: Any, a: Any, b: Any, weighted: int | None) -> None:
    operands = [(weight if i == weighted else activation)(*shape) for i, shape in enumerate((a, b))]
    checked = compare(torch.inner, *operands)
    assert checked.by_rule
    layer = checked.layer
    assert layer.op == ("linear" if weighted is not None else "matmul" if len(a) == len(b) == 1 else "einsum")
    assert macs(checked.layers) == torch.Size([*a[:-1], *b[:-1]]).numel() * 3
    if "equation" in layer.attrs:
        x, y = torch.randn(a), torch.randn(b)
        swapped = weighted == 0
        got = torch.einsum(layer.attrs["equation"], *((y, x) if swapped else (x, y)))
        torch.testing.assert_close(got, torch.inner(x, y))


@pytest.mark.parametrize("function", [torch.outer, torch.ger, torch.Tensor.outer])
def test_outer_is_multiplications_also_with_a_weight(compare: Any, function: Any) -> None:
    for b in (activation(3), weight(3)):
        checked = compare(function, activation(2), b)
        assert checked.by_rule
        assert checked.layer.op == "einsum"
        assert checked.layer.attrs == {"equation": "i,k->ik"}
        assert macs(checked.layers) == 0


# -- chains --------------------------------------------------------------------------------------------------------


def cost_of(order: Any, sizes: list[int]) -> tuple[int, int, int]:
    """(rows, columns, multiply-adds) of a chain multiplied in the given order."""
    if isinstance(order, int):
        return sizes[order], sizes[order + 1], 0
    (n, k, left), (_, m, right) = (cost_of(part, sizes) for part in order)
    return n, m, left + right + n * k * m


def all_orders(i: int, j: int) -> list[Any]:
    if i == j:
        return [i]
    return [(a, b) for k in range(i, j) for a in all_orders(i, k) for b in all_orders(k + 1, j)]


def test_the_order_of_a_chain_is_the_cheapest_of_all() -> None:
    rng = random.Random(3)
    for _ in range(100):
        sizes = [rng.randint(1, 9) for _ in range(rng.randint(3, 7))]
        best = min(cost_of(order, sizes)[2] for order in all_orders(0, len(sizes) - 2))
        assert cost_of(chain_order(tuple(sizes)), sizes)[2] == best


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_multi_dot(compare: Any, compare_aten: Any, n: int, first: bool, last: bool) -> None:
    rng = random.Random(4 * n + 2 * first + last)
    for _ in range(8):
        sizes = [rng.randint(1, 6) for _ in range(n + 1)]
        shapes = [(a, b) for a, b in itertools.pairwise(sizes)]
        given = [activation(*s) for s in shapes]
        if first:
            given[0] = activation(sizes[1])
            sizes[0] = 1
        if last:
            given[-1] = activation(sizes[-2])
            sizes[-1] = 1
        checked = compare(torch.linalg.multi_dot, given)
        assert checked.by_rule
        assert checked.ops == ["matmul"] * (n - 1)
        assert macs(checked.layers) == cost_of(chain_order(tuple(sizes)), sizes)[2]
        # torch's own steps, operator by operator, cost the same
        assert macs(compare_aten(torch.linalg.multi_dot, given).layers) == macs(checked.layers)


def test_chain_matmul(compare: Any) -> None:
    checked = compare(torch.chain_matmul, activation(2, 30), activation(30, 3), weight(3, 40))
    assert checked.by_rule
    assert checked.ops == ["matmul", "linear"]
    assert macs(checked.layers) == 2 * 30 * 3 + 2 * 3 * 40
    assert isinstance(compare(torch.chain_matmul, activation(2, 3), activation(2, 3)).error, RuntimeError)


# -- grouped products ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("columns_first", [True, False])
@pytest.mark.parametrize("features", [8, 24, 5])
def test_grouped_products_as_the_cpu_answers_them(dtype: torch.dtype, columns_first: bool, features: int) -> None:
    """torch's meta kernel takes bfloat16 alone; the CPU is the oracle."""
    x = torch.zeros(10, 16, dtype=dtype)
    experts = (
        torch.zeros((3, features, 16), dtype=dtype).mT if columns_first else torch.zeros((3, 16, features), dtype=dtype)
    )
    ends = torch.tensor([2, 5, 10], dtype=torch.int32)
    tracer = Tracer(torch.device("cpu"), real=False)
    x_meta, ends_meta = activation(10, 16, dtype=dtype), activation(3, dtype=torch.int32)
    owner = torch.nn.Parameter(torch.empty_strided(experts.shape, experts.stride(), dtype=dtype, device="meta"))
    tracer.give_input(x_meta, "x")
    tracer.give_input(ends_meta, "ends")
    tracer.declare(owner, Parameter(TensorSpec(tuple(owner.shape), str(dtype).removeprefix("torch."), "experts")))
    try:
        expected = torch._grouped_mm(x, experts, offs=ends)
    except RuntimeError:
        assert features == 5 and not columns_first
        with ShapeMode(tracer), pytest.raises(RuntimeError):
            torch._grouped_mm(x_meta, owner, offs=ends_meta)
        return
    with torch.no_grad(), ShapeMode(tracer):
        got = torch._grouped_mm(x_meta, owner, offs=ends_meta)
    assert (got.shape, got.stride(), got.dtype) == (expected.shape, expected.stride(), expected.dtype)
    (layer,) = tracer.layers
    assert layer.op == "linear"
    assert layer.attrs == {"in_features": 16, "out_features": features, "groups": 3}
