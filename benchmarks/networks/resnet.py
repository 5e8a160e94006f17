"""ResNet-50 (He et al. 2015), as the example has it: 25,557,032 parameters, 4,089,184,256 MACs an image of 224×224."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from torch import nn

EXAMPLE = Path(__file__).parents[2] / "examples" / "resnet50.py"


def resnet50() -> nn.Module:
    spec = spec_from_file_location("resnet50_example", EXAMPLE)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.resnet50()
