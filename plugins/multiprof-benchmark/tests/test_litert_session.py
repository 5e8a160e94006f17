"""A .tflite file in LiteRT as a worker finds it: what is read back, how layers are timed, and what is said."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import pytest
from loop_file import write
from multiprof_benchmark import environment
from multiprof_benchmark.lower.tflite import lower
from multiprof_benchmark.sessions import litert as sessions
from multiprof_benchmark.sessions import litert_layers
from multiprof_benchmark.sessions.litert import LiteRTSession
from multiprof_benchmark.sessions.litert_c import ProfilerError
from multiprof_benchmark.sessions.litert_file import operators
from multiprof_benchmark.sessions.litert_heap import heap
from multiprof_benchmark.sessions.litert_profiler import Profile
from multiprof_benchmark.subject import Options, Subject
from multiprof_benchmark.timing import Rules
from torch import nn

import multiprof
from multiprof import TensorSpec

FEW = Rules(runs=10, seconds=0.0, cap=60.0, warmup_runs=1, warmup_seconds=0.0)
WEIGHTS = 512 * 1024 * 4  # bytes


def session(path: str, threads: int = 1) -> LiteRTSession:
    report = Path(path).with_suffix(".json")
    multiprof.analyze(path).save(report)
    return LiteRTSession(Subject(report, "tflite", "file", path), Options(threads, rules=FEW))


@pytest.fixture
def dense(tmp_path: Path) -> str:
    path = tmp_path / "dense.tflite"
    path.write_bytes(lower(multiprof.analyze(nn.Linear(512, 1024), TensorSpec((4, 512)))).data)
    return str(path)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_threads_are_counted(dense, threads):
    """XNNPACK starts all but one, whatever the number of cores."""
    facts = session(dense, threads).facts()
    assert facts.threads == threads
    assert facts.environment["delegate"] == "XNNPACK"
    assert facts.notes == ()


def test_where_threads_are_not_told_it_says_so(dense, monkeypatch):
    monkeypatch.setattr(environment, "thread_count", lambda: None)
    facts = session(dense, 2).facts()
    assert facts.threads == 2
    assert facts.notes == (sessions.ASKED,)


def test_the_heap_holds_the_packed_weights(dense):
    assert WEIGHTS < session(dense).facts().memory["heap"] < 1.2 * WEIGHTS


def test_where_the_heap_is_not_told_there_is_none(dense, monkeypatch):
    monkeypatch.setattr(sessions, "heap", lambda: None)
    assert session(dense).facts().memory == {}


def test_a_file_that_xnnpack_runs_nothing_of_is_called_slow(dense, monkeypatch):
    monkeypatch.setattr(sessions, "DELEGATE", "SOMETHING ELSE")
    facts = session(dense).facts()
    assert facts.environment["delegate"] == "none"
    assert facts.notes == (sessions.SLOW,)


def test_the_heap_grows_by_what_is_taken():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    for size in (50_000, 10_000_000):  # within the heap, and in pages of its own
        before = heap()
        block = libc.malloc(ctypes.c_size_t(size))
        after = heap()
        libc.free(block)
        assert size <= after - before <= size + 10_000


def test_a_loop_is_one_group_with_all_its_layers(tmp_path, monkeypatch):
    """The profiler's own time of a loop is that of noting its trips: the loop is timed alone."""
    path = write(tmp_path / "loop.tflite")
    profile = Profile((0, 1, 2), ((1.0, 999.0, 3.0),) * 9, {}, (1,), (4.1,) * 9)
    monkeypatch.setattr(litert_layers, "profiled", lambda *_: profile)
    found = session(path)
    parts = list(found.per_layer(found.options))
    rows = found.subject.report.layers
    inside = tuple(row.name for row in rows if row.layer.region is not None)
    assert len(inside) >= 3
    assert [part.subject for part in parts] == [(rows[0].name,), inside, (rows[len(rows) - 1].name,)]
    assert parts[0].times == (1.0,) * 5  # as many as there are of the loop
    assert parts[2].times == (3.0,) * 5
    assert max(parts[1].times) < 999.0
    notes = found.facts().notes
    assert notes[0].startswith("layers are timed by LiteRT's own profiler")
    assert notes[1] == litert_layers.ALONE
    assert notes[2].startswith("outside XNNPACK: WHILE (1), ")


def test_a_loop_that_cannot_be_timed_costs_only_its_own_layers(tmp_path, monkeypatch):
    path = write(tmp_path / "loop.tflite", counted_by_input=True)
    profile = Profile((0, 1, 2), ((1.0, 999.0, 3.0),) * 9, {}, (), (400.0,) * 9)
    monkeypatch.setattr(litert_layers, "profiled", lambda *_: profile)
    found = session(path)
    parts = list(found.per_layer(found.options))
    assert [part.times for part in parts] == [(1.0,) * 9, (3.0,) * 9]
    outside = [row.name for row in found.subject.report.layers if row.layer.region is None]
    assert sorted(name for part in parts for name in part.subject) == sorted(outside)
    assert found.facts().notes[1].startswith("not timed alone: WHILE (1): ")


def test_calls_that_the_report_does_not_have_are_beside_all_layers(tmp_path):
    path = write(tmp_path / "loop.tflite")
    found = operators(path)
    report = multiprof.analyze(path)
    join = litert_layers.Join(report, outputs=True)
    steps, merged = litert_layers.names(join, report, [*found, replace(found[1], number=3)])
    assert steps[1] == steps[3] == ""
    assert set(merged.values()) == {""}


def test_numbers_that_do_not_add_up_leave_operations_alone(dense, monkeypatch):
    profile = Profile((0,), ((9.0,),) * 9, {}, (), (1.0,) * 9)
    monkeypatch.setattr(litert_layers, "profiled", lambda *_: profile)
    found = session(dense)
    parts = list(found.per_layer(found.options))
    assert all(max(part.times) < 9.0 for part in parts)
    said = "its operators take 900% of what a run takes without it"
    assert found.facts().notes == (litert_layers.SLICED.format(said),)


def test_a_profiler_that_cannot_be_used_is_said(dense, monkeypatch):
    def refuse(*_):
        raise ProfilerError("for this reason")

    monkeypatch.setattr(litert_layers, "profiled", refuse)
    found = session(dense)
    assert len(list(found.per_layer(found.options))) == 1
    assert found.facts().notes == (litert_layers.SLICED.format("for this reason"),)
