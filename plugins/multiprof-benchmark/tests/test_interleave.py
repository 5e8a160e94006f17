"""Two models, or two settings, that run in turns: as many samples of each, one ratio, and what goes wrong."""

from __future__ import annotations

import statistics

import pytest
import torch
from multiprof_benchmark.bench import benchmark
from torch import nn

import multiprof
from multiprof import ModelError

NETS = """
import os
import torch
from torch import nn

class Small(nn.Linear):
    def __init__(self):
        super().__init__(8, 8)

class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(8, 8) for _ in range(60)))

    def forward(self, x):
        return self.layers(x)

class Deadly(Small):
    calls = 0

    def forward(self, x):
        if not torch.overrides._get_current_function_mode_stack():
            self.calls += 1
            if self.calls > 8:
                os.kill(os.getpid(), 9)
        return super().forward(x)
"""


@pytest.fixture
def nets(tmp_path) -> str:
    (tmp_path / "nets.py").write_text(NETS)
    return str(tmp_path / "nets.py")


def test_two_models(nets, tmp_path):
    report = benchmark(f"{nets}:Small", (4, 8), quick=True, interleave=f"{nets}:Large")
    whole, compared = report.measurements
    assert (whole.kind, compared.kind) == ("whole", "compared")
    assert report.name == compared.against == "Small"
    assert compared.label == "Large"
    assert compared.baseline == whole.times
    assert len(compared.times) == whole.runs >= 10
    middle, low, high = compared.ratio
    assert middle == statistics.median(compared.times) / statistics.median(whole.times)
    # sixty layers against one: whatever the machine does meanwhile, the interval lies above 1
    assert 1 < low <= middle <= high
    report.save(tmp_path / "r.json")
    assert multiprof.load(tmp_path / "r.json") == report
    assert report.to_dict()["measurements"][1]["ratio"] == {"median": middle, "low": low, "high": high}


def test_settings_of_one_call():
    report = benchmark(nn.Linear(8, 8), (4, 8), precision=("", "bf16"), quick=True, interleave=True)
    assert [(m.kind, m.precision) for m in report.measurements] == [
        ("whole", ""),
        ("whole", "bf16"),
        ("compared", "bf16"),
    ]
    compared = report.measurements[2]
    assert compared.label == "cpu (native), 1 thread, bf16"
    assert compared.against == "cpu (native), 1 thread"
    assert len({m.runs for m in report.measurements}) == 1


def test_one_setting_has_nothing_to_compare_with():
    with pytest.raises(ModelError, match=r"cpu \(native\), 1 thread: there is no other setting to compare with"):
        benchmark(nn.Linear(8, 8), (4, 8), quick=True, interleave=True)


def test_one_of_two_that_dies_is_named(nets):
    with pytest.raises(ModelError) as error:
        benchmark(f"{nets}:Small", (4, 8), quick=True, interleave=f"{nets}:Deadly")
    said = "cpu (native), 1 thread beside Deadly: cpu (native), 1 thread: the worker process was killed by SIGKILL"
    assert str(error.value) == f"{said}: perhaps for want of memory"


def test_what_stays_in_this_process_takes_no_turns():
    class Local(nn.Linear):
        pass

    with pytest.raises(ModelError, match="only what runs in a process of its own can take turns: the model cannot be"):
        benchmark(Local(4, 4), (2, 4), quick=True, interleave=torch.nn.Linear(4, 4))
