"""Builds networks in PyTorch; run as a script, exports them as ONNX with both of PyTorch's exporters.

    python make_torch.py FOLDER

In a process of its own, as the exporters warn of many things.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

EXAMPLE = Path(__file__).parents[2] / "examples" / "resnet50.py"
STEPS, FEATURES, HIDDEN = 50, 128, 256


def resnet50() -> tuple[nn.Module, Tensor]:
    spec = importlib.util.spec_from_file_location("resnet50", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.resnet50(), torch.zeros(1, 3, 224, 224)


def lstm() -> tuple[nn.Module, Tensor]:
    net = nn.LSTM(FEATURES, HIDDEN, num_layers=2, bidirectional=True)
    return net.eval(), torch.zeros(STEPS, 1, FEATURES)


def deconvolution() -> tuple[nn.Module, Tensor]:
    """8×8 to 16×16, then to 32×32 in two groups."""
    up1 = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)
    up2 = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1, groups=2)
    return nn.Sequential(up1, up2).eval(), torch.zeros(1, 8, 8, 8)


def randomised(net: nn.Module) -> nn.Module:
    """Other values in every parameter and statistic: what is equal is stored once, a bias of zeros not at all."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return net


def main() -> None:
    folder = Path(sys.argv[1])
    for build in (resnet50, lstm, deconvolution):
        net, x = build()
        randomised(net)
        for dynamo in (False, True):
            file = folder / f"{build.__name__}_{'dynamo' if dynamo else 'script'}.onnx"
            torch.onnx.export(net, (x,), str(file), dynamo=dynamo, external_data=False, verbose=False)


if __name__ == "__main__":
    main()
