"""Calls of torch's functions, joined to the layers of the graph: each net's own rows, whatever they take."""

from __future__ import annotations

import pytest
import torch
from multiprof_benchmark.bench import benchmark
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.sessions.torch_calls import OTHERS, Calls, fused_modules, joined, scopes
from torch import nn

import multiprof


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        return torch.relu(y + x) + x


def rows(model: nn.Module, *shape: int) -> list[Part]:
    """The parts of two runs in this process."""
    model.eval()
    report = multiprof.analyze(model, shape)
    x = torch.rand(shape)
    runs = []
    with torch.inference_mode():
        calls = Calls(model, lambda: None, fused_modules(model, lambda: model(x)))
        with scopes(calls):
            for _ in range(2):
                calls.taken = []
                with calls:
                    model(x)
                runs.append(calls.taken)
    return joined(report, runs)


def test_the_nth_call_in_a_module_is_the_nth_layer_there():
    parts = rows(nn.Sequential(Block(), Block()), 1, 4, 8, 8)
    own = ["0.conv", "0.norm", "0/relu", "0/add", "0/relu_1", "0/add_1"]
    want = [(name,) for name in (*own, *(name.replace("0", "1", 1) for name in own))]
    assert [part.subject for part in parts if part.subject] == want
    assert all(len(part.times) == 2 and min(part.times) > 0 for part in parts if part.subject)


def test_a_call_that_makes_several_layers_has_them_all():
    parts = rows(nn.LSTM(4, 8, num_layers=2), 5, 1, 4)
    groups = [set(part.subject) for part in parts if part.subject]
    assert any({"l0", "l1"} <= group for group in groups)


def test_a_fused_kernel_is_one_row_and_stays_in_use():
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False
    )
    parts = rows(model, 1, 4, 16)
    groups = [part for part in parts if part.subject]
    assert [{name[: len("layers.0")] for name in part.subject} for part in groups] == [{"layers.0"}, {"layers.1"}]
    # a norm in front keeps torch from its kernel, and every call is a row
    open_ = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0, activation=torch.tanh)
    assert len([part for part in rows(open_, 1, 4, 16) if part.subject]) > 4


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_scripted_modules_are_one_row():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
            self.last = nn.Linear(4, 2)

        def forward(self, x):
            return self.last(self.inner(x))

    parts = [part for part in rows(Holder(), 1, 4) if part.subject]
    assert [len(part.subject) for part in parts] == [2, 1]


def test_calls_without_a_layer_are_listed_by_name():
    class Odd(nn.Module):
        def forward(self, x):
            torch.manual_seed(0)
            x.is_contiguous()
            return torch.relu(x)

    model = Odd()
    report = multiprof.analyze(model, (2, 2))
    call = [(("", "is_contiguous"), 1.0), (("", "relu"), 2.0), (("", "dim"), 1e-6), (("", "size"), 1e-6)]
    parts = joined(report, [call, call, call[:1]][:2])
    assert parts == [
        Part((), (1.0, 1.0), "is_contiguous"), Part(("relu",), (2.0, 2.0)), Part((), (2e-6, 2e-6), OTHERS),
    ]  # fmt: skip


def test_where_numbers_do_not_fit_layers_are_one_group():
    class Twice(nn.Module):
        def forward(self, x):
            return torch.relu(torch.relu(torch.relu(x)))

    report = multiprof.analyze(Twice(), (2, 2))
    relu = ("", "relu")
    parts = joined(report, [[(relu, 1.0), (relu, 2.0)]])
    assert parts == [Part(("relu", "relu_1", "relu_2"), (3.0,))]


def test_layers_of_a_function_of_tensors(tmp_path):
    (tmp_path / "net.py").write_text("import torch\ndef make():\n    return lambda x: torch.relu(x @ x)\n")
    report = benchmark(f"{tmp_path}/net.py:make", (4, 4), quick=True)
    assert {m.subject for m in report.measurements if m.kind == "group"} == {("matmul",), ("relu",)}
