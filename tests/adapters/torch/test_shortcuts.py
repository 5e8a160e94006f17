"""A module answered by a shortcut gives the graph, the result and the errors of its own forward."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import nn

import multiprof
from multiprof.adapters.torch import shortcuts
from multiprof.errors import MultiprofError


def random_case(rng: random.Random) -> tuple[nn.Module, Any]:
    """One of the modules with random arguments, and an input that mostly fits it."""
    size, batch = rng.randint(1, 6), rng.randint(1, 3)
    c_in = rng.choice((2, 4, 6))
    image = (batch, c_in, size + 3, size + 4)
    shape = rng.choice((image, image, image, image[1:], (batch, c_in + 1, 7, 7), (batch, c_in)))
    kind = rng.randrange(5)
    if kind == 0:
        groups = rng.choice((1, 2))
        module: nn.Module = nn.Conv2d(
            c_in, rng.choice((2, 4)), rng.choice((1, 3, (1, 3))), rng.choice((1, 2)), rng.choice((0, 1, (1, 0))),
            rng.choice((1, 2)), groups, rng.random() < 0.5, rng.choice(("zeros", "zeros", "circular")),
        )  # fmt: skip
    elif kind == 1:
        module = nn.BatchNorm2d(c_in, affine=rng.random() < 0.7, track_running_stats=rng.random() < 0.8)
    elif kind == 2:
        module = nn.ReLU(inplace=rng.random() < 0.5)
    elif kind == 3:
        module, shape = (
            nn.Linear(c_in, 3, bias=rng.random() < 0.5),
            rng.choice(((batch, c_in), (c_in,), (2, 3, c_in + 1))),
        )
    else:
        module, shape = (
            nn.LayerNorm(c_in, bias=rng.random() < 0.5),
            rng.choice(((batch, 5, c_in), (c_in,), (3, c_in + 1))),
        )
    return module, shape


def outcome(module: nn.Module, shape: Any) -> Any:
    model = nn.Sequential(nn.Identity(), module)
    try:
        report = multiprof.analyze(model, shape)
    except MultiprofError as error:
        return type(error), str(error)
    return report.graph


def test_same_graph_as_the_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    table = dict(shortcuts.SHORTCUTS)
    answered = 0
    for _ in range(400):
        module, shape = random_case(rng)
        before = dict(table)
        monkeypatch.setattr(shortcuts, "SHORTCUTS", before)
        short = outcome(module, shape)
        monkeypatch.setattr(shortcuts, "SHORTCUTS", {})
        assert short == outcome(module, shape)
        answered += not isinstance(short, tuple)
    assert answered > 200


def taken(monkeypatch: pytest.MonkeyPatch, module: nn.Module, shape: Any) -> bool:
    """Whether the module's own forward was passed over."""
    ran = []
    original = nn.Linear.forward
    kind = type(module)

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        ran.append(self)
        return original(self, x)

    forward.__module__ = kind.forward.__module__
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", forward)
        report = multiprof.analyze(nn.Sequential(module), shape)
    assert report.macs == 2 * 4 * 3
    return not ran


def test_only_plain_modules_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(monkeypatch, nn.Linear(4, 3), (2, 4))
    hooked = nn.Linear(4, 3)
    calls: list[str] = []
    hooked.register_forward_hook(lambda module, args, out: calls.append("after"))
    assert not taken(monkeypatch, hooked, (2, 4))
    assert calls == ["after"]
    early = nn.Linear(4, 3)
    early.register_forward_pre_hook(lambda module, args: calls.append("before"))
    assert not taken(monkeypatch, early, (2, 4))
    assert calls == ["after", "before"]

    class Own(nn.Linear):
        pass

    assert not taken(monkeypatch, Own(4, 3), (2, 4))


def test_a_forward_of_the_instance_or_a_patched_class_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Linear(4, 3)
    module.forward = lambda x: x + 1  # type: ignore[method-assign]
    assert [layer.op for layer in multiprof.analyze(nn.Sequential(module), (2, 4)).graph.layers] == ["add"]
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x * 2)
    assert [layer.op for layer in multiprof.analyze(nn.Sequential(nn.Linear(4, 3)), (2, 4)).graph.layers] == ["mul"]
