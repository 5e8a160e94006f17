"""`multiprof.benchmark` from end to end with PyTorch nets: each measured in a process of its own, the times joined to
the layers, and what cannot be measured said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from multiprof_benchmark import plausible
from multiprof_benchmark.bench import benchmark
from multiprof_benchmark.environment import usable_cores
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.timing import Timed
from multiprof_benchmark.worker import _slowed
from torch import nn

import multiprof
from multiprof import ModelError, UsageError

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.act = nn.ReLU()
        self.fc = nn.Linear(8 * 6 * 6, 10)

    def forward(self, x):
        return self.fc(self.act(self.conv(x)).flatten(1))

class Deadly(Net):
    def forward(self, x):
        import os
        if not torch.overrides._get_current_function_mode_stack():
            os.kill(os.getpid(), 11)
        return super().forward(x)
"""
MACS = 8 * 6 * 6 * 27 + 8 * 6 * 6 * 10


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"{tmp_path / 'net.py'}:Net"


def check(report: multiprof.Report, routes: list[tuple[str, str]]) -> None:
    wholes = [m for m in report.measurements if m.kind == "whole"]
    assert [(m.runner, m.route) for m in wholes] == routes
    for m in wholes:
        assert m.median > 0
        assert m.runs >= 10
        assert set(m.phases) == {"load", "first", "warmup"}
        assert m.environment["cores"] >= 1
        assert m.environment["torch"] == torch.__version__
        assert m.threads == 1
        assert m.isolated


def test_a_python_target_natively_and_synthesised(net):
    report = benchmark(net, (2, 3, 8, 8), on="cpu", quick=True)
    check(report, [("cpu", "native")])
    assert report.macs == 2 * MACS
    groups = {m.subject: m for m in report.measurements if m.kind == "group"}
    assert set(groups) == {("conv",), ("act",), ("reshape",), ("fc",)}
    report = benchmark(net, (2, 3, 8, 8), on="cpu", quick=True, route="synthesised")
    check(report, [("cpu", "synthesised")])
    layers = [name for m in report.measurements if m.kind == "group" for name in m.subject]
    assert {"conv", "act", "fc"} <= set(layers)
    assert len(layers) == len(set(layers))
    notes = report.measurements[0].environment["notes"]
    assert notes[0].startswith("synthesised: 100.0% of the MACs")


def test_a_live_module_travels_and_comes_back_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = benchmark(model, (3, 4), quick=True, layers=False)
    check(report, [("cpu", "native")])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [m.kind for m in report.measurements] == ["whole"]


def test_batches_threads_and_precisions(net):
    report = benchmark(net, (1, 3, 8, 8), batch=(1, 4), precision=("", "bf16"), quick=True, layers=False)
    assert [(m.batch, m.precision) for m in report.measurements] == [(1, ""), (1, "bf16"), (4, ""), (4, "bf16")]
    assert report.macs == MACS  # of the first batch


def test_a_report_with_measurements_is_saved_whole(net, tmp_path):
    report = benchmark(net, (2, 3, 8, 8), quick=True)
    report.save(tmp_path / "r.json")
    assert multiprof.load(tmp_path / "r.json") == report


def test_what_cannot_be_measured_is_a_warning_and_the_rest_is_kept(net):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")  # then nothing is missing
    report = benchmark(net, (2, 3, 8, 8), on=("gpu", "cpu", "onnxruntime"), quick=True, layers=False)
    check(report, [("cpu", "native")])
    assert report.warnings[-2].startswith("not measured: gpu: no CUDA GPU here: it needs an NVIDIA GPU")
    assert report.warnings[-1].startswith("not measured: onnxruntime: ")


def test_a_worker_that_is_killed_is_one_line(net):
    deadly = net.replace(":Net", ":Deadly")
    with pytest.raises(ModelError) as error:
        benchmark(deadly, (2, 3, 8, 8), quick=True)
    assert str(error.value) == "cpu (native), 1 thread: the worker process was killed by SIGSEGV"
    report = benchmark(deadly, (2, 3, 8, 8), quick=True, route="synthesised", layers=False)
    check(report, [("cpu", "synthesised")])


def test_a_worker_that_takes_too_long_is_one_line(net):
    with pytest.raises(ModelError, match=r"cpu \(native\), 1 thread: took longer than 0 s and was stopped"):
        benchmark(net, (2, 3, 8, 8), cap=0.01)


def test_a_worker_that_takes_too_much_memory_is_one_line(net):
    with pytest.raises(ModelError) as error:
        benchmark(net, (2, 3, 8, 8), memory=2**20, cap=100)
    said = "cpu (native), 1 thread: needs more memory than the 0.0 GiB it may have, and was stopped"
    assert str(error.value) == said


def test_more_threads_than_there_are_leave_the_others(net):
    report = benchmark(net, (2, 3, 8, 8), threads=(1, usable_cores() + 1), quick=True, layers=False)
    check(report, [("cpu", "native")])
    wrong = f"not measured: cpu: threads {usable_cores() + 1}: this machine lets a process use 1 to {usable_cores()}"
    assert report.warnings[-1] == wrong


def test_a_rate_that_no_machine_has_is_a_warning(net, monkeypatch):
    monkeypatch.setattr(plausible, "FASTEST_CLOCK", 1e-3)
    report = benchmark(net, (2, 3, 8, 8), quick=True, layers=False)
    assert report.warnings == tuple(plausible.too_fast(report, report.measurements))
    assert report.warnings


def test_layers_that_take_far_more_than_the_model_are_noted():
    timed = Timed(0.0, 0.0, (1.0, 1.0))
    assert _slowed([Part(("a",), (0.5, 0.7)), Part((), (0.5, 0.5))], timed) == ()
    (note,) = _slowed([Part(("a",), (2.0, 2.0)), Part(("b",), (3.0, 3.0))], timed)
    assert note.startswith("single layers take 5.0 times what the whole model does")


def test_what_runs_is_counted(net):
    (whole,) = benchmark(net, (2, 3, 8, 8), quick=True, layers=False).measurements
    assert 0 < whole.environment["cores_at_work"] < 1.5
    assert 0 < whole.memory["rss"] < 2**30
    assert whole.energy or whole.environment["energy"].startswith("energy is not measured: no RAPL counter")
    assert not any("training mode" in warning for warning in benchmark(net, (2, 3, 8, 8), quick=True).warnings)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"on": "abacus"}, "unknown runner 'abacus'; one of tflite, cpu, onnxruntime, gpu"),
        ({"on": ()}, "name at least one runner"),
        ({"threads": usable_cores() + 1}, f"this machine lets a process use 1 to {usable_cores()}"),
        ({"memory": 0}, "memory 0: give a number of bytes"),
        ({"threads": 0}, "threads 0: "),
        ({"batch": 0}, "batch 0: give a number of at least 1"),
        ({"route": "scenic"}, "route 'scenic'; one of native, converted, synthesised"),
        ({"least": math.nan}, "least nan is no share between 0 and 1"),
    ],
)
def test_a_wrong_call_is_one_line(net, wrong, said):
    with pytest.raises(UsageError) as error:
        benchmark(net, (2, 3, 8, 8), **wrong)
    assert said in str(error.value)


def test_a_precision_that_is_none(net):
    with pytest.raises(ModelError, match="precision 'fp12': torch computes in one of fp32, fp16, bf16"):
        benchmark(net, (2, 3, 8, 8), precision="fp12", quick=True)
