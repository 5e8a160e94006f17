"""Tensors out of nothing: against torch itself, what is recorded, and which keep their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

META = torch.device("meta")
DTYPES = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def maybe_dtype(r: Any) -> dict[str, Any]:
    return {} if r.rng.random() < 0.4 else {"dtype": r.rng.choice(DTYPES)}


def factory(r: Any) -> Any:
    shape, options = r.shape(), maybe_dtype(r)
    make, value = r.rng.choice((torch.zeros, torch.ones, torch.empty)), r.rng.choice((True, 3))
    return (
        r.rng.choice(
            (
                lambda: make(shape, **options),
                lambda: make(*shape, **options),
                lambda: make(size=shape, **options),
                lambda: make(list(shape), device="meta", **options),
                lambda: torch.full(shape, 2.5, **options),
                lambda: torch.full(shape, value),
                lambda: torch.empty_strided(shape, range(len(shape))),
                lambda: torch.scalar_tensor(3, **options),
            )
        ),
    )


def like(r: Any) -> Any:
    options = maybe_dtype(r)
    make = r.rng.choice((torch.zeros_like, torch.ones_like, torch.empty_like))
    return r.rng.choice(
        (
            lambda x: make(x, **options),
            lambda x: make(x, memory_format=torch.contiguous_format, **options),
            lambda x: torch.full_like(x, 3, **options),
        )
    ), r.tensor(r.shape(), r.rng.choice(DTYPES))


def new(r: Any) -> Any:
    shape, options = r.shape(), maybe_dtype(r)
    name = r.rng.choice(("new_zeros", "new_ones", "new_empty"))
    return r.rng.choice(
        (
            lambda x: getattr(x, name)(shape, **options),
            lambda x: getattr(x, name)(*shape),
            lambda x: x.new_full(shape, 2.5, **options),
            lambda x: x.new_empty_strided(shape, range(len(shape))),
            lambda x: x.new(2, 3),
            lambda x: x.new(torch.Size((2,))),
        )
    ), r.tensor(r.shape(), r.rng.choice(DTYPES))


def progression(r: Any) -> Any:
    rng = r.rng
    a, b, c = (rng.choice((0, 1, 2, 5, 10, -3, 1.5, 0.1)) for _ in range(3))
    n = rng.randint(0, 5)
    options = rng.choice(({}, {}, {"dtype": torch.float32}, {"dtype": torch.int64}, {"dtype": torch.float16}))
    return (
        rng.choice(
            (
                lambda: torch.arange(n, **options),
                lambda: torch.arange(a, b),
                lambda: torch.arange(a, b, c or 1, **options),
                lambda: torch.arange(start=a, end=b, step=2),
                lambda: torch.arange(0, n * 2.0, 2.0, dtype=torch.int64),
                lambda: torch.arange(n, device="meta"),
                lambda: torch.linspace(a, b, n),
                lambda: torch.linspace(a, b, steps=n, dtype=torch.float16),
                lambda: torch.logspace(0, 1, n),
            )
        ),
    )


def table(r: Any) -> Any:
    n = r.rng.randint(1, 5)
    return (
        r.rng.choice(
            (
                lambda: torch.eye(n),
                lambda: torch.eye(n, 2, dtype=torch.int64),
                lambda: torch.tril_indices(n, 3),
                lambda: torch.triu_indices(n, 3, offset=1),
                lambda: torch.hann_window(n),
                lambda: torch.hamming_window(n + 1, periodic=False),
            )
        ),
    )


def data(r: Any) -> Any:
    value = r.rng.choice((3, 2.5, True, [1, 2], [1.0, 2], [[1, 2], [3, 4]], [], [True, False], [[1.5]], (1, 2)))
    dtype = r.rng.choice((None, torch.float16, torch.int64))
    return r.rng.choice(
        (
            lambda x: torch.tensor(value, dtype=dtype),
            lambda x: torch.as_tensor(value, dtype=dtype),
            lambda x: torch.asarray(value),
            lambda x: torch.tensor(np.ones((2, 3))),
            lambda x: torch.as_tensor(np.ones((2, 3), np.int32)),
            lambda x: x.new_tensor(value),
        )
    ), r.tensor(r.shape())


CASES: dict[Any, tuple[tuple[str, ...], float]] = {
    factory: (("fill",), 1.0),
    like: (("fill",), 0.7),
    new: (("fill",), 1.0),
    progression: (("arange",), 0.95),
    table: (("constant",), 1.0),
    data: (("constant",), 1.0),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    ops, share = CASES[make]
    sweep(make, ops, share=share, times=300)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_default_dtype_counts(compare: Any, dtype: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        for make in (
            lambda: torch.zeros(2),
            lambda: torch.arange(0, 3.0),
            lambda: torch.eye(2),
            lambda: torch.tensor(1.5),
        ):
            assert compare(make).by_rule
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    ("make", "op", "value"),
    [
        (lambda: torch.zeros(2), "fill", 0),
        (lambda: torch.ones(2), "fill", 1),
        (lambda: torch.full((2,), -2.5), "fill", -2.5),
        (lambda: torch.full((2,), torch.tensor(7)), "fill", 7),
        (lambda: torch.empty(2), "fill", None),
    ],
)
def test_value(compare: Any, compare_aten: Any, make: Any, op: str, value: Any) -> None:
    layer = compare(make).layers[-1]
    assert (layer.op, layer.attrs, dict(layer.inputs)) == (op, {"value": value}, {})


@pytest.mark.parametrize(
    ("make", "real"),
    [
        (lambda: torch.arange(65_536), True),
        (lambda: torch.arange(65_537), False),
        (lambda: torch.zeros(256, 256, dtype=torch.bool), True),
        (lambda: torch.zeros(1_024), True),
        (lambda: torch.zeros(1_025), False),
        (lambda: torch.tensor([1, 2]), True),
        (lambda: torch.arange(4, device="meta"), False),
    ],
)
def test_small_ones_keep_their_values(trace: Any, make: Any, real: bool) -> None:
    """Integers up to 65,536 elements, real numbers up to 1,024; the rest is a shape on whatever device it says."""
    made: list[Any] = []
    graph = trace(lambda x: made.append(make()) or x, (2,))
    assert graph.metadata["kernel_calls"] == 0
    assert len(graph.layers) == 1
    assert made[0].is_meta is not real
    if real:
        assert torch.equal(made[0], make())


def test_control_flow_on_made_tensors(trace: Any) -> None:
    def function(x: Any) -> Any:
        positions = torch.arange(x.shape[1], device=x.device)
        later = (positions >= 2) & torch.ones_like(positions, dtype=torch.bool)
        if later.any() and int(positions[-1]) == 3:
            x = x[:, : int(later.sum())]
        for n in torch.tensor([1, 2]).tolist():
            x = torch.cat((x, x[:, :n]), 1)
        return x

    graph = trace(function, (3, 4))
    assert graph.outputs[0].shape == (3, 2 + 1 + 2)
    assert "for real" not in graph.metadata["rung"]


def test_the_device_is_that_of_the_model(trace: Any) -> None:
    """A tensor for another device than the trace runs on: `x.device` of a model says where it would run."""
    devices: list[Any] = []

    def function(x: Any) -> Any:
        y = torch.zeros(2_000, device=x.device) + torch.arange(4, device=torch.device("cpu"))[0]
        devices.append((x.device, y.device))
        return y

    trace(function, (2,))
    assert devices == [(torch.device("cpu"), torch.device("cpu"))]


def test_list_of_tensors(trace: Any) -> None:
    """``torch.tensor([a, b])`` of computed numbers: their values where they have some, and always their link."""
    seen: list[Any] = []

    def function(x: Any, n: Any) -> Any:
        known = torch.tensor([n[0], n[1] + 1, 7])
        seen.append(known.tolist())
        return torch.tensor([x.sum(), x.max()]), known

    graph = trace(function, (2, 3), torch.tensor([4, 5]))
    assert seen == [[4, 6, 7]]
    first, second = (graph_layer for graph_layer in graph.layers if graph_layer.op == "stack")
    assert list(first.inputs) == ["x0", "x1"]
    assert second.y.shape == (2,)
    assert [spec.name for spec in second.inputs.values()] == ["sum", "max"]
    assert "for real" not in graph.metadata["rung"]


def test_arrays_are_constants_until_values_have_left(trace: Any) -> None:
    numbers = np.ones((2, 3), np.float32)
    graph = trace(lambda x: x + torch.as_tensor(numbers), (2, 3))
    assert [layer.op for layer in graph.layers] == ["constant", "add"]

    def through_numpy(x: Any) -> Any:
        return x + torch.as_tensor(x.numpy() * 2)

    graph = trace(through_numpy, torch.ones(2, 3))
    assert [layer.op for layer in graph.layers] == ["torch.untraced", "add"]


def test_fill_in_place_reads_nothing(compare: Any, compare_aten: Any) -> None:
    x = torch.empty(2, 3, device=META)
    for check in (compare, compare_aten):
        for function, value in ((lambda x: x.zero_(), 0), (lambda x: x.fill_(2.5), 2.5)):
            layer = check(function, x).layer
            assert (layer.op, layer.attrs, list(layer.inputs)) == ("fill", {"value": value}, ["alias"])
            assert layer.aliases == (("y", "alias", "write"),)


def test_fill_by_a_tensor_is_a_copy(compare: Any) -> None:
    layer = compare(lambda x, v: x.fill_(v), torch.empty(2, 3, device=META), torch.empty((), device=META)).layer
    assert (layer.op, layer.inputs["x"].name, layer.inputs["dest"].name) == ("copy", "input1", "input0")


def test_requires_grad_is_kept(trace: Any) -> None:
    flags: list[bool] = []
    trace(lambda x: flags.append(torch.zeros(2, requires_grad=True).requires_grad) or x, (2,))
    assert flags == [True]


def test_kernels_record_the_same_layers(compare_aten: Any) -> None:
    def makes(x: Any) -> Any:
        return (
            torch.zeros_like(x), x.new_ones(3), torch.full_like(x, 2), x.new_full((2,), 3), x.new_zeros(2),
            x.new_empty(1),
            torch.arange(3, device="meta"), torch.eye(3, device="meta"),
            torch.linspace(0, 1, 3, device="meta"),
        )  # fmt: skip

    checked = compare_aten(makes, torch.empty(2, device=META))
    assert set(checked.ops) == {"fill", "arange", "constant"}
