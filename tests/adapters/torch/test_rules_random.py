"""Random tensors: against torch itself, what is recorded, and that no generator is left changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")


def factory(r: Any) -> Any:
    shape, n = r.shape(), r.rng.randint(1, 4)
    dtype = r.rng.choice((torch.float32, torch.float16, torch.float64))
    return (
        r.rng.choice(
            (
                lambda: torch.rand(shape),
                lambda: torch.rand(*shape, dtype=dtype),
                lambda: torch.randn(size=shape, device="meta"),
                lambda: torch.randint(n, shape),
                lambda: torch.randint(0, n, shape),
                lambda: torch.randint(high=n, size=shape),
                lambda: torch.randint(-1, n, size=shape, dtype=torch.int32),
                lambda: torch.randint(n, 0, shape),
                lambda: torch.randperm(n),
                lambda: torch.normal(0.0, 1.0, shape),
            )
        ),
    )


def like(r: Any) -> Any:
    return r.rng.choice(
        (
            lambda x: torch.rand_like(x),
            lambda x: torch.randn_like(x, dtype=torch.float16),
            lambda x: torch.randint_like(x, 3),
            lambda x: torch.randint_like(x, -1, 3, dtype=torch.int64),
            lambda x: torch.bernoulli(x),
            lambda x: x.bernoulli(0.5),
            lambda x: torch.normal(x, 1.0),
        )
    ), r.tensor(r.shape())


def in_place(r: Any) -> Any:
    return r.rng.choice(
        (
            lambda x: x.uniform_(),
            lambda x: x.uniform_(-1, 1),
            lambda x: x.normal_(0, 1),
            lambda x: x.bernoulli_(0.5),
            lambda x: x.random_(0, 5),
            lambda x: x.exponential_(),
            lambda x: x.log_normal_(),
            lambda x: torch.nn.init.uniform_(x),
            lambda x: torch.nn.init.normal_(x),
        )
    ), r.plain(r.shape())


@pytest.mark.parametrize(("make", "share"), [(factory, 1.0), (like, 0.5), (in_place, 1.0)])
def test_random_calls(sweep: Callable[..., None], make: Any, share: float) -> None:
    sweep(make, ("random",), share=share, times=300)


@pytest.mark.parametrize(
    ("function", "distribution"),
    [
        (lambda x: torch.rand_like(x), "uniform"),
        (lambda x: torch.randn_like(x), "normal"),
        (lambda x: x.uniform_(), "uniform"),
        (lambda x: x.normal_(), "normal"),
        (lambda x: torch.nn.init.kaiming_uniform_(x), "uniform"),
    ],
)
def test_distribution(compare: Any, compare_aten: Any, function: Any, distribution: str) -> None:
    x = torch.empty(20, 30, device=META)
    for check in (compare, compare_aten):
        layer = check(function, x).layer
        assert (layer.op, layer.attrs) == ("random", {"distribution": distribution})


def test_what_a_distribution_depends_on(compare: Any) -> None:
    layer = compare(lambda p: torch.bernoulli(p), torch.empty(2, 3, device=META)).layer
    assert list(layer.inputs) == ["x0"]


def test_layer_drop_runs_on_shapes(trace: Any) -> None:
    graph = trace(lambda x: x * 2 if torch.rand(()) >= 0 else x, (2, 3))
    assert [layer.op for layer in graph.layers] == ["random", "greater_equal", "mul"]
    assert "for real" not in graph.metadata["rung"]


def test_generators_come_back(trace: Any) -> None:
    own = torch.Generator().manual_seed(3)
    before, default = own.get_state(), torch.random.get_rng_state()

    def function(x: Any) -> Any:
        y = x + torch.rand(3, generator=own) + torch.randn(3)
        return y + torch.zeros(3).uniform_(generator=own)

    trace(function, (2, 3))
    assert torch.equal(own.get_state(), before)
    assert torch.equal(torch.random.get_rng_state(), default)


def test_a_model_that_initialises_itself_comes_back(trace: Any) -> None:
    class Lazy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(4, 4))

        def forward(self, x: Any) -> Any:
            torch.nn.init.normal_(self.weight)
            torch.nn.init.constant_(self.weight, 3)
            self.weight.data.uniform_()
            torch.nn.init.orthogonal_(torch.empty(2, 2))
            return x @ self.weight

    model = Lazy()
    graph = trace(model, (2, 4))
    assert torch.equal(model.weight, torch.ones(4, 4))
    last = graph.layers[-1]
    assert last.op == "linear"  # its weight still depends on no input
    assert last.inputs["weight"].name.startswith("random")
