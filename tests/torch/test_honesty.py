"""What multiprof cannot see or price lowers the coverage and is named; what is wrong is one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import multiprof
from multiprof import InputsError, ModelError, TensorSpec, UnsupportedOpError

NETS = """
import numpy
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(x)


class Raises(Net):
    def forward(self, x):
        raise KeyError("weights")


library = torch.library.Library("acme_shell", "DEF")
library.define("wave(Tensor x) -> Tensor")
library.impl("wave", torch.empty_like, "CompositeExplicitAutograd")


class Unknown(Net):
    def forward(self, x):
        return torch.ops.acme_shell.wave(self.fc(x))
"""

LIBRARY = torch.library.Library("acme_honesty", "DEF")
LIBRARY.define("wave(Tensor x) -> Tensor")
LIBRARY.impl("wave", torch.empty_like, "CompositeExplicitAutograd")


class OutOfSight(nn.Module):
    """Goes through numpy in the middle: x·W in torch, the rest where torch sees nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 4, bias=False)
        self.w = np.ones((4, 3), np.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.from_numpy(self.fc(x).numpy() @ self.w))


def test_a_tensor_from_nowhere_does_not_vanish() -> None:
    report = multiprof.analyze(OutOfSight(), (2, 8))
    ops = [layer.op for layer in report.graph.layers]
    assert ops == ["linear", "torch.untraced", "relu"]
    assert report.macs == 2 * 8 * 4
    assert report.coverage == pytest.approx(2 / 3)
    assert list(report.unsupported()) == ["torch.untraced"]
    untraced = report.graph.layers[1]
    assert untraced.outputs["y"].shape == (2, 3)
    assert report.graph.layers[2].inputs["x"].name == untraced.outputs["y"].name
    assert str(report.graph.metadata["rung"]).startswith("run for real")


def test_a_constant_of_the_module_is_no_tensor_from_nowhere() -> None:
    class Scales(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.full((4,), 2.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale if float(x.sum()) < 1e30 else x

    report = multiprof.analyze(Scales(), torch.ones(2, 4))
    assert report.coverage == 1
    assert report.graph.parameters["scale"].kind == "constant"


def test_an_unknown_op_has_no_cost() -> None:
    class Unknown(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.acme_honesty.wave(x) + 1

    report = multiprof.analyze(Unknown(), (3, 5))
    unknown = report.layer("wave")
    assert (unknown.state, unknown.cost, unknown.macs, unknown.flops) == ("unsupported", None, None, None)
    assert report.coverage == 0.5
    assert report.flops == 15
    with pytest.raises(UnsupportedOpError, match=r"torch\.acme_honesty\.wave"):
        multiprof.analyze(Unknown(), (3, 5), strict=True)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (nn.Linear(8, 4), (1, 9), "same reduction dim"),
        (nn.Linear(8, 4), TensorSpec((1, 8), "int64"), "int64"),
        (nn.Conv2d(3, 4, 3), (1, 4, 8, 8), "channel"),
        (nn.Conv2d(3, 4, 3), TensorSpec((1, 3, 8, 8), "int64"), "int64"),
        (nn.Embedding(10, 4), (1, 3), "indices"),
        (nn.Linear(8, 4), [(1, 8), (1, 8)], "positional argument"),
        (nn.Linear(8, 4), {"y": (1, 8)}, "unexpected keyword argument"),
    ],
)
def test_inputs_that_do_not_fit(module: nn.Module, inputs: object, message: str, device: str) -> None:
    with pytest.raises((InputsError, ModelError), match=message):
        multiprof.analyze(module.to(device), inputs)


def test_no_inputs() -> None:
    with pytest.raises(InputsError, match="--input"):
        multiprof.analyze(nn.Linear(8, 4))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["analyze", "net.py:Net", "--input", "1x8", "-q"], 0, ""),
        (
            ["analyze", "net.py:Unknown", "--input", "1x8", "--strict", "-q"],
            1,
            "--strict: layers without a cost: torch.acme_shell.wave",
        ),
        (["analyze", "missing.py:Net", "--input", "1x8"], 2, "missing.py"),
        (["analyze", "net.py:Net"], 2, "--input"),
        (["analyze", "net.py:Net", "--input", "1x9"], 2, "same reduction dim"),
        (["analyze", "net.py:Net", "--input", "1x8:int64"], 2, "int64"),
        (["analyze", "net.py:Raises", "--input", "1x8"], 2, "KeyError at "),
        (["analyze", "net.py:Net", "--input", "1x8", "--framework", "caffe"], 2, "unknown framework 'caffe'"),
    ],
)
def test_the_shell(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "net.py").write_text(NETS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "multiprof", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == (code > 0)
    assert message in "".join(errors)
    assert "Traceback" not in done.stderr


def test_a_traceback_on_request(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETS, encoding="utf-8")
    command = [sys.executable, "-m", "multiprof", "analyze", "net.py:Raises", "--input", "1x8", "-vv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
