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
