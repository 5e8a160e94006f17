"""Operations of a .tflite file as models of their own: which can, what they compute, and the cap they share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_files import Residual, run_as_given
from loop_file import SHAPE, TRIPS, write
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.sessions import litert_layers, litert_slices
from multiprof_benchmark.sessions.litert_file import operators
from multiprof_benchmark.sessions.litert_slices import LATE, STEERED, UNABLE, slices, timed
from multiprof_benchmark.timing import Rules
from torch import nn

import multiprof
from multiprof import TensorSpec

SHORT = Rules(runs=10, seconds=0.0, cap=1e6, warmup_runs=1, warmup_seconds=0.0)


class Slow:
    """A clock, and interpreters on whose runs it moves a second forward; it reads nanoseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr(litert_slices, "Interpreter", lambda **_: self)

    def __call__(self) -> int:
        return self.now

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict]:
        return []

    def invoke(self) -> None:
        self.now += 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Four convolutions of different sizes."""
    net = nn.Sequential(*[nn.Conv2d(3, 3, kernel) for kernel in (1, 2, 3, 4)])
    file = tmp_path / "four.tflite"
    file.write_bytes(lower(multiprof.analyze(net, TensorSpec((1, 3, 16, 16)))).data)
    return str(file)


def test_one_cap_is_shared_by_all(path, monkeypatch):
    """Each operation takes two seconds at least, its first run and a sample: after three seconds the third is late."""
    clock = Slow(monkeypatch)
    found = timed(path, {}, 1, Rules(runs=10, seconds=0.0, cap=3.0), clock=clock)
    assert [(part.number, times) for part, times in found.timed] == [(0, (1.0,)), (1, (1.0,))]
    assert clock.now == 4e9
    assert [part.number for part, _ in found.untimed] == [2, 3, 4, 5]
    assert {reason for _, reason in found.untimed} == {LATE.format(3)}
    assert found.notes == ("not timed alone: CONV_2D (3), TRANSPOSE (1): the 3 s for all layers were over",)


def test_each_has_its_share_of_the_cap(path, monkeypatch):
    """Six operations (two turn the layout) and 600 seconds: a hundred each, none of them starved by the first."""
    clock = Slow(monkeypatch)
    found = timed(path, {}, 1, Rules(runs=10_000, seconds=0.0, cap=600.0, warmup_seconds=50.0), clock=clock)
    assert not found.untimed
    assert clock.now == 600e9
    # the first run and two to warm up are no samples; a share of 99.999 seconds may end a run earlier or later
    assert [len(times) for _, times in found.timed] == pytest.approx([100 - 3] * 6, abs=1)


def test_without_haste_all_have_as_many_samples(path):
    found = timed(path, {}, 1, SHORT)
    assert {len(times) for _, times in found.timed} == {5}
    assert not found.notes


def test_operations_alike_but_for_their_weights_are_timed_once(tmp_path, monkeypatch):
    net = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)], nn.Conv2d(4, 4, 1))
    file = tmp_path / "alike.tflite"
    file.write_bytes(lower(multiprof.analyze(net, TensorSpec((1, 4, 8, 8)))).data)
    models = []
    monkeypatch.setattr(litert_slices, "_time", lambda model, *_: models.append(model) or (float(len(models)),))
    found = timed(str(file), {}, 1, SHORT)
    convolutions = [times for part, times in found.timed if part.kind == "CONV_2D"]
    assert len(convolutions) == 6
    assert len(set(convolutions)) == 2
    assert len(models) == len({part.key for part, _ in found.timed}) == 4


def test_only_some_are_timed(path):
    assert [part.number for part, _ in timed(path, {}, 1, SHORT, only={2, 4}).timed] == [2, 4]


def test_slices_one_after_the_other_compute_what_the_file_does(tmp_path):
    data = lower(multiprof.analyze(Residual().eval(), TensorSpec((1, 3, 16, 16)))).data
    file = tmp_path / "whole.tflite"
    file.write_bytes(data)
    x = np.random.default_rng(0).normal(size=(1, 3, 16, 16)).astype(np.float32)
    found = operators(file)
    tensors = {found[0].reads[0]: x}
    for part in slices(str(file), {}):
        item = found[part.number]
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=part.model())
        interpreter.allocate_tensors()
        for detail, number in zip(interpreter.get_input_details(), dict.fromkeys(item.reads), strict=True):
            interpreter.set_tensor(detail["index"], tensors[number])
        interpreter.invoke()
        for detail, number in zip(interpreter.get_output_details(), item.makes, strict=True):
            tensors[number] = interpreter.get_tensor(detail["index"])
    np.testing.assert_allclose(tensors[found[-1].makes[0]], run_as_given(data, x), rtol=1e-5, atol=1e-6)


def test_a_loop_alone_takes_its_graphs_along(tmp_path):
    """Inside, x is doubled three times: 8 x, and nothing is added before or after."""
    path = write(tmp_path / "loop.tflite")
    (loop,) = [part for part in slices(path, {}) if part.kind == "WHILE"]
    x = np.arange(32, dtype=np.float32).reshape(SHAPE)
    assert np.array_equal(run_as_given(Path(path).read_bytes(), x), (x + 1) * 2**TRIPS + 1)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=loop.model())
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()  # the counter's beginning stays a constant
    interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    results = [interpreter.get_tensor(item["index"]) for item in interpreter.get_output_details()]
    assert results[0] == TRIPS
    assert np.array_equal(results[1], x * 8)


def test_a_loop_whose_trips_the_model_decides_is_not_timed_and_its_layers_are_in_no_group(tmp_path):
    path = write(tmp_path / "loop.tflite", counted_by_input=True)
    sliced = timed(path, {}, 1, SHORT)
    assert [(part.kind, reason) for part, reason in sliced.untimed] == [("WHILE", STEERED)]
    assert sliced.notes == (f"not timed alone: WHILE (1): {STEERED}",)
    report = multiprof.analyze(path)
    groups = [part.subject for part in litert_layers.of_slices(report, operators(path), sliced)]
    outside = [row.name for row in report.layers if row.layer.region is None]
    assert sorted(name for group in groups for name in group) == sorted(outside)
    assert len(groups) == len(outside) == 2


def test_what_the_interpreter_refuses_alone_is_said(path, monkeypatch):
    class Refuses:
        def __init__(self, model_content, num_threads):
            raise ValueError("no such operation")

    monkeypatch.setattr(litert_slices, "Interpreter", Refuses)
    found = timed(path, {}, 1, SHORT)
    assert not found.timed
    assert {reason for _, reason in found.untimed} == {UNABLE}
    assert litert_layers.of_slices(multiprof.analyze(path), operators(path), found) == []
