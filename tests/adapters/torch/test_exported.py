"""Programs of `torch.export` count as the module they were made of."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import multiprof
from multiprof import InputsError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        y: torch.Tensor = self.lstm(torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2))[0]
        return y * scale


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about the weights of an LSTM
        return torch.export.export(Net().eval(), (torch.zeros(2, 3, 6, 5),))


def test_it_carries_its_inputs(program: torch.export.ExportedProgram) -> None:
    report = multiprof.analyze(program)
    # a 3×3 convolution of 6·5 positions, an LSTM of 2·30 steps
    assert report.macs == 2 * 6 * 5 * 8 * 9 * 3 + 2 * 30 * 4 * 16 * (8 + 16)
    assert report.params == 8 * 9 * 3 + 2 * 8 + 4 * 16 * (8 + 16) + 2 * 4 * 16
    assert report.buffers == 2 * 8 + 1  # means, variances, batches seen
    assert not report.unsupported()
    assert not report.warnings  # not that it were in training mode: it has none


def test_it_counts_as_the_module_does(program: torch.export.ExportedProgram) -> None:
    live = multiprof.analyze(Net().eval(), (2, 3, 6, 5))
    report = multiprof.analyze(program, (2, 3, 6, 5))
    assert (report.macs, report.flops, report.params) == (live.macs, live.flops, live.params)


def test_inputs_it_was_not_exported_for_are_an_error(program: torch.export.ExportedProgram) -> None:
    with pytest.raises(InputsError, match=r"size.*\[2, 3, 7, 5\]"):
        multiprof.analyze(program, (2, 3, 7, 5))
