"""The battery of benchmarks/accuracy_torch.py: exact in every mode; torch's kernels confirm its closed forms."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import multiprof

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from accuracy.battery import Case, cases
from accuracy.report import cell, elements, verdict
from accuracy.state import Snapshot
from dispatch_count import dispatched_macs

CASES = cases()
# Where torch's kernels do other work than the product that is written.
APART = {
    "bilinear": 8 * 16 * 20 * 12,  # one kernel over all triples, with no product after the first
    "a linear quantised to int8, dynamically": 0,  # in a kernel that hides its weights
    "complex numbers": 8 * 64 * 32,  # products of complex numbers
}


def test_the_battery_is_large() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.filterwarnings("ignore")  # torch's own, about how it runs some of the nets
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_closed_form_is_what_torch_dispatches(case: Case) -> None:
    module, args, kwargs = case.on("cpu")
    assert dispatched_macs(module, *args, **kwargs).macs == APART.get(case.name, case.macs)


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_net_is_exact_in_every_mode(case: Case, device: str, grad: bool) -> None:
    if device == "meta" and case.cpu_only:
        device = "cpu"
    module, args, kwargs = case.on(device)
    before = Snapshot.take(module)
    with torch.set_grad_enabled(grad):
        report = multiprof.analyze(module, multiprof.Inputs(*args, **kwargs), strict=True)
    assert report.macs == case.macs
    assert report.coverage == 1.0
    assert before.changed(module) == []


def _case() -> Case:
    return Case("x", "group", 1000, 100, lambda: (torch.nn.Identity(), (), {}))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"value": 1000.0}, "exact"),
        ({"value": 1100.0}, "exact"),  # with its biases
        ({"value": 1009.0}, "close"),
        ({"value": 1050.0}, "wrong"),
        ({"value": 0.0}, "zero"),
        ({"error": "TypeError"}, "error"),
    ],
)
def test_verdicts(row: dict[str, Any], expected: str) -> None:
    assert verdict(_case(), row) == expected


def test_norms_are_right_in_a_unit_that_has_them() -> None:
    """64·32·32 numbers of a norm and as many of a ReLU, behind a convolution; two a channel that the norm keeps."""
    case = next(case for case in CASES if case.name == "conv, batch norm, relu")
    assert elements(case.name) == 2 * 64 * 32 * 32 + 2 * 64
    row = {"value": case.macs + 9 * 64 * 32 * 32}
    assert verdict(case, row, extras=True) == "close"
    assert verdict(case, row, extras=False) == "wrong"
    assert verdict(case, {"value": case.macs + 11 * 64 * 32 * 32}, extras=True) == "wrong"


def test_cells_say_where_the_modes_differ() -> None:
    right, twice = {"value": 1000.0}, {"value": 2000.0}
    rows = {"cpu, grad": right, "cpu, no_grad": right, "meta, grad": right, "meta, no_grad": right}
    assert cell(_case(), rows) == "="
    assert cell(_case(), {**rows, "cpu, no_grad": twice}) == "CPU =, no_grad ×2; meta ="
    assert cell(_case(), {name: rows[name] for name in ("cpu, grad", "cpu, no_grad")}) == "="


def test_a_snapshot_sees_what_changed() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    before = Snapshot.take(module)
    assert before.changed(module) == []
    module.eval()
    module[0].register_forward_hook(lambda *_: None)
    module[1].register_buffer("total_ops", torch.zeros(1))
    module[1].running_mean.add_(1)
    torch.rand(1)
    found = before.changed(module)
    assert found == ["modes", "state_dict keys", "hooks", "random numbers", "state_dict values"]
