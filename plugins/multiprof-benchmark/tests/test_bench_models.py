"""Models of every kind on their way to a worker: what they are called with, where they run, and what goes wrong."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from multiprof_benchmark.bench import benchmark
from multiprof_benchmark.bringing import resized
from multiprof_benchmark.carry import CannotTravelError, call, carried
from multiprof_benchmark.process import command
from multiprof_benchmark.settings import Settings
from torch import nn

from multiprof import Inputs, InputsError, TensorSpec, UsageError

NETS = """
import os
import sys
import time
import torch
from torch import nn
from multiprof import Inputs, TensorSpec

def modes():  # the reader runs a model under a mode of its own, and so does what times its layers
    return [type(mode).__name__ for mode in torch.overrides._get_current_function_mode_stack()]

def analysed():
    return "ShapeMode" in modes()

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.linear = nn.Linear(8, 4)

    def forward(self, ids, *, mask=None, more=None):
        y = self.linear(self.embedding(ids))
        if mask is not None:
            y = y * mask
        return y if more is None else y + more["b"] @ more["a"]

def by_keywords():
    return Words(), Inputs(TensorSpec((2, 5), "int64"), mask=TensorSpec((2, 5, 4), "float32"))

def by_mapping():
    return Words(), {"more": {"a": torch.ones(3, 4), "b": torch.ones(5, 3)}, "ids": torch.zeros(2, 5, dtype=torch.long)}

class Wanders(Words):
    def forward(self, ids):
        os.chdir("/")
        return super().forward(ids)

class Slow(Words):
    def forward(self, ids):
        if not analysed():
            time.sleep(0.4)
        return super().forward(ids)

class Dies(Words):
    calls = 0

    def forward(self, ids):
        if "Calls" in modes():  # when its layers are timed
            os.kill(os.getpid(), 11)
        return super().forward(ids)
"""
IDS = TensorSpec((2, 5), "int64")


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("models/nets.py").write_text(NETS)
    Path("torch.py").write_text("raise SystemExit('the wrong torch')")
    return "models/nets.py"


@pytest.mark.parametrize("name", ["by_keywords", "by_mapping"])
def test_a_callable_that_says_what_to_call_its_model_with(nets, name):
    report = benchmark(f"{nets}:{name}", quick=True, layers=False)
    assert [(m.runner, m.route) for m in report.measurements] == [("cpu", "native")]


def test_a_model_that_leaves_the_folder(nets):
    assert benchmark(f"{nets}:Wanders", IDS, quick=True, layers=False).measurements


def test_a_cap_leaves_time_for_samples(nets):
    # 0.4 s a run: at least 50 runs would take 20 s, and 25 for the layers
    (whole, *layers) = benchmark(f"{nets}:Slow", IDS, cap=30).measurements
    assert 5 < whole.runs < 50
    assert {m.subject for m in layers} == {("embedding",), ("linear",)}


def test_what_goes_wrong_with_layers_does_not_cost_the_whole(nets):
    (whole,) = benchmark(f"{nets}:Dies", IDS, quick=True).measurements
    assert whole.kind == "whole"
    assert whole.environment["notes"] == ("no times of single layers: the worker process was killed by SIGSEGV",)


def test_a_batch_is_the_leading_dimension_that_inputs_share(nets):
    inputs = Inputs(torch.zeros(2, 5, dtype=torch.long), 3, mask=TensorSpec((5, 5)), pair=((2, 7), {"n": (2, 2)}))
    found = resized(None, inputs, 8, {})
    assert found.args == (TensorSpec((8, 5), "int64"), 3)
    assert found.kwargs == {
        "mask": TensorSpec((5, 5)),
        "pair": (TensorSpec((8, 7), ""), {"n": TensorSpec((8, 2), "")}),
    }
    found = resized(f"{nets}:by_mapping", None, 8, {})
    assert found.kwargs["ids"] == TensorSpec((2, 5), "int64")  # the first tensor is 3×4
    assert found.kwargs["more"] == {"a": TensorSpec((8, 4), "float32"), "b": TensorSpec((5, 3), "float32")}
    with pytest.raises(UsageError, match="batch 8: the model has no input whose leading dimension could be one"):
        resized(None, Inputs(3), 8, {})


def test_a_batch_that_the_model_cannot_have_leaves_the_others():
    model = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2)), nn.Flatten(0), nn.Unflatten(0, (1, 4)))
    report = benchmark(model, (1, 4), batch=(2, 1), quick=True, layers=False)
    assert [m.batch for m in report.measurements] == [1]
    assert report.warnings[-1].startswith("not measured: batch 2: ")
    with pytest.raises(InputsError, match="unflatten"):
        benchmark(model, (1, 4), batch=2, quick=True)


def test_a_class_of_the_running_script_stays(tmp_path, monkeypatch):
    Main = type("Main", (nn.Linear,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Main", Main, raising=False)
    pickle.dumps(Main)  # it can be pickled, and read again by this process alone
    with pytest.raises(CannotTravelError, match="Main is defined in the script that runs, where a worker cannot"):
        carried(nn.Sequential(Main(2, 2)), None, "torch", tmp_path / "report.json", None)


def test_why_a_graph_runs_instead_of_the_model():
    class Local(nn.Linear):
        pass

    (whole,) = benchmark(Local(4, 4), (2, 4), quick=True, layers=False, route="synthesised").measurements
    assert (whole.route, whole.isolated) == ("synthesised", True)
    assert whole.environment["notes"][0].startswith("the model itself stays here, and its graph is what runs: the mod")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_files_of_pytorch(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), nn.ReLU()).eval()
    x = torch.rand(2, 4)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "exported.pt2")
    report = benchmark(tmp_path / "exported.pt2", quick=True)
    groups = [m.subject for m in report.measurements if m.kind == "group"]
    assert groups == [("0",), ("1.0",), ("1.1",), ("2",)]
    torch.jit.save(torch.jit.trace(model, x), str(tmp_path / "traced.pt"))
    (whole, *rows) = benchmark(tmp_path / "traced.pt", (2, 4), quick=True).measurements
    assert whole.route == "native"
    assert [len(m.subject) for m in rows] == [4]  # no Python inside: one row of all layers


def test_nothing_of_this_process_changes():
    model = nn.Linear(4, 4)
    before = dict(os.environ), torch.get_num_threads(), torch.get_rng_state(), os.getcwd()
    benchmark(model, (2, 4), quick=True, layers=False)
    assert (dict(os.environ), torch.get_num_threads(), os.getcwd()) == (before[0], before[1], before[3])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_form_of_a_call():
    x, spec = torch.zeros(2), TensorSpec((2,))
    found = call(Inputs(x, [spec, (spec, 1.5)], again=x, last={"y": torch.ones(2), "flag": True}))
    assert found == {
        "args": [{"input": 0}, [{"input": 1}, {"tuple": [{"input": 2}, 1.5]}]],
        "kwargs": {"again": {"input": 0}, "last": {"dict": {"y": {"input": 3}, "flag": True}}},
    }


def test_an_argument_that_cannot_travel():
    with pytest.raises(CannotTravelError, match="a dict with keys that are no strings"):
        call(Inputs({1: (2, 2)}))


def test_a_worker_finds_modules_where_its_parent_does():
    assert command("a.b", "c")[3:] == [os.pathsep.join(sys.path), os.pathsep, "a.b", "c"]


def test_each_is_measured_once():
    report = benchmark(nn.Linear(4, 4), (2, 4), on="cpu, cpu", threads=(1, 1), quick=True, layers=False)
    assert len(report.measurements) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threads": ("2",)}, "threads '2': this machine"),
        ({"threads": ()}, "threads: give at least one"),
        ({"batches": (True,)}, "batch True: give a number"),
        ({"precisions": (None,)}, "precision None: give a name"),
        ({"least": "x"}, "least 'x' is no share"),
        ({"cap": -1}, "cap -1: give seconds above 0"),
        ({"cap": float("nan")}, "cap nan: give seconds above 0"),
    ],
)
def test_settings_that_are_none(wrong, said):
    with pytest.raises(UsageError) as error:
        Settings(**wrong).check()
    assert str(error.value).startswith(said)
