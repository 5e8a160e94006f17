"""What is said of the machine, held against the system itself."""

from __future__ import annotations

import os
import subprocess
import sys

from multiprof_benchmark import environment


def test_the_machine():
    found = environment.machine()
    assert found["cores"] == os.cpu_count()
    assert 1 <= found["usable_cores"] <= found["cores"]
    assert found["python"] == sys.version.split()[0]
    assert found["cpu"]


def test_a_processor_is_named_where_the_system_names_it(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nmodel name\t: other\n")
    assert environment.processor(tmp_path / "cpuinfo") == "Fast CPU @ 3 GHz"
    assert environment.processor(tmp_path / "none")


def test_versions_of_what_is_there():
    found = environment.versions("pluggy", "no-such-distribution")
    assert list(found) == ["pluggy"]


def test_memory_grows_with_what_is_held_and_is_not_the_parents():
    held = bytearray(200 << 20)  # a parent that holds 200 MiB
    script = (
        "from multiprof_benchmark.environment import peak_rss\n"
        "a = peak_rss(); held = bytearray(64 << 20); b = peak_rss(); print(a, b)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert len(held) == 200 << 20
    assert before < 150 << 20
    assert 60 << 20 <= after - before <= 80 << 20


def test_a_peak_is_forgotten_where_the_system_lets_it():
    script = (
        "from multiprof_benchmark.environment import peak_rss, start_of_peak\n"
        "held = bytearray(64 << 20); del held; a = peak_rss(); b = start_of_peak(); held = bytearray(16 << 20)\n"
        "print(a, b, peak_rss())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak, start, after = map(int, done.stdout.split())
    assert start <= peak - (60 << 20)
    assert 15 << 20 <= after - start <= 24 << 20


def test_the_memory_of_a_process_and_of_its_children(tmp_path, monkeypatch):
    for number, kilobytes, children in ((1, 100, "2 3"), (2, 10, ""), (3, 1, "4"), (4, 5, "")):
        (tmp_path / f"{number}/task/{number}").mkdir(parents=True)
        (tmp_path / f"{number}/status").write_text(f"Name:\tx\nVmRSS:\t{kilobytes} kB\n")
        (tmp_path / f"{number}/task/{number}/children").write_text(children)
    monkeypatch.setattr(environment, "PROCESSES", tmp_path)
    assert environment.rss_of(1) == 116 * 1024
    assert environment.rss_of(9) == 0


def test_the_memory_that_is_free_is_what_a_control_group_leaves(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 500 kB\n")
    monkeypatch.setattr(environment, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(environment, "CGROUP", tmp_path)
    assert environment.available_memory() == 500 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert environment.available_memory() == 500 * 1024
    (tmp_path / "memory.max").write_text("3000\n")
    assert environment.available_memory() == 2000
