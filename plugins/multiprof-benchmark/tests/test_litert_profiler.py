"""LiteRT's own profiler on files that the plugin writes, in the process that is its own; and what happens when that
crashes, hangs, is of another version or tells nonsense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_files import Call, Residual
from loop_file import SHAPE, write
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.process import ended
from multiprof_benchmark.sessions import litert_c, litert_layers, litert_profiler
from multiprof_benchmark.sessions.litert_c import Event, ProfilerError
from multiprof_benchmark.sessions.litert_file import operators
from multiprof_benchmark.sessions.litert_profiler import Profile, of_main, of_runs, profiled, read
from multiprof_benchmark.subject import Options
from multiprof_benchmark.timing import Rules
from torch import nn

import multiprof
from multiprof import Report, TensorSpec

FEW = Rules(runs=10, seconds=0.0, cap=60.0, warmup_runs=1, warmup_seconds=0.0)
X = TensorSpec((1, 3, 16, 16))


class Attention(nn.Module):
    """Operators that XNNPACK runs, and some (the split, as UNPACK) that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).reshape(1, 8, 3, 2, 8).permute(2, 0, 3, 1, 4)
        heads = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(heads.transpose(1, 2).reshape(1, 8, 16))


def flat(model: nn.Module, x: TensorSpec, folder: Path, precision: str = "fp32") -> tuple[Report, str]:
    report = multiprof.analyze(model.eval(), x)
    path = folder / "model.tflite"
    path.write_bytes(lower(report, precision=precision).data)
    return report, str(path)


def values(path: str, *shape: int, dtype: str = "float32") -> dict[int, np.ndarray]:
    """One input, which the writer makes the first of the file's tensors."""
    return {0: np.zeros(shape, dtype)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize(("model", "shape"), [(Residual, (1, 3, 16, 16)), (Attention, (1, 8, 16))])
def test_every_operator_has_a_time_or_ran_in_one_that_has(model, shape, precision, threads, tmp_path):
    report, path = flat(model(), TensorSpec(shape), tmp_path, precision)
    found = operators(path)
    dtype = "int8" if precision == "int8" else "float32"
    profile = profiled(path, values(path, *shape, dtype=dtype), threads, FEW)
    assert set(profile.steps) | set(profile.merged) == {item.number for item in found}
    assert not set(profile.steps) & set(profile.merged)
    assert set(profile.merged.values()) <= set(profile.steps)
    working = [item.number for item in found if item.kind in ("CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")]
    assert len(working) >= 2
    assert set(working) <= set(profile.steps)  # what multiplies is merged into nothing
    assert len(profile.runs) >= 10
    assert {len(run) for run in profile.runs} == {len(profile.steps)}
    parts = litert_layers.of_profile(report, found, profile)
    layers = [name for part in parts for name in part.subject]
    assert sorted(layers) == sorted(row.name for row in report.layers if row.trips != 0 and row.state != "prepared")
    totals = [sum(part.times[at] for part in parts) for at in range(len(profile.runs))]
    assert totals == pytest.approx([sum(run) for run in profile.runs])  # not a microsecond is lost


def test_layers_that_run_as_one_are_one_group(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2), nn.ReLU())
    report, path = flat(net, X, tmp_path)
    profile = profiled(path, values(path, 1, 3, 16, 16), 1, FEW)
    groups = [part.subject for part in litert_layers.of_profile(report, operators(path), profile) if part.subject]
    assert groups == [("0", "1", "2"), ("3", "4")]  # the first in the file, the second by XNNPACK


def test_another_batch_than_the_files_own(tmp_path):
    _, path = flat(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)), X, tmp_path)
    profile = profiled(path, values(path, 4, 3, 16, 16), 1, FEW)
    assert set(profile.steps) | set(profile.merged) == {item.number for item in operators(path)}


def test_what_runs_outside_xnnpack_is_said(tmp_path):
    _, path = flat(Attention(), TensorSpec((1, 8, 16)), tmp_path)
    found = operators(path)
    profile = profiled(path, values(path, 1, 8, 16), 1, FEW)
    assert {found[number].kind for number in profile.outside} == {"UNPACK"}
    assert profile.note(found).startswith("outside XNNPACK: UNPACK (1), ")
    assert not Profile((0,), ((1.0,),), {}, (), (1.0,)).note(found)


def test_a_loop_is_one_step_of_the_profile(tmp_path):
    path = write(tmp_path / "loop.tflite")
    assert [item.kind for item in operators(path)] == ["ADD", "WHILE", "ADD"]
    assert profiled(path, values(path, *SHAPE), 1, FEW).steps == (0, 1, 2)


def test_a_file_with_variable_tensors_is_refused(tmp_path):
    lstm = Call(lambda self, x: self.parts[0](x)[0], nn.LSTM(4, 8))
    _, path = flat(lstm, TensorSpec((3, 1, 4)), tmp_path)
    with pytest.raises(ProfilerError, match="no file with variable tensors"):
        profiled(path, values(path, 3, 1, 4), 1, FEW)


@pytest.mark.parametrize(
    ("does", "cap", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", 60.0, "its process was killed by SIGSEGV"),
        ("time.sleep(60)", 0.5, "it took longer than 0 s"),
        ("print('first'); print('the last line'); return 3", 60.0, "its process ended with code 3: the last line"),
        ("raise SystemExit(4)", 60.0, "its process ended with code 4: it wrote nothing"),
    ],
)
def test_a_profiler_that_crashes_leaves_operations_alone(does, cap, said, tmp_path, monkeypatch):
    report, path = flat(Residual(), X, tmp_path)
    lines = f"import os, signal, time\ndef main(arguments):\n    {does}\n"
    (tmp_path / "stands_in_for_the_profiler.py").write_text(lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(litert_profiler, "MODULE", "stands_in_for_the_profiler")
    with pytest.raises(ProfilerError) as error:
        profiled(path, values(path, 1, 3, 16, 16), 1, Rules(cap=cap))
    assert str(error.value) == said
    monkeypatch.setattr(litert_layers, "profiled", lambda *_: (_ for _ in ()).throw(error.value))
    given = values(path, 1, 3, 16, 16)
    parts, notes = litert_layers.parts(report, path, given, {}, Options(rules=FEW))
    assert notes == (litert_layers.SLICED.format(said),)
    layers = [name for part in parts for name in part.subject]
    assert sorted(layers) == sorted(row.name for row in report.layers)


def test_an_unknown_version_is_not_called(tmp_path, monkeypatch):
    _, path = flat(nn.ReLU(), X, tmp_path)
    for found, known in (("2.2.9", False), ("2.3.0", True), ("2.3.9", True), ("2.4.0", False), ("3.0.0rc1", False)):
        monkeypatch.setattr(litert_c, "version", lambda _, found=found: found)
        assert (litert_c.supported() is None) is known
    with pytest.raises(ProfilerError, match=r"known for ai-edge-litert from 2\.3 to below 2\.4, not for 3\.0\.0rc1"):
        profiled(path, values(path, 1, 3, 16, 16), 1, FEW)
    monkeypatch.setattr(litert_c, "version", lambda _: "2.3.0")
    monkeypatch.setattr(litert_c, "LIBRARY", "libElsewhere.so")
    assert litert_c.supported() == "ai-edge-litert 2.3.0 has no libElsewhere.so on this system"


@pytest.mark.parametrize(
    ("spent", "said"),
    [((0.2, 0.2), "40%"), ((0.25, 0.26), ""), ((0.6, 0.44), ""), ((0.6, 0.5), "110%"), ((9.0, 9.0), "1800%")],
)
def test_operators_that_do_not_add_up_to_the_run_are_not_believed(spent, said):
    profile = Profile((0, 1), (spent,) * 3, {}, (), (1.0, 1.0, 1.0))
    assert profile.share == pytest.approx(sum(spent))
    if not said:
        profile.check()
        return
    with pytest.raises(ProfilerError, match=f"take {said} of what a run takes without it"):
        profile.check()


def test_times_of_operators_are_replaced_and_left_out():
    profile = Profile((0, 2, 5), ((1.0, 9.0, 3.0), (2.0, 9.0, 4.0)), {}, (2,), (5.0, 5.0))
    assert profile.put({2: (0.5,)}).runs == ((1.0, 0.5, 3.0),)
    assert profile.put({}).runs == profile.runs
    rest = profile.without({2})
    assert (rest.steps, rest.runs) == ((0, 5), ((1.0, 3.0), (2.0, 4.0)))


def test_runs_of_other_operators_than_the_last_are_left_out(tmp_path):
    found = operators(write(tmp_path / "loop.tflite"))

    def run(*spent: int, extra: int = 0) -> list[Event]:
        add, loop, last = spent
        return of_main(
            [
                Event("Invoke", 1, 0, 0, 0, 999),
                Event("Add (ND)", 8, 0, 0, 0, add),
                *[Event("Copy (NC, X32)", 8, 1, 0, 0, 7)] * extra,
                Event("WHILE", 2, 1, 0, 0, loop),
                Event("Multiply (ND)", 8, 0, 2, 0, 100),
                Event("LESS", 2, 0, 1, 0, 100),
                Event("Add (ND)", 8, 0, 0, 0, last),
            ]
        )

    samples = [run(90, 90, 90, extra=1), run(1, 20, 3), run(2, 30, 4)]
    result = of_runs(found, samples, [7.0, 8.0, 9.0])
    assert result["steps"] == [0, 1, 2]
    assert result["runs"] == [pytest.approx([1e-6, 20e-6, 3e-6]), pytest.approx([2e-6, 30e-6, 4e-6])]
    assert result["outside"] == [1]
    assert result["whole"] == [8.0, 9.0]
    assert read(result).runs == tuple(map(tuple, result["runs"]))
    with pytest.raises(ProfilerError, match="as its process wrote"):
        read({"error": "as its process wrote"})


def test_how_a_process_ended():
    assert ended(-9, "") == "was killed by SIGKILL: perhaps for want of memory"
    assert ended(-250, "") == "was killed by signal 250"
    assert ended(1, "a\nb\n") == "ended with code 1: b"
    assert len(ended(1, "x" * 5000)) < 400
