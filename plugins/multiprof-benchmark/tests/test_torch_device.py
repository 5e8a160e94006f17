"""A device's own time beside that of the wall, with marks as CUDA's are, on the CPU."""

from __future__ import annotations

from time import perf_counter

import pytest
import torch
from multiprof_benchmark.carry import carried
from multiprof_benchmark.runners.gpu import Gpu
from multiprof_benchmark.sessions.torch_device import Device
from multiprof_benchmark.subject import Options
from multiprof_benchmark.timing import Rules, measure
from torch import nn

import multiprof
from multiprof import Inputs, TensorSpec


class Mark:
    """CUDA's events, as far as they are used: a moment, and the milliseconds from one to another."""

    def record(self) -> None:
        self.at = perf_counter()

    def elapsed_time(self, end: Mark) -> float:
        return (end.at - self.at) * 1e3


def test_the_time_on_the_device_is_within_that_of_the_wall():
    device = Device("cpu", 1, Mark)
    start = perf_counter()
    assert device.run(lambda: torch.ones(100, 100) @ torch.ones(100, 100)).shape == (100, 100)
    assert 0 < device.spent[0] < perf_counter() - start
    assert Device("cpu", 1).run(lambda: 3) == 3
    assert Device("cpu", 1).spent == []


@pytest.mark.parametrize("route", ["native", "synthesised"])
def test_the_path_of_a_gpu_on_the_cpu(tmp_path, route):
    model, inputs = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), Inputs(TensorSpec((2, 4), "float32"))
    report = multiprof.analyze(model, inputs)
    report.save(tmp_path / "report.json")
    subject = carried(model, inputs, "torch", tmp_path / "report.json", None)
    runner = Gpu("cpu")
    assert runner.available() is None
    assert runner.routes(subject) == ("native", "synthesised")
    options = Options()
    session = runner.prepare(subject, options, route)
    session.device.event = Mark
    timed = measure(session.run, Rules(runs=4, seconds=0.0, warmup_runs=1, warmup_seconds=0.0))
    on_device = session.device_times()[-4:]
    assert len(on_device) == len(timed.times) == 4
    assert sum(on_device) > 0
    subjects = [part.subject for part in session.per_layer(options) if part.subject]
    assert [name for subject in subjects for name in subject] == ["0", "1"]
