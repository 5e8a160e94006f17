"""The model and torch come back exactly as they were: a fingerprint of everything observable, before and after."""

from __future__ import annotations

import copy
import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import multiprof
from multiprof import MultiprofError


def raw_bytes(tensor: torch.Tensor) -> bytes:
    if tensor.is_meta:
        return b""
    if tensor.numel() and tensor.dim():
        return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return repr(tensor.detach()).encode()


def tensor_print(tensor: torch.Tensor | None) -> Any:
    if tensor is None:
        return None
    return (
        id(tensor),
        type(tensor).__name__,
        tuple(tensor.shape),
        tensor.stride(),
        str(tensor.dtype),
        str(tensor.device),
        tensor.requires_grad,
        tensor._version,
        hashlib.sha256(raw_bytes(tensor)).hexdigest(),
        tensor_print(tensor.grad) if tensor.is_leaf else None,
    )


def value_print(value: Any, depth: int = 4) -> Any:
    if isinstance(value, torch.Tensor):
        return tensor_print(value)
    if isinstance(value, nn.Module):
        return ("module", id(value))
    if isinstance(value, (dict, OrderedDict)) and depth:
        return (type(value).__name__, [(repr(k), id(value), value_print(v, depth - 1)) for k, v in value.items()])
    if isinstance(value, (list, tuple)) and depth:
        identity = id(value) if isinstance(value, list) else 0
        return (type(value).__name__, identity, [value_print(v, depth - 1) for v in value])
    if isinstance(value, set):
        return sorted(map(repr, value))
    if isinstance(value, (bool, int, float, str, type(None))):
        return repr(value)
    if hasattr(value, "__dict__") and depth and not callable(value):
        return (id(value), value_print(vars(value), depth - 1))
    return id(value)


def fingerprint(model: nn.Module) -> dict[str, Any]:
    """Modes, attributes in order, hooks, parameters, buffers, gradients, state_dict keys; the process's globals."""
    from torch.nn.modules import module as torch_module

    prints: dict[str, Any] = {}
    for name, module in model.named_modules():
        attributes = {key: value_print(value) for key, value in module.__dict__.items()}
        prints[f"module {name}"] = (id(module), type(module).__name__, list(module.__dict__), attributes)
    prints["state_dict"] = list(model.state_dict())
    prints["rng"] = torch.get_rng_state().numpy().tobytes()
    prints["python rng"] = random.getstate()
    prints["numpy rng"] = repr(np.random.get_state())
    prints["globals"] = (
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_autocast_enabled("cpu"),
        nn.Module.__call__,
        len(torch_module._global_forward_hooks),
        len(torch_module._global_forward_pre_hooks),
        len(torch_module._global_forward_hooks_always_called),
        len(torch_module._global_forward_hooks_with_kwargs),
        torch.overrides._get_current_function_mode_stack(),
        torch.backends.cudnn.benchmark,
    )
    return prints


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert list(before) == list(after)
    for key in before:
        assert before[key] == after[key], key


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(F.relu(self.bn(self.conv(x)), inplace=True))
        return self.fc(x.mean((2, 3)))


class Holder:
    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        self.count = 0


class Storing(Net):
    """Keeps tensors on itself, in containers and in an object; replaces and overwrites buffers; counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ema", torch.zeros(4))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("scratch", torch.zeros(4), persistent=False)
        self.trail: list[torch.Tensor] = []
        self.memo: dict[str, Any] = {"first": 1, "nested": {"deep": []}}
        self.names = {"a"}
        self.holder = Holder()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        self.last = y
        self.trail.append(y)
        self.memo["y"] = y
        self.memo["nested"]["deep"].append(y)
        self.names.add("b")
        self.holder.seen.append(y)
        self.holder.count += 1
        self.calls += 1
        self.steps += 1
        self.ema = 0.9 * self.ema + 0.1 * y[0]
        self.scratch.copy_(y[0])
        self.scratch.add_(1.0)
        self.register_buffer("late", y[0])
        self.extra = nn.Linear(4, 4)
        return self.ema + y


class RealStoring(Storing):
    """The same, with control flow on values, so that it is run for real; it draws random numbers on the way."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if float(y.sum()) > 1e30:
            return y
        with torch.no_grad():
            self.conv.weight.mul_(1.5)
            self.fc.bias.data[0] = 7.0
            self.fc.weight.view(-1)[:3].zero_()
        return y + torch.rand(4) + random.random() + float(np.random.rand())


class ModesByHand(Net):
    """train() does more than set the flag; a trace must not call it."""

    def train(self, mode: bool = True) -> ModesByHand:
        super().train(mode)
        self.times = getattr(self, "times", 0) + 1
        self.bn.training = False
        return self


class Raising(Storing):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        super().forward(x)
        raise ValueError("no good")


class RaisingForReal(RealStoring):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        super().forward(x)
        raise ValueError("no good")


def spectral() -> nn.Module:
    weight_norm, spectral_norm = nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm
    return nn.Sequential(nn.Conv2d(3, 4, 3), weight_norm(nn.Conv2d(4, 4, 1)), spectral_norm(nn.Conv2d(4, 4, 1)))


def old_spectral() -> nn.Module:
    with pytest.warns(FutureWarning):
        normed = nn.utils.weight_norm(nn.Conv2d(3, 4, 1))
    return nn.Sequential(normed, nn.utils.spectral_norm(nn.Conv2d(4, 4, 1)))


def with_hooks() -> nn.Module:
    model = Net()
    model.fc.register_forward_hook(lambda module, args, out: out * 2)
    model.conv.register_forward_pre_hook(lambda module, args: args)
    model.conv.register_full_backward_hook(lambda module, grad_in, grad_out: None)
    return model


def with_grads() -> nn.Module:
    model = Net()
    model(torch.randn(2, 3, 6, 6)).sum().backward()
    model.conv.weight.requires_grad_(False)
    return model


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "plain": Net,
    "storing": Storing,
    "real": RealStoring,
    "modes": ModesByHand,
    "parametrized": spectral,
    "old style norms": old_spectral,
    "hooks": with_hooks,
    "gradients": with_grads,
}


def mixed(model: nn.Module) -> nn.Module:
    model.train()
    for i, module in enumerate(model.modules()):
        module.training = i % 2 == 0
    return model


MODES: dict[str, Callable[[nn.Module], nn.Module]] = {"train": nn.Module.train, "eval": nn.Module.eval, "mixed": mixed}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("maker", MAKERS)
def test_model_and_globals_unchanged(maker: str, mode: str, grad: bool) -> None:
    model = MODES[mode](MAKERS[maker]())
    with torch.set_grad_enabled(grad):
        before = fingerprint(model)
        multiprof.analyze(model, (2, 3, 6, 6))
        same(before, fingerprint(model))


@pytest.mark.parametrize("kind", [Raising, RaisingForReal])
def test_unchanged_after_an_exception(kind: type[nn.Module]) -> None:
    model = kind()
    before = fingerprint(model)
    with pytest.raises(MultiprofError, match="no good"):
        multiprof.analyze(model, (2, 3, 6, 6))
    same(before, fingerprint(model))


def test_unchanged_after_wrong_inputs() -> None:
    model = Storing()
    before = fingerprint(model)
    with pytest.raises(MultiprofError):
        multiprof.analyze(model, (2, 5, 6, 6))
    same(before, fingerprint(model))


def test_lazy_model_stays_lazy() -> None:
    model = lazy()
    kinds = [type(p) for p in model.parameters()]
    before = torch.get_rng_state()
    report = multiprof.analyze(model, (1, 3, 6, 6))
    assert report.params == 3 * 4 * 9 + 4 + 4 * 16 * 2 + 2
    assert [type(p) for p in model.parameters()] == kinds
    assert all(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters())
    assert torch.equal(before, torch.get_rng_state())
    model(torch.zeros(1, 3, 8, 8))  # still free to choose another size
    assert model[3].weight.shape == (2, 4 * 36)


def test_inputs_are_not_written() -> None:
    x = torch.randn(2, 3, 6, 6)
    ids = torch.arange(6).view(2, 3)
    copies = x.clone(), ids.clone()

    class Writes(nn.Module):
        def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
            x.add_(1)
            ids.add_(1)
            return x.sum() + int(ids.sum())

    multiprof.analyze(Writes(), [x, ids])
    assert torch.equal(x, copies[0]) and torch.equal(ids, copies[1])
    assert x._version == 0


def test_a_deep_copy_gives_the_same_report_afterwards() -> None:
    model = Storing()
    first = multiprof.analyze(model, (2, 3, 6, 6))
    second = multiprof.analyze(model, (2, 3, 6, 6))
    third = multiprof.analyze(copy.deepcopy(model), (2, 3, 6, 6))
    assert first.to_dict()["totals"] == second.to_dict()["totals"] == third.to_dict()["totals"]
