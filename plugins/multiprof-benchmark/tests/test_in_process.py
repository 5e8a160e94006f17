"""Live models that cannot travel to a worker: measured here, marked so, and back as they were."""

from __future__ import annotations

import os

import pytest
import torch
from multiprof_benchmark.bench import benchmark
from torch import nn

from multiprof import ModelError


def net() -> nn.Module:
    class Net(nn.Module):
        """Writes to itself whenever it runs, in every way that a module can."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
            self.register_buffer("count", torch.zeros(1))
            self.history: list[int] = []
            self.cache = None

        def forward(self, x):
            self.count += 1
            self.history.append(1)
            self.cache = x
            torch.manual_seed(3)
            return self.inner(x)

    model = Net()
    model.inner[0].weight.grad = torch.ones(4, 4)
    model.inner[0].bias.requires_grad_(False)
    model.inner[1].eval()
    return model


def test_it_is_measured_here_and_comes_back_as_it_was():
    model = net()
    calls = []
    model.inner[0].register_forward_hook(lambda *_: calls.append(1))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = dict(model.inner[0]._forward_hooks)
    before = torch.get_rng_state(), torch.get_num_threads(), os.getcwd(), dict(os.environ), torch.is_grad_enabled()
    report = benchmark(model, (3, 4), quick=True)
    whole = report.measurements[0]
    assert (whole.route, whole.isolated, whole.threads) == ("native", False, 1)
    assert calls  # it really ran
    (note,) = whole.environment["notes"][:1]
    assert note.startswith("measured in this process, beside whatever else it does: the model cannot be written to a f")
    assert {m.subject for m in report.measurements if m.kind == "group"} >= {("inner.0",)}
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert model.training
    assert model.inner.training
    assert not model.inner[1].training
    assert (model.history, model.cache) == ([], None)
    assert dict(model.inner[0]._forward_hooks) == hooks
    assert torch.equal(model.inner[0].weight.grad, torch.ones(4, 4))
    assert not model.inner[0].bias.requires_grad
    assert not model.inner[0].weight.is_inference()
    after = torch.get_rng_state(), torch.get_num_threads(), os.getcwd(), dict(os.environ), torch.is_grad_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_another_precision_is_that_of_a_copy():
    model = net()
    report = benchmark(model, (3, 4), quick=True, layers=False, precision="bf16")
    assert report.measurements[0].isolated is False
    assert model.inner[0].weight.dtype == torch.float32


def test_what_it_raises_is_one_line():
    class Broken(nn.Module):
        def forward(self, x):
            if not torch.overrides._get_current_function_mode_stack():
                raise ValueError("not today")
            return x + 1

    with pytest.raises(ModelError, match="not today"):
        benchmark(Broken(), (2, 3), quick=True, route="native")
    (whole,) = benchmark(Broken(), (2, 3), quick=True, layers=False).measurements
    assert (whole.route, whole.isolated) == ("synthesised", True)
    assert "not today" in whole.environment["notes"][1]
