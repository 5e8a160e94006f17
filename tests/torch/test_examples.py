"""The models in examples/ are what they say they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_resnet50_is_the_published_network() -> None:
    model = load("resnet50").resnet50()
    assert sum(p.numel() for p in model.parameters()) == 25_557_032
    state = model.state_dict()
    # the names and shapes of the published checkpoints: 161 parameters, and 3 buffers for each of the 53 norms
    assert len(state) == 161 + 3 * 53
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer2.0.conv2.weight"].shape == (128, 128, 3, 3)
    assert state["layer4.2.bn3.running_mean"].shape == (2048,)
    assert state["fc.bias"].shape == (1000,)
    assert model.layer2[0].conv1.stride == (1, 1)  # the stride is in the 3×3
    assert model.layer2[0].conv2.stride == (2, 2)
    with torch.no_grad():
        assert model.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)
