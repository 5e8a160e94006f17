"""What a model does beside autograd's record, against the gradients that a real backward pass makes: what it writes in
place, and functions of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import multiprof


class Written(nn.Module):
    """Two linear layers, and something written to what is between them."""

    def __init__(self, write: Callable[[Tensor], object], recorded: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)
        self.write, self.recorded = write, recorded

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        with torch.set_grad_enabled(self.recorded):
            self.write(y)
        result: Tensor = self.second(y)
        return result


class WeightWritten(nn.Module):
    def __init__(self, write: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.weight, self.write = nn.Parameter(torch.rand(8, 4)), write

    def forward(self, x: Tensor) -> Tensor:
        self.write(self.weight.data)
        with torch.no_grad():
            self.write(self.weight)
        return x @ self.weight


def zero_a_column(y: Tensor) -> None:
    y[:, 0] = 0


def select(y: Tensor) -> None:
    y[y > 0] = 0


WRITES: dict[str, Callable[[Tensor], object]] = {
    "column": zero_a_column,
    "zero_": lambda y: y[:, 0].zero_(),
    "fill_": lambda y: y[:, :4].fill_(1.5),
    "normal_": lambda y: y[:, :4].normal_(),
    "whole": lambda y: y.zero_(),
    "mul_": lambda y: y.mul_(2),
    "clamp_": lambda y: y.clamp_(0, 1),
    "floor_": lambda y: y[:, :4].floor_(),
    "gt_": lambda y: y.gt_(0),
    "copy_": lambda y: y.copy_(torch.ones(y.shape)),
    "select": select,
}


def made(model: nn.Module, x: Tensor) -> tuple[int, int]:
    """Macs and bytes of gradients of a backward pass that runs."""
    out = model(x)
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return counter.get_total_flops() // 2, sum(gradient.nbytes for gradient in gradients)


def counted(model: nn.Module, x: Tensor) -> tuple[int, int]:
    training = multiprof.analyze(model, x, train=True, strict=True).training
    assert training is not None
    assert training.peak is not None
    return training.backward.macs, training.gradient_bytes


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "no_grad"])
@pytest.mark.parametrize("name", WRITES)
def test_gradients_go_past_what_is_written(name: str, recorded: bool) -> None:
    """Under no_grad the written tensor keeps its place in the record; where values are set, autograd hands zeros on.

    4·8·8 macs for the first weight, 4·8·4 for each of the two gradients of the second layer.
    """
    model, x = Written(WRITES[name], recorded), torch.rand(4, 8)
    assert counted(model, x) == made(model, x) == (4 * 8 * 8 + 2 * 4 * 8 * 4, (64 + 8 + 32 + 4) * 4)


@pytest.mark.parametrize("name", ["column", "fill_", "mul_", "clamp_", "copy_"])
def test_a_weight_that_the_model_changes_unseen_is_trained(name: str) -> None:
    model, x = WeightWritten(WRITES[name]), torch.rand(4, 8)
    assert counted(model, x) == made(model, x) == (4 * 8 * 4, 32 * 4)


def test_a_write_unseen_by_autograd_costs_and_keeps_nothing() -> None:
    report = multiprof.analyze(Written(WRITES["clamp_"], False), torch.rand(4, 8), train=True)
    assert report.training is not None
    (name,) = [row.name for row in report.layers if row.op == "clip"]
    part = report.training.layer(name)
    assert (part.state, part.flops, part.saved) == ("free", 0, ())


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradient @ weight.t(), x.t() @ gradient


class OfItsOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.weight = nn.Linear(8, 8), nn.Parameter(torch.rand(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(self.first(x), self.weight)  # type: ignore[no-any-return, no-untyped-call]


def test_an_autograd_function_is_named_as_unsupported_and_gradients_go_through() -> None:
    """Its own backward pass makes 2·4·8·4 macs, which nobody can know; the layer before it makes 4·8·8."""
    model, x = OfItsOwn(), torch.rand(4, 8)
    before = torch.autograd.Function.__dict__["apply"]
    report = multiprof.analyze(model, x, train=True)
    assert torch.autograd.Function.__dict__["apply"] is before
    training = report.training
    assert training is not None
    macs, gradients = made(model, x)
    assert (training.backward.macs, training.gradient_bytes) == (macs - 2 * 4 * 8 * 4, gradients)
    (reason,) = training.unsupported().values()
    assert "autograd.Function" in reason
    assert any("its totals are too low" in warning for warning in report.warnings)
    with pytest.raises(multiprof.UnsupportedOpError, match=r"autograd\.Function"):
        multiprof.analyze(model, x, train=True, strict=True)
