"""What the tests here share: published networks, and the comparison of a report with hand-written figures."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import multiprof


@pytest.fixture(scope="session")
def nets() -> ModuleType:
    """The module ``nets.py`` beside this file."""
    return _beside("nets")


@pytest.fixture(scope="session")
def training_nets() -> ModuleType:
    """The module ``training_nets.py`` beside this file."""
    return _beside("training_nets")


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["cpu", "meta", *(["cuda"] if torch.cuda.is_available() else [])])
def device(request: pytest.FixtureRequest) -> str:
    """Where the model's parameters are."""
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["grad", "no_grad"])
def grad(request: pytest.FixtureRequest) -> bool:
    """Whether autograd is on while a model is analysed."""
    return bool(request.param)


@pytest.fixture
def exact(device: str, grad: bool) -> Callable[..., None]:
    """``exact(build, inputs, macs, params, op=count, …)``: the report says so, of a model built on every device.

    Everything must be priced; a warning may say that the model trains, or that a sort may need less than is counted.
    """

    def check(build: Callable[[], Any], inputs: Any, macs: int, params: int, **ops: int) -> None:
        with torch.device(device):
            model = build()
        with torch.set_grad_enabled(grad):
            report = multiprof.analyze(model, inputs)
        assert report.macs == macs
        assert report.params == params
        assert not report.unsupported()
        harmless = ("the model is in training mode", "upper bounds, since the work depends on values: sort")
        assert all(warning.startswith(harmless) for warning in report.warnings)
        assert {op: sum(layer.op == op for layer in report.layers) for op in ops} == ops

    return check
